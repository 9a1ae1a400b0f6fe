"""Standard streams that are closed, full, or that nobody reads any more."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def open_streams() -> None:
    """Open streams that were closed when the command was called (`>&-`), to nowhere.

    Without that the first file that is opened takes their number, and what libraries print ends up in it.
    """
    number = 0
    while number <= 2:
        number = os.open(os.devnull, os.O_RDWR)
    os.close(number)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115


def without_output(status: int) -> int:
    """`status`, with nothing left to write for the interpreter when it ends: it would complain of it."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    return status
