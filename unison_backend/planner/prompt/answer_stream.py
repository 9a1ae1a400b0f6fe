"""The answer inside a plan's JSON, heard while it is written."""

from __future__ import annotations

import json
import re

from ..base import Stream

_OPENING = re.compile(r'"answer"\s*:\s*"')
_INSIDE = re.compile(r'(?:[^"\\]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')
_HALF_PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}$")


class AnswerStream:
    """A `Stream` of JSON that hands on what stands in its `answer`, piece by piece, as plain text."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._heard = ""
        self._start: int | None = None
        self._told = 0

    def __call__(self, piece: str) -> None:
        self._heard += piece
        if self._start is None:
            found = _OPENING.search(self._heard)
            self._start = None if found is None else found.end()
        if self._start is None:
            return
        inside = _INSIDE.match(self._heard, self._start)
        whole = _HALF_PAIR.sub("", inside.group()) if inside else ""
        text = json.loads(f'"{whole}"', strict=False)
        if len(text) > self._told:
            self._stream(text[self._told :])
            self._told = len(text)
