"""Whether an instruction is about what the embedded models know at all: one of their shapes, by name."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files


def names_a_shape(text: str) -> bool:
    """True when a shape of the world stands in the text, in English (also several of it) or Chinese."""
    return _shapes().search(text.lower()) is not None


@cache
def _shapes() -> re.Pattern[str]:
    words = json.loads((files(__package__) / "words.json").read_text(encoding="utf-8"))
    english = "|".join(words["en"]["shapes"].values())
    # The last character of a Chinese shape's name is dropped in everyday words ("round").
    chinese = "|".join(name.removesuffix("\u5f62") for name in words["zh"]["shapes"].values())
    return re.compile(rf"\b(?:{english})s?\b|{chinese}")
