"""A sentencepiece file in which special pieces cannot be typed."""

from __future__ import annotations

import re
from collections.abc import Iterator

_MOST_BITS = 63


def literal_pieces(model: bytes) -> bytes:
    """A sentencepiece file whose user-defined `<...>` pieces no longer match typed text; ids and sizes are unchanged.

    sentencepiece takes user-defined pieces (type 4) out of any text, `<extra_id_0>` included; as unused ones (type 5)
    they keep their id and never match. The file is protobuf: field 1 is a piece of {1: text, 2: score, 3: type}
    (sentencepiece_model.proto). Raises IndexError or ValueError for bytes that are no such file.
    """
    patched = bytearray(model)
    for number, start, end in _fields(model, 0, len(model)):
        if number != 1:
            continue
        fields = {inner: (first, last) for inner, first, last in _fields(model, start, end)}
        text = model[slice(*fields[1])].decode("utf-8")
        if 3 in fields and model[fields[3][0]] == 4 and re.fullmatch("\u2581?<[^<>]+>", text):
            patched[fields[3][0]] = 5
    return bytes(patched)


def _fields(data: bytes, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(field number, start, end of its value) for each protobuf field in data[position:end]."""
    while position < end:
        tag, position = _varint(data, position)
        kind, start = tag & 7, position
        if kind == 0:
            _, position = _varint(data, position)
        elif kind == 2:
            size, start = _varint(data, position)
            position = start + size
        else:
            position += {1: 8, 5: 4}[kind]
        yield tag >> 3, start, position


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while data[position] & 0x80:
        if shift > _MOST_BITS:
            raise ValueError("a number in it does not end")
        value, shift, position = value | (data[position] & 0x7F) << shift, shift + 7, position + 1
    return value | data[position] << shift, position + 1
