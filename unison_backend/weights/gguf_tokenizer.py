"""The tokenizer inside a GGUF text encoder, as the sentencepiece file that it was made from.

llama.cpp's converter takes a T5's sentencepiece apart into lists (pieces, scores, types) and a table of normalisation;
together they are the file again, in its format (sentencepiece_model.proto).
"""

from __future__ import annotations

import struct
from typing import Any

_T5 = "t5"
_UNIGRAM = 1  # a model's type
_BYTE = 6  # a piece's type
_VARINT, _BYTES, _FLOAT = 0, 2, 5


def spiece_of(reader: Any) -> bytes | None:
    """The file's bytes for an open `GGUFReader`; None where it holds no T5's tokenizer.

    Raises ValueError for lists of different lengths.
    """
    if _content(reader, "model") != _T5:
        return None
    tokens, scores, kinds = (_content(reader, name) or [] for name in ("tokens", "scores", "token_type"))
    pieces = zip(tokens, scores, kinds, strict=True)
    charsmap = bytes(value & 0xFF for value in _content(reader, "precompiled_charsmap") or [])
    trainer = _field(3, _VARINT, _UNIGRAM) + _field(4, _VARINT, len(tokens))
    trainer += _field(35, _VARINT, int(_BYTE in kinds))  # what no piece is for becomes bytes
    normalizer = (
        (_field(2, _BYTES, charsmap) if charsmap else b"")
        + _field(3, _VARINT, _truth(reader, "add_space_prefix"))
        + _field(4, _VARINT, _truth(reader, "remove_extra_whitespaces"))
        + _field(5, _VARINT, 1)
    )
    parts = [_field(1, _BYTES, _piece(*piece)) for piece in pieces]
    return b"".join([*parts, _field(2, _BYTES, trainer), _field(3, _BYTES, normalizer)])


def _content(reader: Any, name: str) -> Any:
    field = reader.get_field(f"tokenizer.ggml.{name}")
    return None if field is None else field.contents()


def _truth(reader: Any, name: str) -> int:
    """1 for what is not said, as in sentencepiece."""
    value = _content(reader, name)
    return int(value is None or bool(value))


def _piece(text: str, score: float, kind: int) -> bytes:
    return _field(1, _BYTES, text.encode()) + _field(2, _FLOAT, struct.pack("<f", score)) + _field(3, _VARINT, kind)


def _field(number: int, kind: int, value: Any) -> bytes:
    """One field of a message: its number and kind, then a number, four bytes, or bytes behind their length."""
    tag = _varint(number << 3 | kind)
    if kind == _VARINT:
        return tag + _varint(value)
    return tag + (_varint(len(value)) if kind == _BYTES else b"") + bytes(value)


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])
