"""Reading videos with PyAV: frame times without decoding, and frames as float32 RGB.

Unusual: colours go through FFmpeg's scale filter, because PyAV's own conversion ignores the colour tags in some
versions (14.2 shows every BT.709 video in BT.601 colours); untagged videos are BT.601, as in FFmpeg. Decoding uses no
frame threads, because these lose errors at the end of a file. Frames are numbered by their packets' times, so that a
frame that the decoder drops (at a cut, say) does not shift the ones behind it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain, count, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..defaults import FPS
from ..errors import MediaError, ResourceError
from ..plan.geometry import MediaInfo
from ..progress import Cancel, check, never
from .damage import is_cut_short
from .kinds import MAX_MEDIA_SIDE, check_kind
from .turn import CLOCKWISE, COUNTERCLOCKWISE, HALF, Turn, on_background

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.filter import Graph
    from av.video.stream import VideoStream

    from .turn import Pixels

# Named one by one, because FFmpeg would follow a playlist of any name to other files and servers.
FFMPEG_FORMATS = "mov,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,wav,mp3,flac,aac,aiff"
SWSCALE_FLAGS = "flags=bicubic+accurate_rnd+full_chroma_int"
# For a file that says nothing about its rate.
DEFAULT_RATE = Fraction(FPS)
# The "rotate" tag of old files, in quarter turns clockwise.
QUARTERS = (Turn(), CLOCKWISE, HALF, COUNTERCLOCKWISE)


def open_container(path: Path) -> InputContainer:
    """A video or sound file opened by PyAV; MediaError when FFmpeg cannot read it."""
    import av

    # Foreign tags need not be UTF-8: PyAV 19 takes them as they are, older ones have to be told.
    lenient: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
    try:
        # An absolute path is never taken for a protocol.
        opened: InputContainer = av.open(
            str(path.absolute()), container_options={"format_whitelist": FFMPEG_FORMATS}, **lenient
        )
    except av.FFmpegError as error:
        raise MediaError(f"{path} is damaged or not a video: copy it again or convert it to MP4") from error
    return opened


def main_stream(container: InputContainer) -> VideoStream | None:
    """The moving picture among a file's streams, or None; covers and thumbnails are none."""
    from av.stream import Disposition

    still = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [stream for stream in container.streams.video if not stream.disposition & still]
    best = container.streams.best("video")
    first = streams[0] if streams else None
    return next((stream for stream in streams if best is not None and stream.index == best.index), first)


class Clip:
    """The main video of an open file. Packets are read once, by `packets` and `frames` together.

    `timed`: time (None: not known) and duration, in ticks of the stream, of each packet read that shows a frame.
    `cut_short`: whether the file is known to end too early.
    """

    def __init__(self, path: Path, container: InputContainer, stream: VideoStream) -> None:
        self.path = path
        self.stream = stream
        self.timed: list[tuple[int | None, int]] = []
        self.cut_short = is_cut_short(path)
        # AVI has no presentation times; what FFmpeg gives are decoding times or guesses.
        self.has_pts = container.format.name != "avi"
        self.packets = self._read(container)

    def _read(self, container: InputContainer) -> Iterator[Packet[VideoStream]]:
        for packet in container.demux(self.stream):
            if packet.is_corrupt:
                self.cut_short = True
                return
            if packet.size:
                if not packet.is_discard:
                    self.timed.append((packet.pts if self.has_pts else packet.dts, packet.duration or 0))
                yield packet

    def frames(self) -> Iterator[tuple[int, VideoFrame]]:
        """Each decoded frame with its number, ascending; a gap in the numbers is a frame that the decoder dropped.

        Raises MediaError where the file is damaged, where it is cut short, and when it holds no frame.
        """
        waiting: list[int] = []
        number, last = 0, None
        for packet in chain(self.packets, (None,)):  # None: the decoder hands out what it still holds
            if packet is not None and packet.pts is not None and self.has_pts and not packet.is_discard:
                heapq.heappush(waiting, packet.pts)
            for frame in self._decode(packet, number, started=last is not None):
                while waiting and frame.pts is not None and waiting[0] <= frame.pts:
                    number += heapq.heappop(waiting) < frame.pts
                yield number, frame
                number, last = number + 1, frame
        if self.cut_short:
            raise MediaError(f"{self.path} breaks off at frame {number}: copy it again or convert what is there")
        if last is None:
            raise MediaError(f"{self.path} holds no frame that can be shown: copy or export it again")
        if number < len(self.timed):
            yield len(self.timed) - 1, last

    def _decode(self, packet: Packet[VideoStream] | None, number: int, *, started: bool) -> list[VideoFrame]:
        import av

        try:
            return self.stream.decode(packet)
        except av.FFmpegError as error:
            # A clip cut out of a longer one may begin with frames that lean on missing ones.
            if not started or (packet is not None and packet.is_discard):
                return []
            raise MediaError(f"{self.path} is damaged at frame {number}: copy it again or convert it") from error


