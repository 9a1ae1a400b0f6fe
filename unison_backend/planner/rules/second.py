"""An instruction that orders several changes: one thing is found and changed at a time."""

from __future__ import annotations

from itertools import islice

from .language import Language
from .targets import thing_of
from .text import Text

_MOST = 8  # clauses that are looked at


def others(text: Text, language: Language) -> tuple[str, ...]:
    """The things that an instruction orders a change of, in order, where there are several; else none.

    A thing that is called by a part of another's words ("the man", "the man's hat") is not counted twice.
    """
    things: list[str] = []
    for match in islice(language.find("orders.change", text.value), _MOST):
        phrase = thing_of(next(group for group in match.groups() if group), language)
        if phrase is not None and not any(phrase in thing or thing in phrase for thing in things):
            things.append(phrase)
    return tuple(things) if len(things) > 1 else ()
