"""Pictures and videos from files: what they are (`probe`) and their pixels (`load_image`, `iter_video`, `load_video`).

Pixels are numpy float32 `[H, W, 3]` RGB in 0..1, as a viewer shows them: rotation applied, transparency laid on white.
Probing a picture imports only Pillow, probing a video only PyAV; colours go through FFmpeg's scale filter, because
PyAV's own conversion ignores the colour tags in some versions (14.2 shows every BT.709 video in BT.601 colours).
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import count, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from .errors import MediaError, ResourceError, UnisonError
from .geometry import MediaInfo
from .progress import Cancel, check, never
from .tasks import MediaKind

if TYPE_CHECKING:
    import numpy as np
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.filter import Graph
    from av.video.stream import VideoStream
    from numpy.typing import NDArray
    from PIL.Image import Image

    Pixels: TypeAlias = NDArray[np.float32]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v")
MAX_SIDE = 16384

# Formats are named one by one: Pillow would hand PostScript to Ghostscript, FFmpeg would follow playlists to other files.
PILLOW_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "BMP", "TIFF", "GIF")
FFMPEG_FORMATS = "mov,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,wav,mp3,flac,aac,aiff"
SWSCALE_FLAGS = "flags=bicubic+accurate_rnd+full_chroma_int"
# Some AVI writers count their own header twice, so a few missing bytes are no damage.
CUT_SLACK = 64


def kind_of(path: Path | str) -> MediaKind:
    """Whether a file's name says picture or video; any other name is a MediaError that lists the accepted ones."""
    suffix = Path(path).suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return "image"
    if suffix in VIDEO_SUFFIXES:
        return "video"
    accepted = f"{' '.join(IMAGE_SUFFIXES)} for a picture, {' '.join(VIDEO_SUFFIXES)} for a video"
    raise MediaError(f"{path} is neither a picture nor a video by its name: its ending must be one of {accepted}")


def probe(path: Path, kind: MediaKind) -> MediaInfo:
    """Size, frame times in seconds and sound of a file. Pictures are not decoded, of a video only the first frame is.

    Raises MediaError, naming the file and the cure, for a file that is missing, a folder, empty, unreadable, damaged,
    cut short, of the other kind, without a frame, or over 16384 pixels on a side.
    """
    return _probe_image(path) if kind == "image" else _probe_video(path)


# ---- files -----------------------------------------------------------------------------------------------------------


def check_file(path: Path) -> bytes:
    """The first bytes of a file that can be read; MediaError for anything else."""
    try:
        if path.is_dir():
            raise MediaError(f"{path} is a folder: name the file inside it")
        if path.exists() and not path.is_file():
            raise MediaError(f"{path} is not an ordinary file: copy its content into one")
        with path.open("rb") as file:
            head = file.read(32)
    except FileNotFoundError as error:
        raise MediaError(f"{path} does not exist: check the spelling and the folder") from error
    except PermissionError as error:
        raise MediaError(f"{path} may not be read: change its permissions or copy it") from error
    except (OSError, ValueError) as error:
        if isinstance(error, UnisonError):
            raise
        raise MediaError(f"{str(path)!r} cannot be opened ({error}): check the path") from error
    if not head:
        raise MediaError(f"{path} is empty: copy or export it again")
    return head


def _content_kind(head: bytes) -> MediaKind | None:
    """What a file's first bytes say it is; None when they say neither."""
    still_brands = (b"avif", b"heic", b"heix", b"mif1")
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")) or head[8:12] == b"WEBP":
        return "image"
    if head[4:8] == b"ftyp":
        return "image" if head[8:12] in still_brands else "video"
    if head.startswith(b"\x1aE\xdf\xa3") or head[8:12] == b"AVI " or head[4:8] in (b"moov", b"mdat", b"wide"):
        return "video"
    return None


def _check_kind(path: Path, kind: MediaKind) -> None:
    """MediaError unless the file can be read and its content may be of that kind, whatever its name says."""
    content = _content_kind(check_file(path))
    if content in (None, kind):
        return
    found, wanted = ("video", "picture") if kind == "image" else ("picture", "video")
    suffix = path.suffix.lower()
    if suffix in (IMAGE_SUFFIXES if kind == "image" else VIDEO_SUFFIXES):
        raise MediaError(f"{path} is a {found}, though its name ends in {suffix}: rename it or choose a {wanted}")
    raise MediaError(f"{path} is a {found}, but a {wanted} is needed here: choose a {wanted}")


