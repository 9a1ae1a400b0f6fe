"""What happened while a plan was made, for `--explain` and the card: which rules matched, and what the models said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

from .linear import softmax
from .rule_files import Rule


@dataclass(frozen=True)
class Fired:
    """A rule, the words that it matched, and where in the text as read these stand (None: in a phrase of its own)."""

    rule: Rule
    matched: str
    span: tuple[int, int] | None


@dataclass(frozen=True)
class Judged:
    """What one of the models made of the words, and how sure it was of it (0..1)."""

    model: str
    said: str
    sure: float


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


@dataclass
class Trace:
    """What happened, in order. language: that the words are in. text: as the rules read it, before any matched."""

    language: str = ""
    text: str = ""
    fired: list[Fired] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)


_TRACE: ContextVar[Trace | None] = ContextVar("trace", default=None)


@contextmanager
def recording() -> Iterator[Trace]:
    """Inside, every rule that matches is written down, once for each place, and everything that a model says."""
    trace = Trace()
    token = _TRACE.set(trace)
    try:
        yield trace
    finally:
        _TRACE.reset(token)


def placed(text: str, language: str) -> str:
    """`text`, the first that is read while somebody listens, as one whose rules tell where they matched."""
    trace = _TRACE.get()
    if trace is None:
        return text
    if not trace.text:
        trace.language, trace.text = language, text
    return Placed.at(text) if trace.text == text else text


def blanked(text: str, match: re.Match[str], character: str = " ") -> str:
    """`text` with what matched made harmless; positions stay."""
    made = f"{text[: match.start()]}{character * len(match.group())}{text[match.end() :]}"
    return Placed.at(made, text.start) if isinstance(text, Placed) else made


def note(rule: Rule, match: re.Match[str]) -> Literal[True]:
    """`rule` matched; costs nothing while nobody listens."""
    trace = _TRACE.get()
    if trace is not None:
        whole = match.string
        start = whole.start if isinstance(whole, Placed) else None
        span = None if start is None else (start + match.start(), start + match.end())
        found = Fired(rule, match.group(), span)
        if found not in trace.fired:
            trace.fired.append(found)
    return True


def judge(model: str, said: str, odds: Mapping[str, float] | float) -> None:
    """A model said this. odds: scores by class, of which `said` names the best by its key, or how sure it is."""
    trace = _TRACE.get()
    if trace is None:
        return
    sure = odds if isinstance(odds, float) else max(softmax(odds).values())
    found = Judged(model, said, sure)
    if found not in trace.judged:
        trace.judged.append(found)
