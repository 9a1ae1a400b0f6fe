"""What holds the shapes of a medium of which everything changes."""

from __future__ import annotations

from .controls import Control

RESTYLE_BY: Control = "depth"
RESTYLE_ELSE: Control = "scribble"
"""Where there is no depth model."""
