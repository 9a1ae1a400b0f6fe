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
_SEVERAL = ("targets.quantifier", "targets.coordination", "targets.several")
_MOST = 60  # characters of a phrase
# Characters before a phrase in which a word says that all of them are meant.
_BEFORE = 16


# What is found where words only point at one or several persons.
_PERSONS = {
    "en": {"targets.person": "person", "targets.persons": "all people"},
    "zh": {"targets.person": "\u4eba", "targets.persons": "\u6240\u6709\u4eba"},
}


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
    if (person := _person(phrase, language)) is not None:
        return Target(person, is_plural(person))
    if language.name == "zh":
        phrase = language.sub("targets.middle", "\u7684", phrase)
        phrase = clean(without(("targets.lead",), phrase, language))
    else:
        every = language.search("targets.every", text.words[max(0, found.start - _BEFORE) : found.start])
        phrase = clean(without(("targets.lead",), trimmed("targets.dangling", phrase, language), language))
        phrase = f"{every.group('q')} {phrase}" if every and phrase else phrase
    if len(phrase) > _MOST:
        phrase = clean(phrase[:_MOST].rsplit(" ", 1)[0])
    names_nothing = any(is_(key, phrase, language) for key in ("targets.pronoun", "targets.lead", "targets.medium"))
    return Target(phrase, is_plural(phrase)) if phrase and not names_nothing else None


def somebody(text: Text, language: Language) -> Target | None:
    """A person, where an order is about how somebody looks and names nobody."""
    looks = language.search("orders.one_looks", text.value.strip())
    return Target(_PERSONS[language.name]["targets.person"], False) if looks and language.name in _PERSONS else None


def _person(phrase: str, language: Language) -> str | None:
    """What to look for where a phrase only points at somebody ("me", "her"); None of other phrases."""
    for key, found in _PERSONS.get(language.name, {}).items():
        if is_(key, phrase, language):
            return found
    return None


def excepted(text: Text, language: Language) -> Target | None:
    """The thing of which an order says that all but it changes ("erase everything except the dog"); None of others."""
    for key in ("excepted.changed", "excepted.kept"):
        for match in language.find(key, text.value):
            if key == "excepted.changed" and language.search("excepted.stays", text.value[: match.start()]):
                continue
            if (phrase := thing_of(match.group("thing"), language)) is not None:
                return Target(phrase, is_plural(phrase))
    return None


def thing_of(said: str, language: Language) -> str | None:
    """A phrase without its article; None for a pronoun or a word for the medium, which name no thing in it."""
    phrase = clean(without(("targets.lead",), clean(said), language))
    names_nothing = any(is_(key, phrase, language) for key in ("targets.pronoun", "targets.medium"))
    return None if not phrase or names_nothing else phrase


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
    phrase = without(("targets.lead",), phrase, english)
    if english.match("targets.one_of", phrase):
        return False
    if english.match("targets.quantifier", phrase):
        return True
    phrase = without(("targets.group",), phrase, english)
    stop = english.search("targets.head_stop", phrase)
    head = (phrase[: stop.start()] if stop and stop.start() else phrase).strip()
    head = without(("targets.adjectives",), head, english)
    return " and " in head or _is_plural_noun(head.rpartition(" ")[2], english)


def _is_plural_noun(noun: str, english: Language) -> bool:
    """English morphology: irregular plurals, -s but not -ss or -us, no garments and tools in pairs."""
    if is_("targets.single_noun", noun, english):
        return False
    if is_("targets.plural_noun", noun, english) or noun.endswith(("men", "children", "people")):
        return True
    return len(noun) > 3 and noun.endswith("s") and not noun.endswith(("ss", "us", "'s", "is"))


def _english_core(phrase: str) -> str:
    """A phrase of English words without articles and quantifiers; any background is "background"."""
    english = load("en")
    phrase = without(("targets.lead", "targets.one_of", "targets.quantifier", "targets.group"), phrase, english)
    phrase = trimmed("targets.tail", trimmed("targets.article", phrase, english), english)
    return "background" if is_("targets.background", phrase, english) else phrase