@contextmanager
def open_clip(path: Path) -> Iterator[Clip]:
    """The main video of a file; MediaError when there is none, also for what FFmpeg meets inside the block."""
    check_kind(path, "video")
    import av

    with open_container(path) as container:
        stream = main_stream(container)
        if stream is None:
            raise MediaError(f"{path} holds no video: choose a file with moving pictures")
        if stream.codec_context is None:
            raise MediaError(f"{path} is coded in a way that this FFmpeg cannot read: convert it to H.264 in MP4")
        try:
            yield Clip(path, container, stream)
        except av.FFmpegError as error:
            raise MediaError(f"{path} is damaged ({error.strerror}): copy it again or convert it to MP4") from error


def probe_video(path: Path) -> MediaInfo:
    """Size as shown, frame times and sound of a video; decodes its first frame only. Raises MediaError."""
    with open_clip(path) as clip:
        _, first = next(clip.frames())
        width, height = _turn_of(first, clip.stream).size(*_square_pixels(first, clip))
        for _ in clip.packets:
            pass
        if clip.cut_short:
            raise MediaError(f"{path} breaks off at frame {len(clip.timed)}: copy it again or convert what is there")
        starts, duration = _times(clip.timed, clip.stream)
        return MediaInfo(
            kind="video",
            width=width,
            height=height,
            starts=starts,
            duration=duration,
            has_audio=bool(clip.stream.container.streams.audio),
        )


def _times(timed: Sequence[tuple[int | None, int]], stream: VideoStream) -> tuple[tuple[Fraction, ...], Fraction]:
    """Start of each frame and end of the last, in seconds from the first, out of `Clip.timed`."""
    tick = Fraction(stream.time_base or Fraction(1, 90000))
    rates = _rates(stream)
    rate = rates[0] if rates else DEFAULT_RATE
    known = sorted((time, length) for time, length in timed if time is not None)
    if len(known) < len(timed) or any(a[0] == b[0] for a, b in pairwise(known)):
        return _steady(len(timed), rate)
    starts = tuple((time - known[0][0]) * tick for time, _ in known)
    average = starts[-1] / (len(starts) - 1) if len(starts) > 1 else 1 / rate
    last = known[-1][1] * tick or average
    even = next((rate for rate in rates if _is_even(starts, last, rate, tick)), None)
    return (starts, starts[-1] + last) if even is None else _steady(len(starts), even)


