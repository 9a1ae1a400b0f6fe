"""Which medium of an edit is its mask, which of several the source, and what the mask marks: small linear models.

People call a mask by many names, in any order and in any language. Every medium is judged by the same weights, from
what stands around it and around the words that count it ("the latter"), so that a wording learnt of the first medium
serves for the second. What scores best is the mask; "there is none" is a candidate too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .fired import judge
from .intent_model import features as features_of_text
from .linear import LinearModel, softmax
from .target_model import Token, tokens
from .text import index_of

WEIGHTS = Path(__file__).with_name("masks.weights")
SOURCES_WEIGHTS = Path(__file__).with_name("sources.weights")
KEEPS_WEIGHTS = Path(__file__).with_name("keeps.weights")
CLASSES, SOURCE_CLASSES = ("mask",), ("source",)
KEEP, CHANGE = KEEPS_CLASSES = ("keep", "change")

# Words of a text that are read, media that are judged, and words on each side of one that are looked at.
_WORDS, _JUDGED, _AROUND = 240, 8, 8
_MOST_MEDIA = 12  # places of media that are looked at
_LONGEST = 5  # words that are looked at together
_LONGEST_OF_NONE = 3
_PIECES = (3, 4, 5)  # characters
_FAR = 4  # words from which on a distance is "far"
_TRUST = 6  # features that say what a rule reads, so that it weighs against many words
# A medium, and a word that counts one: the candidate's own, and another one's.
_MINE, _OTHER, _COUNTED, _OTHER_COUNTED = "#mine", "#other", "#counted", "#other counted"
# The mask, to the candidates for the source.
_MASK, _MASK_COUNTED = "#mask", "#counted mask"
_OWN, _OTHERS = (_MINE, _COUNTED), (_OTHER, _OTHER_COUNTED, _MASK, _MASK_COUNTED)
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

    def seen_from(self, medium: int, mask: int | None) -> str:
        """What it is to a candidate. mask: the medium that is known to be one."""
        if self.medium is None:
            return self.text
        if self.medium == mask:
            return _MASK_COUNTED if self.is_counted else _MASK
        if self.is_counted:
            return _COUNTED if self.medium == medium else _OTHER_COUNTED
        return _MINE if self.medium == medium else _OTHER


def candidates(text: str, kinds: Sequence[str], said: int | None, counted: Counted) -> dict[int | None, set[str]]:
    """What the model looks at: features by medium that may be the mask, and by None, that there is no mask.

    text: as `language.read` makes it, in its own spelling. said: the medium that a rule reads as the mask.
    """
    words, standing = _judged(_words(text, counted))
    none = set(_of_none([word.text for word in words], kinds, said))
    return {**dict(_by_medium(words, standing, kinds, said, None).items()), None: none}


def source_candidates(
    text: str, kinds: Sequence[str], mask: int, said: int | None, counted: Counted
) -> dict[int, set[str]]:
    """The same for the source beside a mask that is known: features by every other medium."""
    words, standing = _judged(_words(text, counted))
    return _by_medium(words, [medium for medium in standing if medium != mask], kinds, said, mask)


def _by_medium(
    words: Sequence[_Word], standing: Sequence[int], kinds: Sequence[str], said: int | None, mask: int | None
) -> dict[int, set[str]]:
    pieces = {word.text: tuple(_pieces(word.text)) for word in words}
    videos = sum(kind == "video" for kind in kinds)
    found = {}
    for medium in (index for index in standing if index < len(kinds)):  # text may hold such a character without media
        beside_video = videos > (kinds[medium] == "video")
        found[medium] = {f"k{kinds[medium]}{beside_video}", *_of_medium(medium, len(kinds), said)}
        found[medium].update(_of_words([word.seen_from(medium, mask) for word in words], pieces))
    return found


def _judged(words: list[_Word]) -> tuple[list[_Word], list[int]]:
    """The media that are judged, and the words up to a little behind the last one of a long row of media."""
    media = [(place, w.medium) for place, w in enumerate(words) if w.medium is not None and not w.is_counted]
    if len(media) > _MOST_MEDIA:
        words = words[: media[_MOST_MEDIA][0] + _AROUND]
    return words, list(dict.fromkeys(medium for _, medium in media))[:_JUDGED]


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


def _of_medium(medium: int, count: int, said: int | None) -> Iterator[str]:
    """Which of so many media it is, and what a rule makes of it."""
    reads = "none" if said is None else "mine" if said == medium else "other"
    yield from (f"r{copy}{reads}" for copy in range(_TRUST))
    place = "first" if medium == 0 else "last" if medium == count - 1 else "between"
    yield f"n{min(count, 4)}{place}"


def _of_words(words: Sequence[str], pieces: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Which words stand together with media, and around and beside the candidate's own places."""
    yield from _together(words)
    for place in (place for place, word in enumerate(words) if word in _OWN):
        yield from (words[place] + feature for feature in _around(words, place, pieces))
    clauses = _clauses(words)
    for number, clause in enumerate(clauses):
        beside = (clauses[number - 1] if number else [], clauses[number + 1] if number + 1 < len(clauses) else [])
        for mark in _MARKS.intersection(clause):
            yield from (mark + feature for feature in _clause(mark, clause, beside, pieces))


