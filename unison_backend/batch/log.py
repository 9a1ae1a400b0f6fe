"""`results.jsonl`: a row for each line, written by the one process that leads the batch; and the lock on its folder."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any, Literal

from ..errors import InputError
from ..files import replacing, writing

LOG, LOCK, ATTEMPTS = "results.jsonl", ".batch.lock", ".attempts"

Status = Literal["done", "refused", "failed"]
"""refused: the line cannot be made as it is; failed: it could not be made here."""


@dataclass(frozen=True)
class Row:
    """What became of a line. path: of the result, beside the log; answer: of a question."""

    line: int
    name: str
    status: Status
    prompt: str
    path: str | None = None
    answer: str | None = None
    plan: dict[str, Any] | None = None
    seconds: float | None = None
    notices: list[str] = field(default_factory=list)
    error: str | None = None

    def has_result(self, out: Path) -> bool:
        """True when its file (or its answer) is there."""
        return self.status == "done" and (self.answer is not None or bool(self.path and (out / self.path).is_file()))


class Log:
    """The rows of a folder. Use it inside `locked`."""

    def __init__(self, out: Path) -> None:
        self._path = out / LOG
        self._file: FileIO | None = None

    def read(self) -> list[Row]:
        """Rows that are there; a last line that was cut off in the middle is left out. Raises InputError."""
        if not self._path.is_file():
            return []
        rows = []
        lines = self._path.read_text(encoding="utf-8").split("\n")
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                rows.append(Row(**json.loads(line)))
            except (ValueError, TypeError):
                if number < len(lines):
                    raise InputError(
                        f"{self._path}, line {number} is no row of a batch: choose another --out, or move the file away"
                    ) from None
        return rows

    def start(self, rows: Iterable[Row]) -> None:
        """Begin the log with these rows alone, whole or not at all."""
        with replacing(self._path) as temporary, temporary.open("wb") as file:
            file.writelines(map(_line, rows))

    def add(self, row: Row) -> None:
        """One more row: whole on the disk when this returns, not there when this raises (ResourceError, MediaError)."""
        with writing(self._path):
            if self._file is None:
                # Without a buffer: what did not fit would be written again when the file is closed.
                self._file = self._path.open("ab", buffering=0)
            end = self._file.seek(0, os.SEEK_END)
            line = _line(row)
            try:
                if self._file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(self._file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    self._file.truncate(end)
                raise

    def close(self) -> None:
        """Let go of the file; its rows are on the disk."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None


def _line(row: Row) -> bytes:
    text = json.dumps(asdict(row), ensure_ascii=False, separators=(",", ":")) + "\n"
    return text.encode("utf-8", "backslashreplace")


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Inside, no other batch works in `out`, which is made. Raises InputError when one does."""
    from filelock import FileLock, Timeout

    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / LOCK)
    with writing(out / LOCK):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise InputError(f"another unison batch works in {out}: wait for it, or choose another --out") from None
    try:
        yield
    finally:
        lock.release()
