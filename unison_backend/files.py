"""Files written whole or not at all, and what the system says about writing, in words."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO
from uuid import uuid4

from .errors import InputError, MediaError, ResourceError, UnisonError

# Windows' own numbers (sharing and lock violation); elsewhere an open file may be replaced.
_IN_USE = (32, 33)
# What libraries say that keep the system's number to themselves.
_FULL = "No space left"

# A line is an instruction and some names; a longer one is some other file.
MAX_LINE = 1 << 20


def limited_lines(file: TextIO, name: str) -> Iterator[tuple[int, str]]:
    """Lines that are not empty, stripped, with their numbers from 1, one at a time. Raises InputError at a line of
    MAX_LINE characters, which is not read to its end; name: what the message calls the file.
    """
    number = 0
    while line := file.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE and not line.endswith("\n"):
            raise InputError(f"{name}, line {number} is longer than {MAX_LINE} characters: it is no list of jobs")
        if line.strip():
            yield number, line.strip()


@contextmanager
def writing(path: Path, *foreign: type[Exception]) -> Iterator[None]:
    """Turns what the system (and the exceptions named) say about writing into a sentence about `path`."""
    translated: tuple[type[Exception], ...] = (OSError, ValueError, *foreign)
    try:
        yield
    except UnisonError:
        raise
    except MemoryError as error:
        raise ResourceError(f"{path} cannot be written, memory ran out: make it smaller") from error
    except translated as error:
        number = getattr(error, "errno", None)
        if getattr(error, "winerror", None) in _IN_USE:
            raise MediaError(f"{path} is open in another program: close it there, or choose another name") from error
        if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or _FULL in str(error):
            raise ResourceError(f"{path} cannot be written, the disk is full: free space or choose another") from error
        if number in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise MediaError(f"{path} may not be written: choose another folder or change its permissions") from error
        raise MediaError(f"{path} cannot be written ({error}): choose another name, folder or format") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A free name beside `path` to write to; it becomes `path` when the block ends well, and is removed otherwise."""
    temporary = path.with_name(f".{uuid4().hex}{path.suffix}")
    new_folders: list[Path] = []
    try:
        with writing(path):
            if path.is_dir():
                raise MediaError(f"{path} is a folder: name a file in it")
            new_folders = [folder for folder in path.parents if not folder.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with writing(path):
            temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty: someone else uses it
            for folder in new_folders:
                folder.rmdir()
        raise
