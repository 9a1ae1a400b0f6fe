"""Keys of encoded samples: what a sample was made from, so that one is used again only where all of it is the same.

Weights of many gigabytes are told apart by their size and by slices spread over them; two trainings of the same model
differ everywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import ResourceError

SLICES, SLICE = 64, 1 << 16  # of a file that is not read whole
_LENGTH = 24  # hexadecimal digits of a key


class KeyMaker:
    """One key for all parts that it is told, in their order."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, part: str | bytes) -> None:
        """The next part."""
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        self._digest.update(len(data).to_bytes(8, "little"))
        self._digest.update(data)

    @property
    def key(self) -> str:
        """Of all parts so far."""
        return self._digest.hexdigest()[:_LENGTH]


def key_of(parts: Iterable[str | bytes]) -> str:
    """One key for all `parts`, in their order."""
    maker = KeyMaker()
    for part in parts:
        maker.add(part)
    return maker.key


def file_key(path: Path) -> str:
    """The key of a file's content, or of all files below a folder with their names.

    Raises ResourceError where one cannot be read.
    """
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    try:
        parts: list[str | bytes] = []
        for file in files:
            parts += [file.relative_to(path).as_posix(), *_slices(file)]
        return key_of(parts)
    except OSError as error:
        raise ResourceError(f"{error.filename or path} cannot be read ({error.strerror})") from error


def _slices(file: Path) -> Sequence[bytes]:
    """Size and content; of a large file 64 slices of 64 KB, first and last among them."""
    size = file.stat().st_size
    if size <= SLICES * SLICE:
        return [file.read_bytes()]
    with file.open("rb") as stream:
        found = [size.to_bytes(8, "little")]
        for number in range(SLICES):
            stream.seek(number * (size - SLICE) // (SLICES - 1))
            found.append(stream.read(SLICE))
    return found
