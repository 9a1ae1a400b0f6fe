"""An instruction that orders several changes: one thing is found and changed at a time."""

from __future__ import annotations

from .language import Language
from .phrases import clean, is_, without
from .text import Text

_MOST = 8  # clauses that are looked at


def others(text: Text, language: Language) -> tuple[str, ...]:
    """The things that an instruction orders a change of, in order, where there are several; else none.

    A thing that is called by a part of another's words ("the man", "the man's hat") is not counted twice.
    """
    things: list[str] = []
    for match in list(language.find("orders.change", text.value))[:_MOST]:
        said = next(group for group in match.groups() if group)
        phrase = clean(without(("targets.lead",), clean(said), language))
        if not phrase or any(is_(key, phrase, language) for key in ("targets.pronoun", "targets.medium")):
            continue
        if not any(phrase in thing or thing in phrase for thing in things):
            things.append(phrase)
    return tuple(things) if len(things) > 1 else ()
