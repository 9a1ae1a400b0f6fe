"""Which rules fired while a plan was made: for `--explain` and the card."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from .rule_files import Rule


@dataclass(frozen=True)
class Fired:
    """A rule, the words that it matched, and where in the text as read these stand (None: in a phrase of its own)."""

    rule: Rule
    matched: str
    span: tuple[int, int] | None


class Placed(str):
    """Text that knows where it stands in a longer one, and hands that on to its slices."""

    start: int = 0

    @classmethod
    def at(cls, text: str, start: int = 0) -> Placed:
        made = cls(text)
        made.start = start
        return made

    def __getitem__(self, key: object) -> str:
        found = super().__getitem__(key)  # type: ignore[index]
        if not isinstance(key, slice) or key.step not in (None, 1):
            return found
        return Placed.at(found, self.start + key.indices(len(self))[0])


_FIRED: ContextVar[list[Fired] | None] = ContextVar("fired", default=None)


@contextmanager
def recording() -> Iterator[list[Fired]]:
    """Inside, every rule that fires is put on the list; once for each place that it matches."""
    found: list[Fired] = []
    token = _FIRED.set(found)
    try:
        yield found
    finally:
        _FIRED.reset(token)


def is_recorded() -> bool:
    """Whether somebody listens."""
    return _FIRED.get() is not None


def note(rule: Rule, match: re.Match[str]) -> Literal[True]:
    """`rule` matched; costs nothing while nobody listens."""
    fired = _FIRED.get()
    if fired is not None:
        whole = match.string
        start = whole.start if isinstance(whole, Placed) else None
        span = None if start is None else (start + match.start(), start + match.end())
        found = Fired(rule, match.group(), span)
        if found not in fired:
            fired.append(found)
    return True
