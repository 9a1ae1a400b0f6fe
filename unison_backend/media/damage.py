"""Whether a video file was cut short, by what its own headers promise."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

# Some AVI writers count their own header twice, so a few missing bytes are no damage.
CUT_SLACK = 64


def is_cut_short(path: Path) -> bool:
    """Whether the headers of a video file (MP4, MOV, Matroska, WebM, AVI) promise more bytes than there are.

    FFmpeg does not always tell: a Matroska file that was cut simply ends earlier.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        if head.startswith(b"RIFF"):
            end = int.from_bytes(head[4:], "little") + 8
        elif head.startswith(b"\x1aE\xdf\xa3"):
            end = _matroska_end(file)
        else:
            end = _last_box_end(file, size)
    return end - size > CUT_SLACK


def _last_box_end(file: BinaryIO, size: int) -> int:
    """Where the last top-level box of an MP4 or MOV file says that it ends."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:  # the real one follows the name
            length = int.from_bytes(header[8:], "big")
        if length < 8 or not header[4:8].isalnum():
            break
        at += length
    return at


def _matroska_end(file: BinaryIO) -> int:
    """Where the segment of a Matroska or WebM file says that it ends; 0 when it does not say (live recordings)."""
    file.seek(4)
    file.seek(_ebml_size(file), os.SEEK_CUR)
    if file.read(4) != b"\x18\x53\x80\x67":
        return 0
    length = _ebml_size(file)
    return file.tell() + length if length else 0


def _ebml_size(file: BinaryIO) -> int:
    """The size at the file's position, in EBML's coding; 0 for "unknown"."""
    first = file.read(1) or b"\xff"
    length = 9 - first[0].bit_length()
    value = int.from_bytes(first + file.read(length - 1), "big")
    mask = (1 << 7 * length) - 1
    return 0 if value & mask == mask else value & mask
