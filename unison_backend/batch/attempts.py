"""Which lines took their worker's process with them: a byte is written before a line and taken back behind it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..unfinished import finished, removed_with
from .log import ATTEMPTS

MAX_DEATHS = 2


def deaths(out: Path, name: str) -> int:
    """How often a process began this line and did not come to its end."""
    try:
        return (out / ATTEMPTS / name).stat().st_size
    except OSError:
        return 0


@contextmanager
def attempt(out: Path, name: str) -> Iterator[None]:
    """Inside, a process that dies leaves a mark of it."""
    path = out / ATTEMPTS / name
    with contextlib.suppress(OSError):  # a full disk is told by what is made
        path.parent.mkdir(exist_ok=True)
        with path.open("ab") as file:
            file.write(b".")
    removed_with(path)  # stopping is no fault of the line
    try:
        yield
    finally:
        finished(path)


def told(out: Path, name: str) -> str:
    """What a row says of a line that is not tried again."""
    return (
        f"its worker's process died {deaths(out, name)} times on this line (memory that ran out, a broken driver), "
        f"so it is not tried again: remove {out / ATTEMPTS / name} to do so"
    )
