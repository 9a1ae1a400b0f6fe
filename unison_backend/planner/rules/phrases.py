"""Phrases under the knife."""

from __future__ import annotations

import re
import unicodedata

from .fired import note
from .language import Language

# Characters of a typed phrase that are read.
_TYPED_MOST = 800
EDGES = " \t\r\n.,;:!?'\"`*_#-/\\()[]{}<>|~\u3001\u3002\uff0c\u201c\u201d"
# A typed pad or the name of a socket is no word for a detector.
_TYPED = re.compile(r"<(?:(?:img|vid)pad|(?:image|video|mask)\d*)>", re.IGNORECASE)
# Chinese characters; a T-shirt is half of them.
CJK = re.compile(r"(?:t(?=\u6064))?[\u3400-\u9fff]+")
SPACE = re.compile(r"\s+")


def clean(phrase: str) -> str:
    """`phrase` without pads, control and private characters, runs of spaces, and punctuation at its ends."""
    plain = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in _TYPED.sub(" ", phrase[:_TYPED_MOST]))
    return SPACE.sub(" ", plain).strip(EDGES)


def is_(key: str, phrase: str, language: Language) -> bool:
    return language.whole(key, phrase)


def without(keys: tuple[str, ...], phrase: str, language: Language) -> str:
    """`phrase` without what the patterns of `keys` match at its start, as often as they do."""
    before = None
    while phrase != before:
        before = phrase
        for key in keys:
            if (match := language.match(key, phrase)) and match.end() < len(phrase):
                phrase = phrase[match.end() :]
    return phrase


def trimmed(key: str, phrase: str, language: Language) -> str:
    """`phrase` without what the patterns of `key` match in it, as often as they do, unless nothing would be left."""
    before = None
    while phrase != before:
        before = phrase
        for rule, pattern in language.compiled(key):
            match, shorter = pattern.search(phrase), pattern.sub("", phrase)
            if match is not None and shorter.strip(EDGES):
                note(rule, match)
                phrase = shorter
    return phrase
