"""Reading videos with PyAV: frame times without decoding, and frames as float32 RGB.

Unusual: decoding uses no frame threads, because these lose errors at the end of a file. Frames are numbered by their
packets' times, so that a frame that the decoder drops (at a cut, say) does not shift the ones behind it.
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
from . import fields
from .damage import is_cut_short
from .fields import without_fields
from .kinds import check_kind
from .light import light_of
from .pictures import check_room
from .shown import Shown, square_pixels, turn_of

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

    from .fit import Fit
    from .turn import Pixels

# Named one by one, because FFmpeg would follow a playlist of any name to other files and servers.
FFMPEG_FORMATS = "mov,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,wav,mp3,flac,aac,aiff"
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
# For a file that says nothing about its rate.
DEFAULT_RATE = Fraction(FPS)


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


def _decoder_of(stream: VideoStream) -> VideoCodecContext:
    """The stream's decoder, or for VP8 and VP9 with alpha the library's own: FFmpeg's leaves the alpha out."""
    import av

    name = ALPHA_DECODERS.get(stream.codec_context.name)
    has_alpha = any(key.lower() == "alpha_mode" and value == "1" for key, value in stream.metadata.items())
    if not has_alpha or name not in av.codecs_available:
        return stream.codec_context
    decoder: Any = av.CodecContext.create(name, "r")
    if stream.codec_context.extradata:
        decoder.extradata = stream.codec_context.extradata
    made: VideoCodecContext = decoder
    return made


class Clip:
    """The main video of an open file. Packets are read once, by `packets` and `frames` together.

    `timed`: time (None: not known) and duration, in ticks of the stream, of each packet read that shows a frame.
    `cut_short`: whether the file is known to end too early.
    """

    def __init__(self, path: Path, container: InputContainer, stream: VideoStream) -> None:
        self.path = path
        self.stream = stream
        self._decoder = _decoder_of(stream)
        self.timed: list[tuple[int | None, int]] = []
        self.cut_short = is_cut_short(path)
        # AVI and ASF (WMV) have no presentation times; what FFmpeg gives are decoding times or guesses.
        self.has_pts = container.format.name not in ("avi", "asf")
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
            return self._decoder.decode(packet)
        except av.FFmpegError as error:
            # A clip cut out of a longer one may begin with frames that lean on missing ones.
            if not started or (packet is not None and packet.is_discard):
                return []
            raise MediaError(f"{self.path} is damaged at frame {number}: copy it again or convert it") from error


@contextmanager
def open_clip(path: Path) -> Iterator[Clip]:
    """The main video of a file; MediaError when there is none, also for what FFmpeg meets inside the block.

    Raises ResourceError where not even one of its frames fits into memory, before any is decoded.
    """
    check_kind(path, "video")
    import av

    with open_container(path) as container:
        stream = main_stream(container)
        if stream is None:
            raise MediaError(f"{path} holds no video: choose a file with moving pictures")
        if stream.codec_context is None:
            raise MediaError(f"{path} is coded in a way that this FFmpeg cannot read: convert it to H.264 in MP4")
        check_room(path, stream.codec_context.width, stream.codec_context.height)
        try:
            yield Clip(path, container, stream)
        except av.FFmpegError as error:
            raise MediaError(f"{path} is damaged ({error.strerror}): copy it again or convert it to MP4") from error


def probe_video(path: Path) -> MediaInfo:
    """Size as shown, frame times and sound of a video; decodes its first frame only. Raises MediaError."""
    with open_clip(path) as clip:
        _, first = next(clip.frames())
        width, height = turn_of(first, clip.stream).size(*square_pixels(first, clip.stream, path))
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
            notes=tuple(_notes(first, clip.stream, len(starts))),
        )


def _notes(first: VideoFrame, stream: VideoStream, held: int) -> Iterator[str]:
    """What reading a video of `held` frames does to it beyond showing it, and what its header has wrong."""
    if 0 < stream.frames < held:
        yield f"its header says {stream.frames} frames, it holds {held}: all of them count"
    light = light_of(stream)
    if light is not None:
        yield light.note
    if first.interlaced_frame:
        yield fields.NOTE


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


def _ascending(indices: Iterable[int]) -> Iterator[int]:
    """The same indices; ValueError at the first negative or falling one."""
    last = 0
    for index in indices:
        if index < last:
            raise ValueError(f"frame numbers must ascend from 0 on, but {index} follows {last}")
        last = index
        yield index


def iter_video(
    path: Path,
    indices: Sequence[int] | None = None,
    cancel: Cancel = never,
    *,
    as_mask: bool = False,
    fit: Fit | None = None,
) -> Iterator[Pixels]:
    """Frames of a video in the order shown, float32 `[H, W, 3]` in 0..1, one in memory at a time.

    as_mask: `[H, W, 1]`, the brightest channel, or with alpha `[H, W, 4]`, both as stored.
    fit: the size that `media.resize.cover` will bring them to. Frames that FFmpeg scales so come in it, others whole.

    `indices`: ascending frame numbers as in `MediaInfo.starts`, repeats allowed (the same array is given again);
    None for all. A frame that the decoder had to drop is replaced by the next one. Colour depth over 8 bits is kept.
    Raises MediaError as `probe` does, also when the file is damaged or breaks off before the last asked frame,
    ValueError for numbers that do not ascend, Cancelled.
    """
    wanted = _ascending(count() if indices is None else indices)
    index = next(wanted, None)
    with open_clip(path) as clip:
        shown: Shown | None = None
        for number, frame in without_fields(clip.frames(), clip.stream.time_base):
            check(cancel, "reading video")
            shown = shown or Shown(clip.stream, frame, path, as_mask=as_mask, fit=fit)
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
