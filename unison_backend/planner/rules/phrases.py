"""Phrases under the knife, and which order of an instruction decides what is edited."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .language import Language

# Characters of a phrase, and of a typed phrase.
_MOST, _TYPED_MOST = 60, 800
# A medium, or the words for it, taken out of the text.
MARK = "\ue801"
EDGES = " \t\r\n.,;:!?'\"`*_#-/\\()[]{}<>|~\u3001\u3002\uff0c\u201c\u201d"
# A typed pad or the name of a socket is no word for a detector.
_TYPED = re.compile(r"<(?:(?:img|vid)pad|(?:image|video|mask)\d*)>", re.IGNORECASE)
# Chinese characters; a T-shirt is half of them.
CJK = re.compile(r"(?:t(?=\u6064))?[\u3400-\u9fff]+")
SPACE = re.compile(r"\s+")

Kind = Literal["thing", "added", "skipped"]
# (words around a thing, language) to the words of the thing alone.
Tidy = Callable[[str, Language], str]


@dataclass(frozen=True)
class Candidate:
    """The object of one order: where it stands, its words as said, and what is done with it.

    whole: nothing is to be found when the object is the whole frame; else the order only opens the instruction.
    """

    start: int
    words: str
    kind: Kind = "thing"
    whole: bool = True


def clean(phrase: str) -> str:
    """`phrase` without pads, control and private characters, runs of spaces, and punctuation at its ends."""
    plain = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in _TYPED.sub(" ", phrase[:_TYPED_MOST]))
    return SPACE.sub(" ", plain).strip(EDGES)


def is_(key: str, phrase: str, language: Language) -> bool:
    return any(pattern.fullmatch(phrase) for pattern in language.patterns(key))


def without(keys: tuple[str, ...], phrase: str, language: Language) -> str:
    """`phrase` without what the patterns of `keys` match at its start, as often as they do."""
    before = None
    while phrase != before:
        before = phrase
        for key in keys:
            if (match := language.match(key, phrase)) and match.end() < len(phrase):
                phrase = phrase[match.end() :]
    return phrase


def cut(key: str, phrase: str, language: Language) -> str:
    """`phrase` up to the earliest match of `key`."""
    match = language.search(key, phrase)
    return phrase[: match.start()] if match else phrase


def trimmed(key: str, phrase: str, language: Language) -> str:
    """`phrase` without what the patterns of `key` match in it, as often as they do, unless nothing would be left."""
    before = None
    while phrase != before:
        before = phrase
        for pattern in language.patterns(key):
            shorter = pattern.sub("", phrase)
            phrase = shorter if shorter.strip(EDGES + MARK) else phrase
    return phrase


def _shortened(phrase: str, language: Language) -> str:
    """`phrase` cut at its last boundary that keeps it within the limit."""
    if len(phrase) <= _MOST:
        return phrase
    ends = [m.start() for m in language.find("target_boundary", phrase) if 0 < m.start() <= _MOST]
    if not ends:
        return phrase[:_MOST].rsplit(" ", 1)[0]
    return phrase[: max(ends)]


def decided(candidates: list[Candidate], text: str, language: Language, tidy: Tidy, until: Tidy) -> tuple[str, bool]:
    """The phrase of the first candidate that names a thing, and whether to look no further without one.

    tidy: what is left of a noun phrase. until: words up to what cannot belong to the thing any more.
    """
    added = set()
    for candidate in candidates:
        phrase = _thing(candidate.words, language, tidy)
        if candidate.kind == "added":
            added.add(phrase)
        if candidate.kind != "thing" or is_("target_skip", phrase, language):
            continue
        if _is_whole(candidate.words, phrase, language):
            if candidate.whole:
                return "", True
        elif is_("target_pronoun", phrase, language):
            if found := _antecedent(text[: candidate.start], language, tidy, until):
                return found, True
            if candidate.whole and phrase:
                return "", True
        elif phrase and phrase not in added:
            return phrase, True
    return "", False


def _is_whole(words: str, phrase: str, language: Language) -> bool:
    """True when the object is the whole frame, a medium, or the masked area."""
    said = words.strip(" ")
    medium = said.startswith(MARK) and not phrase
    return medium or any(is_("target_whole", form, language) for form in (said, phrase))


def _antecedent(before: str, language: Language, tidy: Tidy, until: Tidy) -> str:
    """What a pronoun stands for: the last thing that was said to be there or to be wrong."""
    found = language.find("target_antecedent", before)
    for match in sorted(found, key=lambda m: (-m.start("np"), len(m.group("np")))):
        phrase = _thing(until(match.group("np"), language), language, tidy)
        plain = phrase and not is_("target_pronoun", phrase, language) and not is_("target_skip", phrase, language)
        if plain and not _is_whole(match.group("np"), phrase, language):
            return phrase
    return ""


def _thing(words: str, language: Language, tidy: Tidy) -> str:
    """The noun phrase in `words`, without what stands around it."""
    return _shortened(tidy(words, language), language).strip(EDGES + MARK)
