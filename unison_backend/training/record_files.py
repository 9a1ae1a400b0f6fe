"""Chat records that stay in their files: of each no more than its place is in memory."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

from ..errors import InputError
from ..progress import Cancel, Progress, check, never, silent
from .chats import Chat, Pair, as_sample, checked
from .json_rows import read_row, rows, stamp_of

_STAGE = "reading the records"
_SEEN = 500  # records between two looks at progress and cancel


class RecordFiles(Sequence["Pair | Chat"]):
    """The records of files, one behind the other, each read when it is asked for (12 bytes of memory for each).

    All of them are looked at first. Raises InputError naming the record that is none (`chats.read_messages`), or later
    the file that was changed; Cancelled.
    """

    def __init__(self, paths: Sequence[Path], progress: Progress = silent, cancel: Cancel = never) -> None:
        self._paths, self._stamps = tuple(paths), [_stamp(path) for path in paths]
        self._begins: list[int] = []  # the number of each file's first record
        self._first, self._length = array("q"), array("I")
        for path, (size, _) in zip(self._paths, self._stamps, strict=True):
            self._begins.append(len(self._first))
            for number, row in enumerate(rows(path), 1):
                checked(path, number, row.value)
                self._first.append(row.first)
                self._length.append(row.length)
                if number % _SEEN == 0:
                    check(cancel, _STAGE)
                    progress(_STAGE, row.first + row.length, size)

    def __len__(self) -> int:
        return len(self._first)

    @overload
    def __getitem__(self, index: int) -> Pair | Chat: ...

    @overload
    def __getitem__(self, index: slice) -> list[Pair | Chat]: ...

    def __getitem__(self, index: int | slice) -> Pair | Chat | list[Pair | Chat]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        file = bisect_right(self._begins, index) - 1
        path, first, length = self._paths[file], self._first[index], self._length[index]
        value = read_row(path, first, length, self._stamps[file])
        return as_sample(checked(path, index - self._begins[file] + 1, value))

    def __iter__(self) -> Iterator[Pair | Chat]:
        for path in self._paths:
            for number, row in enumerate(rows(path), 1):
                yield as_sample(checked(path, number, row.value))


def _stamp(path: Path) -> tuple[int, int]:
    try:
        with path.open("rb") as file:
            return stamp_of(file)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
