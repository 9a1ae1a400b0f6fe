"""What no planning record may hold: README's orders, and the numbers and sentences that planners are measured with."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from .intent.sentences import KEPT_APART, fingerprint
from .planning_numbers import is_apart
from .planning_record import Record

README_ORDERS = Path(__file__).with_name("planning_apart.json")
_SIZE = re.compile("<BORES>([0-9]+),([0-9]+)<EORES>")
_LENGTH = re.compile("<BONF>([0-9]+)<EONF>")
_SPOKEN_FRAMES = re.compile("frames?\\b|\u5e27", re.IGNORECASE)


def is_kept_apart(record: Record) -> bool:
    """Whether a record's words are README's or of a set that measures, or its size or spoken frames are kept apart."""
    if fingerprint(record.prompt) in _fingerprints():
        return True
    size, length = _SIZE.search(record.tokens), _LENGTH.search(record.tokens)
    if size and is_apart(int(size[1]), int(size[2])):
        return True
    return bool(length and _SPOKEN_FRAMES.search(record.prompt) and is_apart(frames=int(length[1])))


@cache
def _fingerprints() -> frozenset[str]:
    """Of README's orders, with pads in place of their files, and of the sets in `kept_apart.json`."""
    readme = json.loads(README_ORDERS.read_text(encoding="utf-8"))
    sets = json.loads(KEPT_APART.read_text(encoding="utf-8"))
    return frozenset((*readme, *(mark for marks in sets.values() for mark in marks)))