def _missing_bytes(path: Path) -> int:
    """How many bytes the container's own headers promise beyond the end of the file; 0 when whole or not known."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        if head.startswith(b"RIFF"):
            end = int.from_bytes(head[4:8], "little") + 8
        elif head.startswith(b"\x1aE\xdf\xa3"):
            end = _matroska_end(file)
        else:
            end = _last_box_end(file, size)
    return max(0, end - size - CUT_SLACK) if end < 1 << 62 else 0


def _last_box_end(file: Any, size: int) -> int:
    """Where the last top-level box of an MP4 or MOV file says that it ends."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < 8 or not header[4:8].isalnum():
            break
        at += length
    return at


def _matroska_end(file: Any) -> int:
    """Where the segment of a Matroska or WebM file says that it ends; 0 when it does not say (live recordings)."""
    file.seek(4)
    file.seek(_vint(file), os.SEEK_CUR)
    if file.read(4) != b"\x18\x53\x80\x67":
        return 0
    length = _vint(file)
    return int(file.tell()) + length if length else 0


def _vint(file: Any) -> int:
    """An EBML size at the file's position; 0 for "unknown"."""
    first = file.read(1) or b"\xff"
    length = max(1, 9 - first[0].bit_length())
    bits = 7 * length
    value = int.from_bytes(first + file.read(length - 1), "big") & ((1 << bits) - 1)
    return 0 if value == (1 << bits) - 1 else value


# ---- turning ---------------------------------------------------------------------------------------------------------


class Turn(NamedTuple):
    """How stored pixels become shown ones: swap rows and columns, then mirror left-right, then top-bottom."""

    transpose: bool = False
    mirror: bool = False
    flip: bool = False

    def size(self, width: int, height: int) -> tuple[int, int]:
        return (height, width) if self.transpose else (width, height)

    def apply(self, pixels: Pixels) -> Pixels:
        """`[H, W, C]` stored to `[H', W', C]` shown, contiguous."""
        import numpy as np

        turned = pixels.swapaxes(0, 1) if self.transpose else pixels
        return np.ascontiguousarray(turned[:: -1 if self.flip else 1, :: -1 if self.mirror else 1])


# EXIF tag 0x0112: what a viewer has to do for each value; 1 and unknown values mean nothing.
ORIENTATION_TAG = 0x0112
ORIENTATIONS = {
    2: Turn(False, True, False),
    3: Turn(False, True, True),
    4: Turn(False, False, True),
    5: Turn(True, False, False),
    6: Turn(True, True, False),
    7: Turn(True, True, True),
    8: Turn(True, False, True),
}
# The old "rotate" tag of a stream, in quarter turns clockwise.
QUARTERS = (Turn(), ORIENTATIONS[6], ORIENTATIONS[3], ORIENTATIONS[8])


# ---- pictures --------------------------------------------------------------------------------------------------------


@contextmanager
def open_image(path: Path) -> Iterator[Image]:
    """An opened, not yet decoded picture; whatever goes wrong with it inside becomes a MediaError or ResourceError."""
    _check_kind(path, "image")
    from PIL import Image, UnidentifiedImageError

    too_large = f"{path} is too large: scale it down to at most {MAX_SIDE} pixels a side"
    try:
        with Image.open(path, formats=PILLOW_FORMATS) as image:
            if max(image.size) > MAX_SIDE:
                raise MediaError(too_large)
            yield image
    except UnisonError:
        raise
    except MemoryError as error:
        raise ResourceError(f"{path} does not fit into memory: scale it down") from error
    except Image.DecompressionBombError as error:
        raise MediaError(too_large) from error
    except UnidentifiedImageError as error:
        raise MediaError(f"{path} is not a picture in a format known here: convert it to PNG or JPEG") from error
    except Exception as error:  # Pillow lets through whatever its parsers meet in a damaged file
        raise MediaError(f"{path} is damaged ({error}): copy or export it again") from error


