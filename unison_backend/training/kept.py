"""Results written while a training runs: each a folder, there whole or not at all, and only the last ones kept."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from ..errors import ResourceError
from ..unfinished import finished, unfinished

CHECKPOINTS, BEST = "checkpoints", "best"
_STEP = re.compile(r"step-([0-9]{6,})")

Write = Callable[[Path], None]


def write_folder(folder: Path, write: Write) -> None:
    """What `write` puts into an empty folder, as `folder`, in place of what was there. Raises ResourceError."""
    new = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = unfinished(folder)
        new.mkdir()
        write(new)
        if folder.exists():
            shutil.rmtree(folder)
        new.rename(folder)
    except OSError as error:
        raise ResourceError(f"{folder} cannot be written ({error}); make room there") from error
    finally:
        if new is not None:
            finished(new)


def checkpoints(folder: Path) -> list[Path]:
    """The results kept in a training's folder, the oldest first."""
    there = (folder / CHECKPOINTS).iterdir() if (folder / CHECKPOINTS).is_dir() else ()
    return sorted(
        (path for path in there if _STEP.fullmatch(path.name)), key=lambda path: int(path.name.partition("-")[2])
    )


def keep(folder: Path, step: int, most: int, write: Write) -> None:
    """Write a result as `checkpoints/step-000500` and remove the oldest beyond `most`; none where that is 0.

    Results of later steps are removed too: a run that was killed wrote them, and they are written again.
    """
    if not most:
        return
    write_folder(folder / CHECKPOINTS / f"step-{step:06d}", write)
    here = checkpoints(folder)
    place = next(number for number, path in enumerate(here) if path.name == f"step-{step:06d}")
    for path in [*here[: max(0, place + 1 - most)], *here[place + 1 :]]:
        shutil.rmtree(path, ignore_errors=True)