def _rates(stream: VideoStream) -> list[Fraction]:
    """What a stream says of its rate, as our own fractions (PyAV 19 has a type of its own)."""
    return [Fraction(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate]


def _is_even(starts: Sequence[Fraction], last: Fraction, rate: Fraction, tick: Fraction) -> bool:
    """Containers with a coarse clock (Matroska: milliseconds) mean the even times that they round."""
    return abs(last - 1 / rate) <= tick and all(abs(start - n / rate) <= tick for n, start in enumerate(starts))


def _steady(frames: int, rate: Fraction) -> tuple[tuple[Fraction, ...], Fraction]:
    return tuple(n / rate for n in range(frames)), frames / rate


def _turn_of(frame: VideoFrame, stream: VideoStream) -> Turn:
    """The turn that a frame's display matrix asks for, to the nearest quarter, or else the stream's "rotate" tag."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        degrees = next((value for key, value in stream.metadata.items() if key.lower() == "rotate"), "0")
        return QUARTERS[round(int(degrees) / 90) % 4] if degrees.lstrip("+-").isdecimal() else Turn()
    # x' = a x + c y and y' = b x + d y, with y downwards.
    a, b, _, c, d = memoryview(bytes(matrix)).cast("i")[:5]
    return Turn(True, c < 0, b < 0) if abs(b) > abs(a) else Turn(False, a < 0, d < 0)


def _square_pixels(frame: VideoFrame, clip: Clip) -> tuple[int, int]:
    """A frame's width and height with square pixels (old camera and disc formats store narrow or wide ones)."""
    width, height, aspect = frame.width, frame.height, clip.stream.sample_aspect_ratio
    if aspect and abs(aspect - 1) >= Fraction(1, 100):
        width = max(1, round(width * aspect))
    if max(width, height) > MAX_MEDIA_SIDE:
        raise MediaError(f"{clip.path} is too large: scale it down to at most {MAX_MEDIA_SIDE} pixels a side")
    return width, height


class _Shown:
    """Makes decoded frames float32 `[H, W, 3]` in 0..1, as a viewer shows them, all of the first one's size."""

    def __init__(self, clip: Clip, first: VideoFrame) -> None:
        self._time_base = clip.stream.time_base
        self._size = _square_pixels(first, clip)
        self._turn = _turn_of(first, clip.stream)
        self._source: tuple[object, ...] = ()
        self._graph: Graph

    def __call__(self, frame: VideoFrame) -> Pixels:
        import numpy as np

        source = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
        if source != self._source:
            self._graph, self._source = self._graph_for(frame), source
        self._graph.push(frame)
        converted: Any = self._graph.pull()
        stored = converted.to_ndarray()
        pixels = np.divide(stored, np.iinfo(stored.dtype).max, dtype=np.float32)
        if pixels.shape[2] == 4 and stored.dtype == np.uint16:
            # swscale shifts alpha up without filling the low bits: opaque 8-bit alpha arrives as 65280.
            pixels[..., 3] = np.minimum(pixels[..., 3] * np.float32(257 / 256), 1)
        return self._turn.apply(on_background(pixels, 1.0))

    def _graph_for(self, frame: VideoFrame) -> Graph:
        parts = frame.format.components
        alpha, deep = any(part.is_alpha for part in parts), any(part.bits > 8 for part in parts)
        target = ("rgba64le" if alpha else "rgb48le") if deep else ("rgba" if alpha else "rgb24")
        return scale_graph(frame, self._time_base, f"w={self._size[0]}:h={self._size[1]}", target)


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


def _ascending(indices: Iterable[int]) -> Iterator[int]:
    """The same indices; ValueError at the first negative or falling one."""
    last = 0
    for index in indices:
        if index < last:
            raise ValueError(f"frame numbers must ascend from 0 on, but {index} follows {last}")
        last = index
        yield index


def iter_video(path: Path, indices: Sequence[int] | None = None, cancel: Cancel = never) -> Iterator[Pixels]:
    """Frames of a video in the order shown, float32 `[H, W, 3]` in 0..1, one in memory at a time.

    `indices`: ascending frame numbers as in `MediaInfo.starts`, repeats allowed (the same array is given again);
    None for all. A frame that the decoder had to drop is replaced by the next one. Colour depth over 8 bits is kept.
    Raises MediaError as `probe` does, also when the file is damaged or breaks off before the last asked frame,
    ValueError for numbers that do not ascend, Cancelled.
    """
    wanted = _ascending(count() if indices is None else indices)
    index = next(wanted, None)
    with open_clip(path) as clip:
        shown: _Shown | None = None
        for number, frame in clip.frames():
            check(cancel, "reading video")
            shown = shown or _Shown(clip, frame)
            if index is not None and index <= number:
                pixels = shown(frame)
                while index is not None and index <= number:
                    yield pixels
                    index = next(wanted, None)
            if index is None:
                return
        if indices is not None:
            raise MediaError(f"{path} has {len(clip.timed)} frames, there is no frame {index}: ask for earlier ones")


def load_video(path: Path, indices: Sequence[int] | None = None, cancel: Cancel = never) -> Pixels:
    """The frames of `iter_video` as one float32 array `[T, H, W, 3]`; ResourceError when memory runs out."""
    import numpy as np

    frames = iter_video(path, indices, cancel)
    try:
        if indices is None:
            return np.stack(list(frames))
        if not indices:
            raise ValueError("no frames were asked for")
        first = next(frames)
        video = np.empty((len(indices), *first.shape), np.float32)
        for n, frame in enumerate(chain((first,), frames)):
            video[n] = frame
        return video
    except MemoryError as error:
        raise ResourceError(f"the frames of {path} do not fit into memory: ask for fewer, or scale it down") from error