def _stored_shape(image: Image) -> tuple[int, int, Turn]:
    """Width, height and turn of a picture that is not decoded yet."""
    # The class's own method, because PNG's decodes the pixels to look for a late EXIF chunk.
    from PIL.Image import Image as BaseImage

    turn = ORIENTATIONS.get(BaseImage.getexif(image).get(ORIENTATION_TAG), Turn())
    width, height = image.size
    if image.format == "TIFF":  # Pillow gives the stored size in some versions, the shown one in others
        tags: Any = image
        width, height = tags.tag_v2[256], tags.tag_v2[257]
    return width, height, turn


def _probe_image(path: Path) -> MediaInfo:
    with open_image(path) as image:
        width, height, turn = _stored_shape(image)
    return MediaInfo("image", *turn.size(width, height))


def load_image(path: Path, *, as_mask: bool = False) -> Pixels:
    """A picture as float32 `[H, W, 3]` in 0..1; the first frame of an animated one.

    Transparency is laid on white, or on black with `as_mask` (transparent = keep). 16-bit grey keeps its 16 bits;
    integer and float greys brighter than 65535 and 1 are divided by their maximum, so that nothing is clipped.
    Raises MediaError as `probe` does, and ResourceError when memory runs out.
    """
    with open_image(path) as image:
        _, _, turn = _stored_shape(image)
        image.load()
        pixels = _on_background(_unit_pixels(image), 0.0 if as_mask else 1.0)
        # Pillow turns TIFF files itself.
        return pixels if image.format == "TIFF" else turn.apply(pixels)


def _unit_pixels(image: Image) -> Pixels:
    """A decoded picture as float32 `[H, W, 3 or 4]` in 0..1."""
    import numpy as np

    if image.mode[0] == "I" or image.mode == "F":
        grey = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0, neginf=0)
        grey = grey / max(1.0 if image.mode == "F" else 65535.0, float(grey.max()))
        return np.repeat(grey.clip(0, 1)[..., None], 3, axis=2)
    colour = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return np.divide(np.asarray(colour), 255, dtype=np.float32)


def _on_background(pixels: Pixels, background: float) -> Pixels:
    """`[H, W, 4]` laid on a grey of 0..1; `[H, W, 3]` as it is."""
    if pixels.shape[2] == 3:
        return pixels
    colour, alpha = pixels[..., :3], pixels[..., 3:]
    return colour * alpha + background * (1 - alpha)


# ---- videos ----------------------------------------------------------------------------------------------------------


def open_container(path: Path) -> InputContainer:
    """A video or sound file opened by PyAV; MediaError when FFmpeg cannot read it."""
    import av

    try:
        # An absolute path is never taken for a protocol, and foreign tags need not be UTF-8.
        return av.open(
            os.path.abspath(path), metadata_errors="replace", container_options={"format_whitelist": FFMPEG_FORMATS}
        )
    except av.FFmpegError as error:
        raise MediaError(f"{path} is damaged or not a video: copy it again or convert it to MP4") from error


class Clip:
    """The main video stream of an open file: its packets and its frames, numbered in the order they are shown."""

    def __init__(self, path: Path, container: InputContainer) -> None:
        self.path = path
        self.container = container
        self.stream = _main_stream(path, container)
        self.cut_short = _missing_bytes(path) > 0
        self.frames_seen = 0
        # AVI has no presentation times: FFmpeg's are decoding times there, or guesses.
        self.has_pts = container.format.name != "avi"

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """The packets that hold frames, up to the first damaged one."""
        for packet in self.container.demux(self.stream):
            if packet.is_corrupt:
                self.cut_short = True
                return
            if packet.size:
                self.frames_seen += not packet.is_discard
                yield packet

    def time_of(self, packet: Packet[VideoStream]) -> int | None:
        return packet.pts if self.has_pts else packet.dts

    def frames(self) -> Iterator[tuple[int, VideoFrame]]:
        """Each decoded frame with its number; numbers skip the frames that the decoder had to drop."""
        waiting: list[int] = []
        number = 0
        for packet in self._packets_and_end():
            if packet is not None and packet.pts is not None and self.has_pts and not packet.is_discard:
                heapq.heappush(waiting, packet.pts)
            for frame in self._decode(packet, number):
                while waiting and frame.pts is not None and waiting[0] < frame.pts:
                    heapq.heappop(waiting)
                    number += 1
                if waiting and waiting[0] == frame.pts:
                    heapq.heappop(waiting)
                yield number, frame
                number += 1

    def _packets_and_end(self) -> Iterator[Packet[VideoStream] | None]:
        yield from self.packets()
        yield None  # tells the decoder to hand out what it still holds

    def _decode(self, packet: Packet[VideoStream] | None, number: int) -> list[VideoFrame]:
        import av

        try:
            return self.stream.decode(packet)
        except av.FFmpegError as error:
            raise MediaError(f"{self.path} is damaged at frame {number}: copy it again or convert it") from error


