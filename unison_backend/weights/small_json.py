"""JSON files of model folders. They are untrusted: size, depth and numbers are looked at before they are used."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ..errors import WeightsError

MAX_BYTES = 64 * 2**20
"""More than the largest real one, a tokenizer.json of 256,000 pieces."""
MAX_DEPTH = 32


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; WeightsError when the file is missing, too large, nested too deeply or anything else.

    NaN and infinity, also as numbers too large for a float, count as damage.
    """
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise WeightsError(f"{path} has {size / 1e6:.0f} MB, a configuration is smaller; download it again")
        content = parse_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise WeightsError(f"{path.parent} has no {path.name}; download the complete folder") from None
    except (OSError, ValueError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{path} is damaged ({error}); download it again") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path} is no JSON object; download it again")
    return content


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text of finite numbers, at most MAX_DEPTH deep; ValueError for any other text."""
    try:
        content = json.loads(text, parse_float=_finite, parse_constant=_no_number)
    except RecursionError:
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep") from None
    _check_depth(content)
    return content


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]} is too large")
    return value


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _check_depth(content: Any) -> None:
    level = [content]
    for _ in range(MAX_DEPTH):
        inside = (item.values() if isinstance(item, dict) else item for item in level if isinstance(item, (dict, list)))
        level = [item for items in inside for item in items if isinstance(item, (dict, list))]
        if not level:
            return
    raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")


def short_repr(value: object) -> str:
    """A value out of a file, short enough for a message."""
    if isinstance(value, int) and abs(value) < 10**12:
        return str(value)
    text = repr(value) if isinstance(value, (str, float, bool, type(None))) else type(value).__name__
    return text if len(text) <= 60 else f"{text[:60]}..."
