"""Decoded frames brought to their final size by FFmpeg, each channel by itself, before they become float32.

Unusual: swscale is not asked to convert and scale at once. That would take half the time, but it scales colour from the
half size in which it is stored, which moves rims of strong colours by up to 18 of 255. So frames become red, green and
blue at their own size, and each is scaled as a grey, in the bits that it has. The filter is PyTorch's (bicubic with
-0.5, antialiased). Where a rim of full brightness bends the two differ by up to 15 of 255, since swscale cuts what
overshoots between its two passes (as Pillow does) and PyTorch behind them; at the outermost pixels since swscale
repeats the rim; elsewhere by less than 2.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from ..plan import geometry
from .graph import begun, bits_of, plane_of
from .turn import Turn

if TYPE_CHECKING:
    from fractions import Fraction

    from av import VideoFrame

    from .turn import Pixels

FILTER = "flags=bicubic+accurate_rnd:param0=0:param1=0.5"
LOWEST, SPAN = 16384, 32768  # of 16 bits: where the greys of masks lie while they are scaled
FULL_RANGE = 2  # AVCOL_RANGE_JPEG
_PLANAR_YUV = re.compile(r"yuvj?4\d\dp(\d+le)?")


class Fit(NamedTuple):
    """The size that frames are wanted in, as `media.resize.cover` brings them to it.

    whole: width and height of what a frame belongs to, whole: it is stretched to that aspect.
    """

    width: int
    height: int
    whole: tuple[int, int] | None = None


class Place(NamedTuple):
    """How stored frames of one size are fitted: scaled to `size` (width, height), turned, and cut."""

    size: tuple[int, int]
    turn: Turn
    rows: slice
    columns: slice

    @property
    def scale(self) -> str:
        """Options of the scale filter."""
        return f"w={self.size[0]}:h={self.size[1]}:{FILTER}"

    def shown(self, pixels: Pixels) -> Pixels:
        """`[H, W, C]` as stored, scaled, to what is shown."""
        return self.turn.apply(pixels)[self.rows, self.columns]


def place_of(fit: Fit, size: tuple[int, int], turn: Turn) -> Place | None:
    """For frames of a stored width and height; None where they have the wanted size as they are shown."""
    shown = turn.size(*size)
    if shown == (fit.width, fit.height):
        return None
    width, height, left, top = geometry.cover(*(fit.whole or shown), fit.width, fit.height)
    cut = slice(top, top + fit.height), slice(left, left + fit.width)
    return Place(turn.size(width, height), turn, *cut)


class FittedColours:
    """Frames like one of them through one graph: to planes of red, green and blue, and these to their place."""

    def __init__(
        self, frame: VideoFrame, time_base: Fraction | None, convert: tuple[tuple[str, str], ...], place: Place
    ) -> None:
        """convert: the filters that make planes of red, green and blue of them, at their own size."""
        self._place = place
        self._graph, planes = begun(frame, time_base, *convert, ("extractplanes", "planes=r+g+b"))
        self._sinks = [self._scaled(planes, number) for number in range(3)]
        self._graph.configure()

    def _scaled(self, planes: Any, number: int) -> Any:
        scale, sink = self._graph.add("scale", self._place.scale), self._graph.add("buffersink")
        planes.link_to(scale, number, 0)
        scale.link_to(sink)
        return sink

    def __call__(self, frame: VideoFrame) -> Pixels:
        """Float32 `[H, W, 3]` in 0..1."""
        import numpy as np

        self._graph.push(frame)
        stored = [plane_of(sink.pull()) for sink in self._sinks]
        pixels = np.empty((*stored[0].shape, 3), np.float32)
        for number, plane in enumerate(stored):
            np.divide(plane, np.iinfo(plane.dtype).max, out=pixels[..., number], dtype=np.float32)
        return self._place.shown(pixels)


def is_grey(frame: VideoFrame) -> bool:
    """Whether a frame's brightness says all of it: YUV without any colour, as most masks are stored."""
    if not _PLANAR_YUV.fullmatch(frame.format.name):
        return False
    bits = bits_of(frame)
    half, slack = 1 << (bits - 1), int(bits > 8)  # converters miss the middle of 10 bits by one step
    colours = plane_of(frame, 1), plane_of(frame, 2)
    return all(half - slack <= int(colour.min()) and int(colour.max()) <= half + slack for colour in colours)


class FittedGreys:
    """Frames like one of them, of which `is_grey` holds: their brightness is scaled alone, in 16 bits."""

    def __init__(self, frame: VideoFrame, time_base: Fraction | None, place: Place) -> None:
        self._place = place
        self._black, self._white = _ends(frame)
        self._step = SPAN // (self._white - self._black)
        self._graph, last = begun(self._spread(frame), time_base, ("scale", place.scale))
        last.link_to(self._graph.add("buffersink"))
        self._graph.configure()

    def _spread(self, frame: VideoFrame) -> VideoFrame:
        """Its brightness from `LOWEST` on: what overshoots has room on both sides, and is cut behind the filter."""
        import av
        import numpy as np

        stored = plane_of(frame).clip(self._black, self._white)
        stored -= stored.dtype.type(self._black)
        spread = np.multiply(stored, self._step, dtype=np.uint16)
        spread += LOWEST
        return av.VideoFrame.from_ndarray(spread, format="gray16le")

    def __call__(self, frame: VideoFrame) -> Pixels:
        """Float32 `[H, W, 1]` in 0..1."""
        import numpy as np

        self._graph.push(self._spread(frame))
        scaled: Any = self._graph.pull()
        pixels = plane_of(scaled).astype(np.float32)
        pixels -= LOWEST
        pixels /= self._step * (self._white - self._black)
        return self._place.shown(pixels.clip(0, 1)[..., None])


def _ends(frame: VideoFrame) -> tuple[int, int]:
    """The numbers of black and white in the bits and the range of a YUV frame."""
    bits = bits_of(frame)
    if int(frame.color_range) == FULL_RANGE or frame.format.name.startswith("yuvj"):
        return 0, (1 << bits) - 1
    return 16 << (bits - 8), 235 << (bits - 8)  # ITU-R BT.709
