"""What an edit is about: the noun phrase that names the thing to find in the source, and how many are meant.

The phrase says what is there now, not what it becomes; for an addition it is the thing that something is put on.
`target` reads it from an instruction, in its words and its language (`target_model`); `parse_target` makes of a phrase
what a detector looks for: English, lower case, without "all" or "two".
"""

from __future__ import annotations

from dataclasses import dataclass

from ...plan.plan import WHOLE_FRAME, is_whole_frame
from .language import Language, load, simplified
from .languages.zh.translation import translated
from .phrases import CJK, clean, is_, trimmed, without
from .target_model import span
from .text import Text

# A phrase is translated and stripped until nothing changes; each round takes something away.
_ROUNDS = 80
# Keys of what tells in Chinese that several things are meant.
_SEVERAL = ("target_quantifier", "target_coordination", "target_several")
_MOST = 60  # characters of a phrase
# Characters before a phrase in which a word says that all of them are meant.
_BEFORE = 16


@dataclass(frozen=True)
class Target:
    """What to find. plural: all that are found, not only the best one."""

    phrase: str
    plural: bool


def target(text: Text, language: Language) -> Target | None:
    """The thing that the instruction edits, as said but without articles; None when it names none.

    The phrase keeps its quantifier ("all pedestrians", "two dogs"), so that it alone says how many are meant.
    """
    found = span(text.words)
    if found is None:
        return None
    phrase = clean(found.text)
    if language.name == "zh":
        for pattern in language.patterns("target_middle"):
            phrase = pattern.sub("\u7684", phrase)
        phrase = clean(without(("target_lead",), phrase, language))
    else:
        every = language.search("target_every", text.words[max(0, found.start - _BEFORE) : found.start])
        phrase = clean(without(("target_lead",), trimmed("target_dangling", phrase, language), language))
        phrase = f"{every.group('q')} {phrase}" if every and phrase else phrase
    if len(phrase) > _MOST:
        phrase = clean(phrase[:_MOST].rsplit(" ", 1)[0])
    names_nothing = any(is_(key, phrase, language) for key in ("target_pronoun", "target_lead", "target_medium"))
    return Target(phrase, is_plural(phrase)) if phrase and not names_nothing else None


def parse_target(target: str) -> Target:
    """A stored or typed phrase as a detector takes it: English as far as the words are known, without a quantifier."""
    if is_whole_frame(target):
        return Target(WHOLE_FRAME, False)
    phrase = clean(target.lower())
    plural = is_plural(phrase)
    for _ in range(_ROUNDS):
        before = phrase
        phrase = clean(_english_core(CJK.sub(lambda m: f" {translated(m.group())} ", phrase)))
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


def _english_core(phrase: str) -> str:
    """A phrase of English words without articles and quantifiers; any background is "background"."""
    english = load("en")
    phrase = without(("target_lead", "target_one_of", "target_quantifier", "target_group"), phrase, english)
    phrase = trimmed("target_tail", trimmed("target_article", phrase, english), english)
    return "background" if is_("target_background", phrase, english) else phrase
