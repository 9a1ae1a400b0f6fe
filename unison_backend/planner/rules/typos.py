"""Misspelt words among those that rules look for: one letter too many, too few, another, or two that changed places.

What the intent model was trained on knows ordinary words, so that none of them is taken for a slip of another.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

from .intent_model import intent_model

_WORD = re.compile(r"\b[a-z]{5,20}\b")


def corrected(text: str, wanted: frozenset[str], others: Container[str]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """A copy of `text` for patterns, and each (word as typed, word as read) in it.

    wanted: words that the rules look for. others: further words that are right as they are.
    """
    found: list[tuple[str, str]] = []

    def mended(match: re.Match[str]) -> str:
        word = match.group()
        if word in wanted or word in others or intent_model().knows(word):
            return word
        read = next((near for near in _one_edit(word) if near in wanted), None)
        if read is None:
            return word
        found.append((word, read))
        return read

    return (_WORD.sub(mended, text), tuple(found)) if wanted else (text, ())


def _one_edit(word: str) -> Iterator[str]:
    """Every word that is one edit away, the likelier slips first."""
    splits = [(word[:place], word[place:]) for place in range(len(word) + 1)]
    yield from (left + right[1] + right[0] + right[2:] for left, right in splits if len(right) > 1)
    yield from (left + right[1:] for left, right in splits if right)
    letters = "abcdefghijklmnopqrstuvwxyz"
    yield from (left + letter + right for left, right in splits for letter in letters)
    yield from (left + letter + right[1:] for left, right in splits if right for letter in letters)
