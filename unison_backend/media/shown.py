"""Decoded frames as a viewer shows them.

Unusual: colours go through FFmpeg's scale filter, because PyAV's own conversion ignores the colour tags in some
versions (14.2 shows every BT.709 video in BT.601 colours); untagged videos are BT.601, as in FFmpeg.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..errors import MediaError
from .kinds import MAX_MEDIA_SIDE
from .light import light_of
from .turn import CLOCKWISE, COUNTERCLOCKWISE, HALF, Turn, brightest, on_background

if TYPE_CHECKING:
    from av import VideoFrame
    from av.filter import Graph
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    from .turn import Pixels

SWSCALE_FLAGS = "flags=bicubic+accurate_rnd+full_chroma_int"
# swscale makes planes of YUV in a third of the time that it takes for packed pixels, equal to the bit.
PLANAR = {"rgb24": "gbrp", "rgb48le": "gbrp16le"}
# The "rotate" tag of old files, in quarter turns clockwise.
QUARTERS = (Turn(), CLOCKWISE, HALF, COUNTERCLOCKWISE)


def turn_of(frame: VideoFrame, stream: VideoStream) -> Turn:
    """The turn that a frame's display matrix asks for, to the nearest quarter, or else the stream's "rotate" tag."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        degrees = next((value for key, value in stream.metadata.items() if key.lower() == "rotate"), "0")
        return QUARTERS[round(int(degrees) / 90) % 4] if degrees.lstrip("+-").isdecimal() else Turn()
    # x' = a x + c y and y' = b x + d y, with y downwards.
    a, b, _, c, d = memoryview(bytes(matrix)).cast("i")[:5]
    return Turn(True, c < 0, b < 0) if abs(b) > abs(a) else Turn(False, a < 0, d < 0)


def square_pixels(frame: VideoFrame, stream: VideoStream, path: Path) -> tuple[int, int]:
    """A frame's width and height with square pixels (old camera and disc formats store narrow or wide ones)."""
    width, height, aspect = frame.width, frame.height, stream.sample_aspect_ratio
    if aspect and abs(aspect - 1) >= Fraction(1, 100):
        width = max(1, round(width * aspect))
    if max(width, height) > MAX_MEDIA_SIDE:
        raise MediaError(f"{path} is too large: scale it down to at most {MAX_MEDIA_SIDE} pixels a side")
    return width, height


class Shown:
    """Makes decoded frames float32 `[H, W, 3]` in 0..1, as a viewer shows them, all of the first one's size.

    as_mask: their values are numbers, no colours: `[H, W, 1]`, the brightest channel as it is stored, or of frames
    with alpha all four as they are, `[H, W, 4]`.
    """

    def __init__(self, stream: VideoStream, first: VideoFrame, path: Path, *, as_mask: bool = False) -> None:
        self._time_base = stream.time_base
        self._size = square_pixels(first, stream, path)
        self._turn = turn_of(first, stream)
        self._light = None if as_mask else light_of(stream)
        self._as_mask = as_mask
        self._source: tuple[object, ...] = ()
        self._graph: Graph

    def __call__(self, frame: VideoFrame) -> Pixels:
        import numpy as np

        source = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
        if source != self._source:
            self._graph, self._source = self._graph_for(frame), source
        self._graph.push(frame)
        converted: Any = self._graph.pull()
        planar = converted.format.name in PLANAR.values()
        stored = _brightest(converted) if planar and self._as_mask else converted.to_ndarray()
        pixels: Pixels = np.divide(stored, np.iinfo(stored.dtype).max, dtype=np.float32)
        if self._light is not None:
            pixels[..., :3] = self._light.to_bt709(stored[..., :3])
        if pixels.shape[2] == 4 and stored.dtype == np.uint16:
            # swscale shifts alpha up without filling the low bits: opaque 8-bit alpha arrives as 65280.
            pixels[..., 3] = np.minimum(pixels[..., 3] * np.float32(257 / 256), 1)
        if self._as_mask:
            return self._turn.apply(brightest(pixels))
        return self._turn.apply(on_background(pixels, 1.0))

    def _graph_for(self, frame: VideoFrame) -> Graph:
        parts = frame.format.components
        alpha, deep = any(part.is_alpha for part in parts), any(part.bits > 8 for part in parts)
        target = ("rgba64le" if alpha else "rgb48le") if deep else ("rgba" if alpha else "rgb24")
        target = target if frame.format.is_rgb else PLANAR.get(target, target)
        return scale_graph(frame, self._time_base, f"w={self._size[0]}:h={self._size[1]}", target)


def _brightest(frame: VideoFrame) -> NDArray[Any]:
    """The largest of a planar frame's channels, `[H, W, 1]` as stored."""
    import numpy as np

    dtype = np.dtype(np.uint16 if frame.format.name == PLANAR["rgb48le"] else np.uint8)
    first, *others = (
        np.frombuffer(plane, dtype).reshape(plane.height, plane.line_size // dtype.itemsize)[:, : plane.width]
        for plane in cast("tuple[Any, ...]", frame.planes)
    )
    largest = first.copy()
    for other in others:
        np.maximum(largest, other, out=largest)
    return largest[..., None]


def scale_graph(frame: VideoFrame, time_base: Fraction | None, options: str, pixel_format: str) -> Graph:
    """A filter graph that takes frames like this one to a pixel format, minding colour matrix and range."""
    from av.filter import Graph

    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=time_base or Fraction(1, 90000)
    )
    scale = graph.add("scale", f"{options}:{SWSCALE_FLAGS}")
    to_format = graph.add("format", f"pix_fmts={pixel_format}")
    sink = graph.add("buffersink")
    source.link_to(scale)
    scale.link_to(to_format)
    to_format.link_to(sink)
    graph.configure()
    return graph
