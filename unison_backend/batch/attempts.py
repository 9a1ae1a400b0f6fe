"""Which lines took their worker's process with them: a byte is written before each stage of a line and taken back
behind it, so that one stays for each process that died. They go with the line's row."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..unfinished import finished, kept, removed_with
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
    """Inside, a process that dies leaves a mark of it; those of others before it stay."""
    path, before = out / ATTEMPTS / name, deaths(out, name)
    with contextlib.suppress(OSError):  # a full disk is told by what is made
        path.parent.mkdir(exist_ok=True)
        with path.open("ab") as file:
            file.write(b".")
    removed_with(path)  # stopping is no fault of the line
    try:
        yield
    finally:
        if before:
            with contextlib.suppress(OSError):
                os.truncate(path, before)
            kept(path)
        else:
            finished(path)


def forget(out: Path, name: str) -> None:
    """The line came to its end: those who died on it count no more."""
    with contextlib.suppress(OSError):
        (out / ATTEMPTS / name).unlink()


def told(out: Path, name: str) -> str:
    """What a row says of a line that is not tried again."""
    return (
        f"its worker's process died {deaths(out, name)} times on this line (memory that ran out, a broken driver), "
        f"so it is not tried again: remove {out / ATTEMPTS / name} to do so"
    )
