"""Which medium of an edit is its mask, and whether the mask marks what stays: two small linear models.

People call a mask by many names, in any order and in any language. Every medium is judged by the same weights, from
what stands around it and around the words that count it ("the latter"), so that a wording learnt of the first medium
serves for the second. What scores best is the mask; "there is none" is a candidate too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .fired import judge
from .intent_model import features as features_of_text
from .linear import LinearModel
from .target_model import Token, tokens
from .text import index_of

WEIGHTS = Path(__file__).with_name("masks.weights")
KEEPS_WEIGHTS = Path(__file__).with_name("keeps.weights")
CLASSES = ("mask",)
KEEP, CHANGE = KEEPS_CLASSES = ("keep", "change")

# Words of a text that are read, media that are judged, and words on each side of one that are looked at.
_WORDS, _JUDGED, _AROUND = 240, 8, 8
_LONGEST = 5  # words that are looked at together
_LONGEST_OF_NONE = 3
_PIECES = (3, 4, 5)  # characters
_FAR = 4  # words from which on a distance is "far"
_TRUST = 6  # features that say what a rule reads, so that it weighs against many words
# A medium, and a word that counts one: the candidate's own, and another one's.
_MINE, _OTHER, _COUNTED, _OTHER_COUNTED = "#mine", "#other", "#counted", "#other counted"
_OWN, _OTHERS = (_MINE, _COUNTED), (_OTHER, _OTHER_COUNTED)
_MARKS = frozenset((*_OWN, *_OTHERS))
# What parts clauses: marks, and "and" in the languages that have one.
_PARTS = frozenset(",.;:()[]=\u2192\u3001\u3002!?-/|") | frozenset(("and", "und", "et", "y", "e", "\u0438", "\u548c"))

# Places of words that count media in the text, with the index of the medium.
Counted = Sequence[tuple[int, int, int]]


@dataclass(frozen=True)
class _Word:
    """A word, or the medium that stands there or is counted there."""

    text: str
    medium: int | None = None
    is_counted: bool = False

    def seen_from(self, medium: int) -> str:
        """What it is to a candidate."""
        if self.medium is None:
            return self.text
        if self.is_counted:
            return _COUNTED if self.medium == medium else _OTHER_COUNTED
        return _MINE if self.medium == medium else _OTHER


def candidates(text: str, kinds: Sequence[str], said: int | None, counted: Counted) -> dict[int | None, set[str]]:
    """What the model looks at: features by medium that may be the mask, and by None, that there is no mask.

    text: as `language.read` makes it, in its own spelling. said: the medium that a rule reads as the mask.
    """
    words = _words(text, counted)
    standing = list(dict.fromkeys(word.medium for word in words if word.medium is not None and not word.is_counted))
    pieces = {word.text: tuple(_pieces(word.text)) for word in words}
    found: dict[int | None, set[str]] = {
        medium: {*_of_medium(medium, kinds, said), *_of_words([w.seen_from(medium) for w in words], pieces)}
        for medium in standing[:_JUDGED]
        if medium is not None
    }
    found[None] = set(_of_none([word.text for word in words], kinds, said, pieces))
    return found


def _words(text: str, counted: Counted) -> list[_Word]:
    """The words, with media, and words that count them, as such."""
    places = {place: (start, medium) for start, end, medium in counted for place in range(start, end)}
    found = []
    for token in tokens(text, _WORDS):
        if token.start in places:
            start, medium = places[token.start]
            if token.start == start:
                found.append(_Word("#", medium, is_counted=True))
        else:
            found.append(_word(token, text))
    return found


def _word(token: Token, text: str) -> _Word:
    if token.text == "\ue000":
        return _Word("#", index_of(text[token.start]))
    return _Word(token.text if token.text != "#" else " ")


def _of_medium(medium: int, kinds: Sequence[str], said: int | None) -> Iterator[str]:
    """What the medium is, among which others, and what a rule makes of it."""
    reads = "none" if said is None else "mine" if said == medium else "other"
    yield from (f"r{copy}{reads}" for copy in range(_TRUST))
    others = [kind for index, kind in enumerate(kinds) if index != medium]
    yield f"k{kinds[medium]}{'video' in others}"
    place = "first" if medium == 0 else "last" if medium == len(kinds) - 1 else "between"
    yield f"n{min(len(kinds), 4)}{place}"


def _of_words(words: Sequence[str], pieces: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Which words stand together with media, and around and beside the candidate's own places."""
    ends = ["^", *words, "$"]
    marks = [place for place, word in enumerate(ends) if word in _MARKS]
    starts = sorted({start for place in marks for start in range(max(0, place - _LONGEST + 1), place + 1)})
    for start in starts:
        for size in range(2, _LONGEST + 1):
            some = ends[start : start + size]
            if len(some) == size and not _MARKS.isdisjoint(some):
                yield f"g{' '.join(some)}"
    clauses = _clauses(words)
    for place, word in enumerate(words):
        if word in _OWN:
            yield from (word + feature for feature in _around(words, place, pieces))
        if word in _MARKS:
            yield from (word + feature for feature in _clause(words, clauses, place, pieces))


