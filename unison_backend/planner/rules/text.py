"""An instruction made ready for patterns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

IMAGE_BASE, VIDEO_BASE, QUOTE = 0xE000, 0xE400, "\ue800"
MEDIA_MACROS = {
    "img": "[\ue000-\ue3ff]",
    "vid": "[\ue400-\ue7ff]",
    "pad": "[\ue000-\ue7ff]",
    "quote": QUOTE,
}

PAD = re.compile(r"[\ue000-\ue7ff]")


@dataclass(frozen=True)
class Text:
    """An instruction made ready for patterns: lower case, compatibility characters unified, media as characters.

    words: the same text before Chinese was made simplified, misspelt words were corrected and what only looks like an
    order was made harmless in `value`. corrections: (word as typed, word as read).
    """

    value: str
    kinds: tuple[str, ...]
    words: str
    corrections: tuple[tuple[str, str], ...] = ()

    @cached_property
    def pads(self) -> tuple[tuple[int, int], ...]:
        """(position in `value`, index of the medium) for each medium."""
        return tuple((m.start(), index_of(m.group())) for m in PAD.finditer(self.value))


def index_of(character: str) -> int:
    """The medium's index that a pad character stands for."""
    code = ord(character)
    return code - (VIDEO_BASE if code >= VIDEO_BASE else IMAGE_BASE)
