"""A video as numbered pictures, one PNG a frame: what it holds is exact to the 8 bits of a picture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..files import writing
from ..progress import Cancel, Progress, check, never, silent
from ..unfinished import finished, unfinished
from .write import write_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

ENDING = ".png"
_NUMBER = re.compile(r"%(0?[1-9])?d")


def is_sequence(path: Path) -> bool:
    """Whether a name stands for numbered pictures, as `frames/%04d.png` does."""
    return path.suffix.lower() == ENDING and len(_NUMBER.findall(path.name)) == 1


def frame_name(path: Path, number: int) -> Path:
    """The name of a frame, counted from 1."""
    return path.with_name(_NUMBER.sub(lambda found: found.group() % number, path.name))


def check_free(path: Path) -> None:
    """Raise InputError where such frames lie already: a shorter video would end with those of an older one."""
    number = _NUMBER.search(path.name)
    if number is None:
        raise ValueError(f"{path} has no number")
    before, behind = path.name[: number.start()], path.name[number.end() :]
    old = re.compile(rf"{re.escape(before)}\d+{re.escape(behind)}")
    names = sorted(entry.name for entry in path.parent.iterdir()) if path.parent.is_dir() else []
    if there := next((name for name in names if old.fullmatch(name)), None):
        raise InputError(f"--out {path}: {path.with_name(there)} is there already; name an empty folder, or remove it")


def write_sequence(
    path: Path,
    frames: Iterable[NDArray[Any]],
    *,
    metadata: Mapping[str, str] | None = None,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> Path:
    """Write `[H, W, 3]` RGB frames (float in 0..1, or uint8) as `frame_name(path, 1)` and so on, all or none of them.

    metadata: into the first one. Returns `path`. Raises MediaError, ResourceError, Cancelled.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    folder, written = unfinished(path.with_name("frames")), 0
    try:
        for number, pixels in enumerate(frames, 1):
            check(cancel, "writing")
            write_image(folder / frame_name(path, number).name, pixels, metadata=metadata if number == 1 else None)
            progress("writing", number, 0)
            written = number
        with writing(path):
            for number in range(1, written + 1):
                (folder / frame_name(path, number).name).replace(frame_name(path, number))
    finally:
        finished(folder)
    return path
