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
