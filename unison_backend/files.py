"""Files written whole or not at all, and what the system says about writing, in words."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from .errors import MediaError, ResourceError, UnisonError

# Windows' own numbers (sharing and lock violation); elsewhere an open file may be replaced.
_IN_USE = (32, 33)
# What libraries say that keep the system's number to themselves.
_FULL = "No space left"


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