def _main_stream(path: Path, container: InputContainer) -> VideoStream:
    """The moving picture among a file's streams; covers and thumbnails are none."""
    from av.stream import Disposition

    still = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [stream for stream in container.streams.video if not stream.disposition & still]
    if not streams:
        raise MediaError(f"{path} holds no video: choose a file with moving pictures")
    best = container.streams.best("video")
    stream = next((stream for stream in streams if best is not None and stream.index == best.index), streams[0])
    if stream.codec_context is None:
        raise MediaError(f"{path} is coded in a way that this FFmpeg cannot read: convert it to H.264 in MP4")
    return stream


@contextmanager
def _open_clip(path: Path) -> Iterator[Clip]:
    _check_kind(path, "video")
    import av

    with open_container(path) as container:
        try:
            yield Clip(path, container)
        except av.FFmpegError as error:
            raise MediaError(f"{path} is damaged ({error.strerror}): copy it again or convert it to MP4") from error


def _probe_video(path: Path) -> MediaInfo:
    with _open_clip(path) as clip:
        _, first = next(clip.frames(), (0, None))
        if first is None:
            raise MediaError(f"{path} holds no frame that can be shown: copy or export it again")
        width, height = _turn_of(first, clip.stream).size(*_square_pixels(first, clip.stream))
        if max(width, height) > MAX_SIDE:
            raise MediaError(f"{path} is {width}x{height}: scale it down to at most {MAX_SIDE} pixels a side")
        has_audio = bool(clip.container.streams.audio)
    # The decoder took an unknown number of packets for its first frame, so the times are read from the start again.
    with _open_clip(path) as clip:
        timed = [(clip.time_of(packet), packet.duration or 0) for packet in clip.packets() if not packet.is_discard]
        if clip.cut_short:
            raise MediaError(f"{path} breaks off after {clip.frames_seen} frames: copy it again or convert what is there")
        starts, duration = _times(timed, clip.stream)
    return MediaInfo("video", width, height, starts, duration, has_audio)


def _times(timed: Sequence[tuple[int | None, int]], stream: VideoStream) -> tuple[tuple[Fraction, ...], Fraction]:
    """Start of each frame and end of the last, in seconds from the first, out of each packet's time and duration."""
    tick = stream.time_base or Fraction(1, 90000)
    rates = [rate for rate in (stream.average_rate, stream.guessed_rate) if rate]
    known = sorted((time, length) for time, length in timed if time is not None)
    if len(known) < len(timed) or any(a[0] == b[0] for a, b in pairwise(known)):
        return _steady(len(timed), rates[0] if rates else Fraction(24))
    starts = tuple((time - known[0][0]) * tick for time, _ in known)
    last = known[-1][1] * tick or (starts[-1] / (len(starts) - 1) if len(starts) > 1 else 1 / (rates or [Fraction(24)])[0])
    for rate in rates:
        # Containers with a coarse clock (Matroska: milliseconds) mean the even times that they round.
        if abs(last - 1 / rate) <= tick and all(abs(start - n / rate) <= tick for n, start in enumerate(starts)):
            return _steady(len(starts), rate)
    return starts, starts[-1] + last


def _steady(frames: int, rate: Fraction) -> tuple[tuple[Fraction, ...], Fraction]:
    return tuple(n / rate for n in range(frames)), frames / rate