def _around(words: Sequence[str], place: int, pieces: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Which words stand before a place and which behind it, how near, and whether another medium is in between."""
    for step, side in ((-1, "<"), (1, ">")):
        for far in range(1, _AROUND + 1):
            other = place + step * far
            if not 0 <= other < len(words):
                break
            word = words[other]
            yield side + word
            yield f"{side}{min(far, _FAR)}{word}"
            yield from (f"{side}p{piece}" for piece in pieces.get(word, ()))
            if word in _OTHERS and not side.endswith("x"):
                side += "x"


def _clause(
    words: Sequence[str], clauses: Sequence[int], place: int, pieces: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """The words of a place's own clause; of the ones beside it where it has none."""
    mine = [word for at, word in enumerate(words) if clauses[at] == clauses[place] and at != place]
    shared = int(not _MARKS.isdisjoint(mine))
    for word in mine:
        yield f"C{word}"
        yield f"S{shared}{word}"
        yield from (f"Cp{piece}" for piece in pieces.get(word, ()))
    if _MARKS.issuperset(mine):
        for word, clause in zip(words, clauses, strict=True):
            if abs(clause - clauses[place]) == 1:
                yield f"{'D' if clause < clauses[place] else 'E'}{word}"


def _clauses(words: Sequence[str]) -> list[int]:
    """The number of each word's clause; what parts two belongs to the second."""
    numbers, number = [], 0
    for word in words:
        number += word in _PARTS
        numbers.append(number)
    return numbers


def _of_none(
    words: Sequence[str], kinds: Sequence[str], said: int | None, pieces: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """What tells an edit without a mask: its words, whatever they stand beside."""
    yield from ("N", f"Nn{len(kinds)}", f"Nk{' '.join(kinds[:4])}")
    yield from (f"Nr{copy}{said is None}" for copy in range(_TRUST // 2))
    ends = ["^", *words, "$"]
    for size in range(2, _LONGEST_OF_NONE + 1):
        yield from (f"N{' '.join(ends[start : start + size])}" for start in range(len(ends) - size + 1))
    for word in words:
        yield f"N{word}"
        yield from (f"Np{piece}" for piece in pieces[word])


def _pieces(word: str) -> Iterator[str]:
    for size in _PIECES:
        for start in range(len(word) - size + 1):
            yield word[start : start + size]


def mask_of(text: str, kinds: Sequence[str], said: int | None, counted: Counted) -> tuple[int | None, float]:
    """Which medium the words make the mask (None: none of them), and how sure that is (0..1); see `candidates`."""
    model = mask_model()
    scores = {
        medium: model.scores(features)[CLASSES[0]]
        for medium, features in candidates(text, kinds, said, counted).items()
    }
    best = max(scores, key=lambda medium: scores[medium])
    sure = 1 / sum(math.exp(score - scores[best]) for score in scores.values())
    judge("which medium is the mask", "none" if best is None else f"medium {best}", sure)
    return best, sure


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