def _together(words: Sequence[str]) -> Iterator[str]:
    """Words in a row, with a medium among them."""
    ends = ["^", *words, "$"]
    marks = [place for place, word in enumerate(ends) if word in _MARKS]
    starts = sorted({start for place in marks for start in range(max(0, place - _LONGEST + 1), place + 1)})
    for start in starts:
        for size in range(2, _LONGEST + 1):
            some = ends[start : start + size]
            if len(some) == size and not _MARKS.isdisjoint(some):
                yield f"g{' '.join(some)}"


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
    mark: str, clause: Sequence[str], beside: tuple[Sequence[str], Sequence[str]], pieces: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """The words of a medium's own clause; of the ones beside it where it has none."""
    mine = list(clause)
    mine.remove(mark)
    shared = int(not _MARKS.isdisjoint(mine))
    for word in set(mine):
        yield f"C{word}"
        yield f"S{shared}{word}"
        yield from (f"Cp{piece}" for piece in pieces.get(word, ()))
    if _MARKS.issuperset(mine):
        yield from (f"D{word}" for word in beside[0])
        yield from (f"E{word}" for word in beside[1])


def _clauses(words: Sequence[str]) -> list[list[str]]:
    """The words by clause; what parts two belongs to the second."""
    found: list[list[str]] = [[]]
    for word in words:
        if word in _PARTS:
            found.append([])
        found[-1].append(word)
    return found


def _of_none(words: Sequence[str], kinds: Sequence[str], said: int | None) -> Iterator[str]:
    """What tells an edit without a mask: its words, whatever they stand beside."""
    yield from ("N", f"Nn{len(kinds)}", f"Nk{' '.join(kinds[:4])}")
    yield from (f"Nr{copy}{said is None}" for copy in range(_TRUST // 2))
    ends = ["^", *words, "$"]
    for size in range(2, _LONGEST_OF_NONE + 1):
        yield from (f"N{' '.join(ends[start : start + size])}" for start in range(len(ends) - size + 1))
    yield from (f"N{word}" for word in words)


def _pieces(word: str) -> Iterator[str]:
    for size in _PIECES:
        for start in range(len(word) - size + 1):
            yield word[start : start + size]


def chances(text: str, kinds: Sequence[str], said: int | None, counted: Counted) -> dict[int | None, float]:
    """How likely each medium is the mask by the words, and that none is (None); together 1. See `candidates`."""
    found = softmax(_scores(text, tuple(kinds), said, tuple(counted)))
    best = max(found, key=lambda medium: found[medium])
    judge("which medium is the mask", "none" if best is None else f"medium {best}", found[best])
    return found


@lru_cache(maxsize=4)
def _scores(text: str, kinds: tuple[str, ...], said: int | None, counted: Counted) -> dict[int | None, float]:
    """The score of each candidate; a plan asks twice for the same text."""
    found = candidates(text, kinds, said, counted)
    return {medium: mask_model().scores(features)[CLASSES[0]] for medium, features in found.items()}


def source_of(text: str, kinds: Sequence[str], mask: int, fitting: Sequence[int], said: int, counted: Counted) -> int:
    """Which of the media `fitting` the words make the source of an edit with that mask. said: what a rule reads."""
    found = source_candidates(text, kinds, mask, said, counted)
    scores = {i: source_model().scores(found[i])[SOURCE_CLASSES[0]] for i in fitting if i in found}
    if not scores:
        return said
    sure = softmax(scores)
    best = max(sure, key=lambda medium: sure[medium])
    judge("which medium is the source", f"medium {best}", sure[best])
    return best


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
def source_model() -> LinearModel:
    """The pack's own model, read once a process."""
    return LinearModel(SOURCES_WEIGHTS)


@lru_cache(maxsize=1)
def keeps_model() -> LinearModel:
    """The pack's own model, read once a process."""
    return LinearModel(KEEPS_WEIGHTS)