def _turn_of(frame: VideoFrame, stream: VideoStream) -> Turn:
    """The turn that a frame's display matrix asks for, to the nearest quarter, or else the stream's "rotate" tag."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        degrees = stream.metadata.get("rotate", "0")
        return QUARTERS[round(int(degrees) / 90) % 4] if degrees.lstrip("+-").isdigit() else Turn()
    # x' = a x + c y and y' = b x + d y, with y downwards.
    a, b, _, c, d = memoryview(bytes(matrix)).cast("i")[:5]
    return Turn(True, c < 0, b < 0) if abs(b) > abs(a) else Turn(False, a < 0, d < 0)


def _square_pixels(frame: VideoFrame, stream: VideoStream) -> tuple[int, int]:
    """A frame's width and height with square pixels (old camera and disc formats store narrow or wide ones)."""
    aspect = stream.sample_aspect_ratio
    if not aspect or abs(aspect - 1) < Fraction(1, 100):
        return frame.width, frame.height
    return max(1, round(frame.width * aspect)), frame.height


class _Shown:
    """Makes decoded frames float32 `[H, W, 3]` in 0..1, as a viewer shows them, all of the first one's size."""

    def __init__(self, stream: VideoStream, first: VideoFrame) -> None:
        self.stream = stream
        self.size = _square_pixels(first, stream)
        self.turn = _turn_of(first, stream)
        self._source: tuple[object, ...] = ()
        self._graph: Graph

    def __call__(self, frame: VideoFrame) -> Pixels:
        import numpy as np

        source = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
        if source != self._source:
            self._graph, self._source = self._build(frame), source
        self._graph.push(frame)
        shown: Any = self._graph.pull()
        stored = shown.to_ndarray()
        pixels = np.divide(stored, np.iinfo(stored.dtype).max, dtype=np.float32)
        if pixels.shape[2] == 4 and stored.dtype == np.uint16:
            # swscale shifts alpha up without filling the low bits: opaque 8-bit alpha arrives as 65280.
            pixels[..., 3] = np.minimum(pixels[..., 3] * (257 / 256), 1)
        return self.turn.apply(_on_background(pixels, 1.0))

    def _build(self, frame: VideoFrame) -> Graph:
        parts = frame.format.components
        alpha, deep = any(part.is_alpha for part in parts), any(part.bits > 8 for part in parts)
        target = ("rgba64le" if alpha else "rgb48le") if deep else ("rgba" if alpha else "rgb24")
        width, height = self.size
        return scale_graph(frame, self.stream.time_base, f"w={width}:h={height}", target)


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
    with _open_clip(path) as clip:
        shown: _Shown | None = None
        frame = None
        for number, frame in clip.frames():
            check(cancel, "reading video")
            shown = shown or _Shown(clip.stream, frame)
            if index is not None and index <= number:
                pixels = shown(frame)
                while index is not None and index <= number:
                    yield pixels
                    index = next(wanted, None)
            if index is None:
                return
        if shown is None or frame is None:
            raise MediaError(f"{path} holds no frame that can be shown: copy or export it again")
        if clip.cut_short:
            raise MediaError(f"{path} breaks off at frame {number + 1}: copy it again or convert what is there")
        while index is not None and index < clip.frames_seen:  # the decoder dropped the last ones without complaint
            yield shown(frame)
            index = next(wanted, None)
        if indices is not None and index is not None:
            raise MediaError(f"{path} has {clip.frames_seen} frames, so there is no frame {index}: ask for less of it")


def load_video(path: Path, indices: Sequence[int] | None = None, cancel: Cancel = never) -> Pixels:
    """The frames of `iter_video` as one float32 array `[T, H, W, 3]`; ResourceError when they do not fit into memory."""
    import numpy as np

    frames = iter_video(path, indices, cancel)
    try:
        if indices is None:
            return np.stack(list(frames))
        if not indices:
            raise ValueError("no frames were asked for")
        first = next(frames)
        video = np.empty((len(indices), *first.shape), np.float32)
        video[0] = first
        for n, frame in enumerate(frames, 1):
            video[n] = frame
        return video
    except MemoryError as error:
        raise ResourceError(f"the frames of {path} do not fit into memory: ask for fewer, or scale it down") from error
