"""Decoded frames as a viewer shows them.

Unusual: colours go through FFmpeg's scale filter, because PyAV's own conversion ignores the colour tags in some
versions (14.2 shows every BT.709 video in BT.601 colours); untagged videos are BT.601, as in FFmpeg.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MediaError
from .fit import Fit, FittedColours, FittedGreys, is_grey, place_of
from .graph import begun, bits_of, plane_of
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
    fit: frames that are scaled to it as they are read come so, others in their own size (those with alpha, HDR, stored
    as RGB; of masks those with colour, or with pixels that are not square).
    """

    def __init__(
        self, stream: VideoStream, first: VideoFrame, path: Path, *, as_mask: bool = False, fit: Fit | None = None
    ) -> None:
        self._time_base = stream.time_base
        self._size = square_pixels(first, stream, path)
        self._turn = turn_of(first, stream)
        self._light = None if as_mask else light_of(stream)
        self._as_mask = as_mask
        self._place = None if fit is None else place_of(fit, self._size, self._turn)
        self._kind: tuple[object, ...] = ()
        self._graph: Graph | None = None
        self._fitted: FittedColours | FittedGreys | None = None

    def __call__(self, frame: VideoFrame) -> Pixels:
        kind = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
        if kind != self._kind:
            self._kind, self._graph, self._fitted = kind, None, None
        if self._is_fitted(frame):
            self._fitted = self._fitted or self._fitted_for(frame)
            return self._fitted(frame)
        self._graph = self._graph or self._graph_for(frame)
        self._graph.push(frame)
        return self._unit(self._graph.pull())

    def _is_fitted(self, frame: VideoFrame) -> bool:
        if self._place is None:
            return False
        if self._as_mask:
            return self._size == (frame.width, frame.height) and is_grey(frame)
        return self._light is None and self._target(frame) in PLANAR.values()

    def _fitted_for(self, frame: VideoFrame) -> FittedColours | FittedGreys:
        if self._place is None:
            raise ValueError("there is no place to fit to")
        if self._as_mask:
            return FittedGreys(frame, self._time_base, self._place)
        convert = ("scale", f"{self._own_size}:{SWSCALE_FLAGS}"), ("format", f"pix_fmts={self._target(frame)}")
        return FittedColours(frame, self._time_base, convert, self._place)

    def _unit(self, converted: Any) -> Pixels:
        """What a graph made, as shown."""
        import numpy as np

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

    @property
    def _own_size(self) -> str:
        return f"w={self._size[0]}:h={self._size[1]}"

    def _target(self, frame: VideoFrame) -> str:
        alpha, deep = any(part.is_alpha for part in frame.format.components), bits_of(frame) > 8
        target = ("rgba64le" if alpha else "rgb48le") if deep else ("rgba" if alpha else "rgb24")
        return target if frame.format.is_rgb else PLANAR.get(target, target)

    def _graph_for(self, frame: VideoFrame) -> Graph:
        return scale_graph(frame, self._time_base, self._own_size, self._target(frame))


def _brightest(frame: VideoFrame) -> NDArray[Any]:
    """The largest of a planar frame's channels, `[H, W, 1]` as stored."""
    import numpy as np

    largest = plane_of(frame).copy()
    for number in (1, 2):
        np.maximum(largest, plane_of(frame, number), out=largest)
    return largest[..., None]


def scale_graph(frame: VideoFrame, time_base: Fraction | None, options: str, pixel_format: str) -> Graph:
    """A filter graph that takes frames like this one to a pixel format, minding colour matrix and range."""
    filters = ("scale", f"{options}:{SWSCALE_FLAGS}"), ("format", f"pix_fmts={pixel_format}")
    graph, last = begun(frame, time_base, *filters)
    last.link_to(graph.add("buffersink"))
    graph.configure()
    return graph
