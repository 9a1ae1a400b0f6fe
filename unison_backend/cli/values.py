"""Numbers of the command line, read so that none of them is endless."""

from __future__ import annotations

import argparse
import math

# More digits than any option means.
_LONGEST = 40


def number(text: str) -> float:
    """A finite number. Raises ArgumentTypeError, which shows at most the beginning of a long text."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or len(text) > _LONGEST:
        raise argparse.ArgumentTypeError(f"{text[:_LONGEST]!r} is no finite number; write one as in 2.5")
    return value


def whole(text: str) -> int:
    """A whole number. Raises ArgumentTypeError, which shows at most the beginning of a long text."""
    try:
        if len(text) <= _LONGEST:
            return int(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text[:_LONGEST]!r} is no whole number of at most {_LONGEST} digits")
