"""Grey maps: footage without its colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...progress import Cancel, Progress, never, silent
from .frames import each_frame, luma
from .statistics import is_grey

if TYPE_CHECKING:
    from torch import Tensor

    from .statistics import Pixels


def make(video: Tensor, *, progress: Progress = silent, cancel: Cancel = never) -> Tensor:
    """The video without its colour: ITU-R 601 brightness in three equal channels.

    The reference reads RGB frames as BGR, so that its weights of red and blue are swapped; ours are right.
    """
    return each_frame(video, luma, "grey map", progress, cancel)


def looks_like(frame: Pixels) -> bool:
    """Colourless, in many shades."""
    return is_grey(frame)
