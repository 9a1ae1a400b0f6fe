"""Names of files and folders that are still being written, and what runs that were killed left of them.

Such a name says whose it is: `.unison-<machine>-<process>-<random>` and the file's own ending. What a dead process
left is removed by the next one that writes into the same folder; what a living one writes is never touched.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import socket
import time
from functools import cache
from pathlib import Path

_NAME = re.compile(r"\.unison-([0-9a-f]{8})-([0-9]{1,10})-[0-9a-f]{12}(\.\w{1,16})?")
# Clocks of file servers differ by so much; a process that began later than that behind a file's last byte, and has
# the number of the one that wrote it, is another one.
_CLOCKS = 3600.0
# Whether a process of another machine lives cannot be asked; nothing is written for so long without a byte more.
_FORGOTTEN = 86400.0

_own: set[Path] = set()
_swept: set[Path] = set()


def unfinished(path: Path) -> Path:
    """A free name beside `path`, with its ending, to write to until it is whole. `finished` is called behind it."""
    sweep(path.parent)
    ending = path.suffix if re.fullmatch(r"\.\w{1,16}", path.suffix, re.ASCII) else ""
    name = path.with_name(f".unison-{_machine()}-{os.getpid()}-{secrets.token_hex(6)}{ending}")
    _own.add(name)
    return name


def removed_with(name: Path) -> None:
    """Another file that goes when this process ends at once, until `finished` or `kept` is called for it."""
    _own.add(name)


def finished(name: Path) -> None:
    """Remove what still lies under a name of `unfinished`, a file or a folder; errors are nobody's concern."""
    with contextlib.suppress(OSError):
        if name.is_dir():
            shutil.rmtree(name, ignore_errors=True)
        else:
            name.unlink(missing_ok=True)
    _own.discard(name)


def kept(name: Path) -> None:
    """What `removed_with` was told of stays after all."""
    _own.discard(name)


def remove_own() -> None:
    """Remove all that this process has not finished: for one that ends at once."""
    for name in list(_own):
        finished(name)


def sweep(folder: Path) -> None:
    """Remove what dead processes left in `folder`; each folder is looked into once a process."""
    if folder in _swept:
        return
    _swept.add(folder)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if _is_dead(entry):
                    finished(Path(entry.path))


def _is_dead(entry: os.DirEntry[str]) -> bool:
    """True for a name of ours whose process is no more."""
    match = _NAME.fullmatch(entry.name)
    if match is None or entry.is_symlink():
        return False
    written = entry.stat(follow_symlinks=False).st_mtime
    if match[1] != _machine():
        return time.time() - written > _FORGOTTEN
    import psutil

    try:
        return bool(psutil.Process(int(match[2])).create_time() > written + _CLOCKS)
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


@cache
def _machine() -> str:
    """Eight digits for where a process's number means the same: a machine, and on Linux its namespace (a container)."""
    where = socket.gethostname()
    with contextlib.suppress(OSError):
        where += str(Path("/proc/self/ns/pid").readlink())
    return hashlib.sha256(where.encode("utf-8", "replace")).hexdigest()[:8]
