"""Media for the tests, made by Pillow and PyAV or byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from unison_backend.errors import MediaError
from unison_backend.media.pictures import load_image
from unison_backend.media.probe import probe
from unison_backend.media.video import load_video

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)
WIDTH, HEIGHT = 64, 48


def flat(colour: Sequence[int] | int, width: int = WIDTH, height: int = HEIGHT) -> Any:
    return np.full((height, width, 3), colour, np.uint8)


def greys(count: int, step: int = 10) -> list[Any]:
    """Frames that tell their own number by their brightness."""
    return [flat(20 + step * n) for n in range(count)]


def numbers(video: Any, step: int = 10) -> list[int]:
    """The numbers of frames made by `greys`."""
    return [round((float(frame.mean()) * 255 - 20) / step) for frame in video]


def make_video(
    path: Path,
    frames: Sequence[Any],
    *,
    rate: Fraction | int = 24,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    options: dict[str, str] | None = None,
    source: str = "rgb24",
    colour: tuple[int, int] | None = None,
    filters: str = "",
    file_format: str | None = None,
    aspect: Fraction | None = None,
) -> Path:
    """Encode `[H, W, C]` frames. `colour`: the codes of matrix and range to write; `filters`: options of scale."""
    with av.open(str(path), "w", format=file_format) as output:
        stream: Any = output.add_stream(
            codec, rate=rate, options=options or ({"crf": "4"} if codec == "libx264" else {})
        )
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = time_base or 1 / Fraction(rate)
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if colour:
            stream.codec_context.colorspace, stream.codec_context.color_range = colour
        for n, pixels in enumerate(frames):
            frame = convert(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=source), pix_fmt, filters)
            frame.pts, frame.time_base = (pts[n] if pts else n), stream.codec_context.time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def convert(frame: Any, pix_fmt: str, filters: str) -> Any:
    """A frame in another pixel format by FFmpeg's own scale filter."""
    graph = av.filter.Graph()
    frame.pts = 0
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 24))
    nodes = [source, graph.add("scale", filters or "flags=accurate_rnd"), graph.add("format", f"pix_fmts={pix_fmt}")]
    nodes.append(graph.add("buffersink"))
    for left, right in pairwise(nodes):
        left.link_to(right)
    graph.configure()
    graph.push(frame)
    return graph.pull()


def rotated(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write a display matrix (a, b, c, d) into the track header of an MP4."""
    data = bytearray(path.read_bytes())
    plain = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    at = data.index(plain, data.index(b"tkhd"))
    a, b, c, d = (value << 16 for value in matrix)
    data[at : at + len(plain)] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def noise(count: int, width: int = WIDTH, height: int = HEIGHT) -> list[Any]:
    """Frames that do not compress, so that half a file holds half of them."""
    return list(np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8))


def annexed(source: Any) -> Iterator[Any]:
    """The packets of an H.264 file with its parameter sets in them."""
    stream = source.streams.video[0]
    extra = stream.codec_context.extradata
    sets, at = b"", 6
    for _ in range(2):
        size = int.from_bytes(extra[at : at + 2], "big")
        sets += size.to_bytes(4, "big") + extra[at + 2 : at + 2 + size]
        at += 2 + size + 1
    for packet in source.demux(stream):
        if packet.size:
            made = av.Packet(sets + bytes(packet))
            made.pts, made.dts, made.time_base = packet.pts, packet.dts, packet.time_base
            yield made


FORMATS = {".mp4": "mp4", ".mkv": "matroska", ".webm": "webm", ".avi": "avi"}


def index_in_front(path: Path) -> bytes:
    """The bytes of an MP4, its index moved before the pictures (as most files on the web have it)."""
    moved = path.with_suffix(".front")
    with (
        av.open(str(path)) as source,
        av.open(str(moved), "w", format="mp4", options={"movflags": "faststart"}) as output,
    ):
        target: Any = output.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = target
                output.mux(packet)
    return moved.read_bytes()


def refusal(path: Path, kind: Any, *words: str) -> None:
    """Both `probe` and loading refuse, naming the file and those words."""
    load = load_image if kind == "image" else load_video
    for action in (lambda: probe(path, kind), lambda: load(path)):
        with pytest.raises(MediaError) as error:
            action()
        for word in (path.name.replace("\0", "\\x00"), *words):
            assert word in str(error.value)


def damage(path: Path, seed: int, places: int) -> None:
    random = np.random.default_rng(seed)
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    data[random.integers(0, len(data), places)] = random.integers(0, 256, places)
    path.write_bytes(data.tobytes()[: random.integers(len(data) // 2, len(data) * 2)])
