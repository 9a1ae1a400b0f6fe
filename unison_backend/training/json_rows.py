"""Rows of a file, JSON lines or one JSON list, one after the other: half a million take no more memory than one."""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import InputError

_CHUNK = 1 << 20  # bytes of a list that are looked at together
_BOM = codecs.BOM_UTF8
_BLANK = b" \t\r\n"
_BLANKS = _BLANK.decode()
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Row:
    """One row, and the bytes of the file that it stands in: from `first` on, `length` of them."""

    value: Any
    first: int
    length: int


def rows(path: Path) -> Iterator[Row]:
    """The rows in their order; lines without anything are none.

    Raises InputError for a file that cannot be read, naming the line or the row that is no JSON.
    """
    try:
        with path.open("rb") as file:
            start = len(_BOM) if file.read(len(_BOM)) == _BOM else 0
            file.seek(start)
            yield from _of_list(path, file) if _begins_a_list(file) else _of_lines(path, file, start)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error


def read_row(path: Path, first: int, length: int, stamp: tuple[int, int]) -> Any:
    """A row by its place. Raises InputError where the file is not the one any more that had `stamp`."""
    try:
        with path.open("rb") as file:
            if stamp_of(file) != stamp:
                raise InputError(f"{path} was changed while it was in use; begin again")
            file.seek(first)
            return json.loads(file.read(length).decode())
    except OSError as error:
        raise InputError(f"{path} cannot be read any more ({error.strerror})") from error


def stamp_of(file: BinaryIO) -> tuple[int, int]:
    """What tells whether a file was changed: its size and the time of its last byte."""
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


def _begins_a_list(file: BinaryIO) -> bool:
    """Whether the first thing in the file is a list; the file stands behind the blanks before it."""
    while byte := file.read(1):
        if byte not in _BLANK:
            file.seek(-1, os.SEEK_CUR)
            return byte == b"["
    return False


def _unread(path: Path, where: str, error: Exception) -> InputError:
    why = error.msg if isinstance(error, json.JSONDecodeError) else str(error)  # its line is that of a piece
    return InputError(f"{path} cannot be read as JSON lines or a JSON list: {where}: {why}")


def _of_lines(path: Path, file: BinaryIO, start: int) -> Iterator[Row]:
    file.seek(start)
    first = start
    for number, line in enumerate(file, 1):
        if line.strip(_BLANK):
            try:
                yield Row(json.loads(line.decode()), first, len(line))
            except (ValueError, RecursionError) as error:
                raise _unread(path, f"line {number}", error) from error
        first += len(line)


class _Text:
    """The text of a file from where it stands on, a piece at a time. at: the next character; first: its byte."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._decoder = file, codecs.getincrementaldecoder("utf-8")()
        self._chunk = _CHUNK
        self.text, self.at, self.first = "", 0, file.tell()

    def more(self) -> bool:
        """Whether there was more of it; each time more is taken, so that a long row is not read over and over."""
        data = self._file.read(self._chunk)
        self.text = self.text[self.at :] + self._decoder.decode(data, final=not data)
        self.at, self._chunk = 0, 2 * self._chunk
        return bool(data)

    def skip(self, count: int) -> int:
        """Go on by so many characters; returns their bytes."""
        length = len(self.text[self.at : self.at + count].encode())
        self.at, self.first, self._chunk = self.at + count, self.first + length, _CHUNK
        return length

    def next(self) -> str:
        """The next character that is no blank, "" at the end; what stands before it is behind."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in _BLANKS:
                self.skip(1)
            if self.at < len(self.text) or not self.more():
                return self.text[self.at : self.at + 1]

    def row(self) -> Row:
        """The JSON value that begins here. Raises ValueError, RecursionError."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.at)
            except ValueError:
                if not self.more():
                    raise
                continue
            count = end - self.at
            if end < len(self.text) or not self.more():  # a number may go on
                first = self.first
                return Row(value, first, self.skip(count))


def _of_list(path: Path, file: BinaryIO) -> Iterator[Row]:
    text, number = _Text(file), 0
    try:
        text.next()
        text.skip(1)  # the bracket
        behind = text.next()
        while behind != "]":
            number += 1
            yield text.row()
            behind = text.next()
            if behind not in ("]", ","):
                raise ValueError("neither , nor ] stands behind it")
            if behind == ",":
                text.skip(1)
                if text.next() == "]":
                    raise ValueError("nothing stands behind its comma")
        text.skip(1)
        if text.next():
            raise ValueError("something stands behind the list")
    except (ValueError, RecursionError) as error:
        raise _unread(path, f"record {number}", error) from error
