"""Which medium of an edit is its mask, and whether the mask marks what stays: two small linear models.

People call a mask by many names, in any order and in any language; what stands in its clause and around its place
tells it from the other media.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from .fired import judge
from .intent_model import features as features_of_text
from .linear import LinearModel
from .target_model import tokens

WEIGHTS = Path(__file__).with_name("masks.weights")
KEEPS_WEIGHTS = Path(__file__).with_name("keeps.weights")
NONE = "none"
CLASSES = ("0", "1", "2", NONE)  # the number of the medium
KEEP, CHANGE = KEEPS_CLASSES = ("keep", "change")

_AROUND = 8  # words on each side of a medium that are looked at
_LONGEST = 5  # words that are looked at together
_PIECES = (3, 4, 5)  # characters
_PLACES = 12  # media whose surroundings are looked at
_TRUST = 6  # features that say what a rule reads, so that it weighs against many words
_MARK = "#"
# What parts clauses: marks, and "and" in the languages that have one.
_PARTS = frozenset(",.;:()[]=\u2192\u3001\u3002!?-/|") | frozenset(("and", "und", "et", "y", "e", "\u0438", "\u548c"))


def possible(count: int) -> tuple[str, ...]:
    """The classes of an edit with so many media."""
    return (*CLASSES[: min(count, len(CLASSES) - 1)], NONE)


def features(text: str, said: int | None) -> set[str]:
    """What the model looks at. text: as `language.read` makes it. said: the medium that a rule reads as the mask."""
    words = _numbered(text)
    places = [place for place, word in enumerate(words) if word.startswith(_MARK)]
    found = {f"r{copy}{said}" for copy in range(_TRUST)} | {f"n{len(places)}"} | {f"w{word}" for word in words}
    ends = ["^", *words, "$"]
    for size in range(2, _LONGEST + 1):
        found |= {f"{size}{' '.join(ends[start : start + size])}" for start in range(len(ends) - size + 1)}
    clauses = _clauses(words)
    for place in places[:_PLACES]:
        found.update(_around(words, place), _clause(words, clauses, place))
    return found


def _numbered(text: str) -> list[str]:
    """The words, with each medium as its number."""
    found: list[str] = []
    media = 0
    for token in tokens(text):
        if token.text == "\ue000":
            found.append(f"{_MARK}{min(media, len(CLASSES) - 1)}")
            media += 1
        else:
            found.append(token.text if token.text != _MARK else " ")
    return found


def _around(words: Sequence[str], place: int) -> Iterator[str]:
    """Which words stand before a medium, and which behind it."""
    for other in range(max(0, place - _AROUND), min(len(words), place + _AROUND + 1)):
        if other != place:
            side = f"{words[place]}{'<' if other < place else '>'}"
            yield side + words[other]
            yield from (f"{side}p{piece}" for piece in _pieces(words[other]))


def _clause(words: Sequence[str], clauses: Sequence[int], place: int) -> Iterator[str]:
    """The words of the medium's own clause; of the one before where it has none."""
    mine = [word for word, clause in zip(words, clauses, strict=True) if clause == clauses[place]]
    mine.remove(words[place])
    shared = any(word.startswith(_MARK) for word in mine)
    for word in mine:
        yield f"C{words[place]}{word}"
        yield f"S{int(shared)}{words[place]}{word}"
        yield from (f"C{words[place]}p{piece}" for piece in _pieces(word))
    if all(word.startswith(_MARK) for word in mine):
        before = (word for word, clause in zip(words, clauses, strict=True) if clause == clauses[place] - 1)
        yield from (f"D{words[place]}{word}" for word in before)


def _clauses(words: Sequence[str]) -> list[int]:
    """The number of each word's clause; what parts two belongs to the second."""
    numbers, number = [], 0
    for word in words:
        number += word in _PARTS
        numbers.append(number)
    return numbers


def _pieces(word: str) -> Iterator[str]:
    for size in _PIECES:
        for start in range(len(word) - size + 1):
            yield word[start : start + size]


def mask_of(text: str, count: int, said: int | None) -> tuple[int | None, float]:
    """Which of `count` media the words make the mask (None: none of them), and how sure that is (0..1).

    said: the one that a rule reads as the mask.
    """
    scores = mask_model().scores(features(text, said))
    open_ = {name: scores[name] for name in possible(count)}
    best = max(open_, key=lambda name: open_[name])
    sure = 1 / sum(math.exp(score - open_[best]) for score in open_.values())
    judge("which medium is the mask", "none" if best == NONE else f"medium {best}", sure)
    return None if best == NONE else int(best), sure


def keeps(text: str, kinds: Sequence[str]) -> bool:
    """Whether an edit's mask marks what stays."""
    scores = keeps_model().scores(features_of_text(text, kinds))
    kept = scores[KEEP] > scores[CHANGE]
    judge("what the mask marks", "what stays" if kept else "what changes", scores)
    return kept


@lru_cache(maxsize=1)
def mask_model() -> LinearModel:
    """The pack's own model, read once a process."""
    return LinearModel(WEIGHTS)


@lru_cache(maxsize=1)
def keeps_model() -> LinearModel:
    """The pack's own model, read once a process."""
    return LinearModel(KEEPS_WEIGHTS)
