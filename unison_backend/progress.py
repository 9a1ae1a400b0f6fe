"""Progress and cancel: the two callables that every long step takes.

`Progress` is called as `progress(stage, done, total)`, with `total` 0 while it is unknown.
`Cancel` returns True once the person wants to stop; `check` turns that into `Cancelled`.
"""

from __future__ import annotations

from collections.abc import Callable

from .errors import Cancelled

Progress = Callable[[str, int, int], None]
Cancel = Callable[[], bool]


def silent(stage: str, done: int, total: int) -> None:
    """A `Progress` that shows nothing."""


def never() -> bool:
    """A `Cancel` that never stops."""
    return False


def check(cancel: Cancel, stage: str) -> None:
    """Raise `Cancelled` naming `stage` when `cancel()` is true."""
    if cancel():
        raise Cancelled(stage)


def duration(seconds: float) -> str:
    """Seconds as a person says them: "45 s", "12 min", "2.5 h"."""
    minutes = seconds / 60
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
