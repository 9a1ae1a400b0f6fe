"""Values of the command line: numbers, read so that none of them is endless, and a ComfyUI's models folder."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from ..errors import InputError

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


def models_folder(text: str) -> Path:
    """A models folder; of a ComfyUI's own folder the one inside."""
    from ..weights.download import comfy_models

    try:
        return comfy_models(Path(text))
    except InputError:
        return Path(text)
