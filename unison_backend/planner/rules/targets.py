"""What an edit is about: the noun phrase that names the thing to find in the source, and how many are meant.

The phrase says what is there now, not what it becomes. `target` reads it from an instruction, in its words and its
language; `parse_target` makes of a phrase what a detector looks for: English, lower case, without "all" or "two".
Every order of the instruction gives a candidate, and the first that is no addition decides; an order about the
masked area leaves nothing to find, one about the look of everything gives the whole frame.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...plan.plan import WHOLE_FRAME, is_whole_frame
from .language import Language, load, simplified
from .languages.en.targets import english_core, english_target
from .languages.zh.targets import chinese_target
from .languages.zh.translation import translated
from .phrases import CJK, clean, without
from .text import Text

# A phrase is translated and stripped until nothing changes; each round takes something away.
_ROUNDS = 80
# Keys of what tells in Chinese that several things are meant.
_SEVERAL = ("target_quantifier", "target_coordination", "target_several")


@dataclass(frozen=True)
class Target:
    """What to find. plural: all that are found, not only the best one."""

    phrase: str
    plural: bool


def target(text: Text, language: Language) -> Target | None:
    """The thing that the instruction edits, as said but without articles; None when it names none.

    An order about style, weather, time of day or colours of all that is seen gives `WHOLE_FRAME`.

    The phrase keeps its quantifier ("all pedestrians", "two dogs"), so that it alone says how many are meant.
    """
    read = chinese_target if language.name == "zh" else english_target
    phrase = clean(read(text.words, language))
    if not phrase and _is_whole_frame(text, language):
        return Target(WHOLE_FRAME, False)
    return Target(phrase, is_plural(phrase)) if phrase else None


def _is_whole_frame(text: Text, language: Language) -> bool:
    """True when style, weather, time of day or colour grading of a medium as a whole is ordered, and no mask is."""
    words = text.words.translate(simplified()) if language.name == "zh" else text.words
    if not text.kinds or any(language.search(key, words) for key in ("mask", "whole_frame_not")):
        return False
    return language.search("whole_frame", words) is not None


def parse_target(target: str) -> Target:
    """A stored or typed phrase as a detector takes it: English as far as the words are known, without a quantifier."""
    if is_whole_frame(target):
        return Target(WHOLE_FRAME, False)
    phrase = clean(target.lower())
    plural = is_plural(phrase)
    for _ in range(_ROUNDS):
        before = phrase
        phrase = clean(english_core(CJK.sub(lambda m: f" {translated(m.group())} ", phrase)))
        if phrase == before:
            break
    return Target(phrase, plural)


def is_plural(phrase: str) -> bool:
    """True when all that is found is meant: by a quantifier, "and", or the form of an English noun."""
    phrase = clean(phrase.lower())
    if CJK.search(phrase):
        simple, chinese = phrase.translate(simplified()), load("zh")
        return " and " in simple or any(chinese.search(key, simple) for key in _SEVERAL)
    english = load("en")
    phrase = without(("target_lead",), phrase, english)
    if english.match("target_one_of", phrase):
        return False
    if english.match("target_quantifier", phrase):
        return True
    phrase = without(("target_group",), phrase, english)
    stop = english.search("target_head_stop", phrase)
    head = (phrase[: stop.start()] if stop and stop.start() else phrase).strip()
    head = without(("target_adjectives",), head, english)
    return " and " in head or _is_plural_noun(head.rpartition(" ")[2], english)


def _is_plural_noun(noun: str, english: Language) -> bool:
    """English morphology: irregular plurals, -s but not -ss or -us, no garments and tools in pairs."""
    if noun in english.words["not_plurals"]:
        return False
    if noun in english.words["plurals"] or noun.endswith(("men", "children", "people")):
        return True
    return len(noun) > 3 and noun.endswith("s") and not noun.endswith(("ss", "us", "'s", "is"))
