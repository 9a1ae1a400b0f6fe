"""Files written whole or not at all, and what the system says about writing, in words."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from .errors import InputError, MediaError, ResourceError, UnisonError
from .unfinished import finished, unfinished

# Windows' own numbers (sharing and lock violation); elsewhere an open file may be replaced.
_IN_USE = (32, 33)
# What libraries say that keep the system's number to themselves.
_FULL = "No space left"

_MOST_NUMBERS = 1_000_000

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


Place = Literal["name", "link", "number"]
"""Where a file goes: to the name itself, which is replaced when it is a link; through a link to what it leads to; or to
the next free number behind the name, `a_0001.png` for `a.png`, which no other run gets as well."""


@dataclass
class NewFile:
    """A file on its way. temporary: what is written to; path: where it will be, known at the end for a number."""

    temporary: Path
    path: Path


@contextmanager
def new_file(path: Path, place: Place = "name") -> Iterator[NewFile]:
    """A free name to write to, which takes its place when the block ends well and is removed otherwise. Folders are
    made. Raises MediaError, ResourceError."""
    path = _behind(path) if place == "link" else path
    new_folders: list[Path] = []
    temporary = None
    try:
        with writing(path):
            if place != "number":
                _check_name(path)
            new_folders = [folder for folder in path.parents if not folder.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
        temporary = unfinished(path)
        new = NewFile(temporary, path)
        yield new
        with writing(path):
            if place == "number":
                new.path = _take_number(temporary, path)
            else:
                temporary.replace(path)
    except BaseException:
        if temporary is not None:
            finished(temporary)
        with contextlib.suppress(OSError):  # not empty: someone else uses it
            for folder in new_folders:
                folder.rmdir()
        raise
    finished(temporary)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A free name beside `path` to write to; it becomes `path` when the block ends well, and is removed otherwise."""
    with new_file(path) as new:
        yield new.temporary


def check_place(path: Path, place: Place = "name") -> None:
    """Raise what `new_file` would raise of the place alone: MediaError for folders, devices, no right to write."""
    path = _behind(path) if place == "link" else path
    with writing(path):
        if place != "number":
            _check_name(path)
        folder = next(folder for folder in path.parents if folder.exists())
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{folder} is no folder")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "no right to write")


def _check_name(path: Path) -> None:
    if path.is_dir():
        raise MediaError(f"{path} is a folder: name a file in it")
    if path.exists() and not path.is_file():
        raise MediaError(f"{path} is a device or a pipe: name a file")


def _behind(path: Path) -> Path:
    """What a link leads to; other names as they are. Raises MediaError for links that lead in a circle."""
    if not path.is_symlink():
        return path
    end = Path(os.path.realpath(path))
    if end.is_symlink():
        raise MediaError(f"{path} is a link that leads to itself: name a file")
    return end


def _take_number(temporary: Path, path: Path) -> Path:
    """Give `temporary` the next name `path`_0001 that is free, whatever its ending."""
    taken = {file.stem for file in path.parent.glob(f"{path.stem}_*")}
    for number in range(1, _MOST_NUMBERS):
        name = path.with_name(f"{path.stem}_{number:04d}{path.suffix}")
        if name.stem in taken:
            continue
        try:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # of two runs only one can
        except FileExistsError:
            continue
        try:
            temporary.replace(name)
        except BaseException:
            name.unlink(missing_ok=True)
            raise
        return name
    raise MediaError(f"{path.parent} holds {_MOST_NUMBERS} results: choose another folder")
