"""An MP4 file in the making: H.264 frames of equal length, and the sound of another file beside them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..errors import MediaError, UnsupportedError
from ..files import writing
from .kinds import check_file
from .shown import scale_graph
from .video import main_stream, open_container

if TYPE_CHECKING:
    import numpy as np
    from av import AudioFrame, Packet
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.filter import Graph
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

MAX_FPS = 1000
# Keeps numerator and denominator of the frame rate within the 31 bits of an MP4 time scale.
FPS_DENOMINATOR = 1_000_000
X264_OPTIONS = {"crf": "17", "preset": "medium"}
BT709 = 1  # the same number for matrix, primaries and transfer (ITU-T H.273)
LIMITED_RANGE = 1
# The index in front, and tags of any name.
MP4_OPTIONS = {"movflags": "faststart+use_metadata_tags"}

# What players expect in an MP4; other sound becomes AAC. FFmpeg would also store Vorbis, FLAC and PCM there.
MP4_SOUND = ("aac", "mp3", "ac3", "eac3", "alac", "opus")
MP3_LOWEST_RATE = 16000  # of MPEG-2 layer 3; MP4 does not take the rates below
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
AAC_OTHER_RATE = 48000
AAC_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
AAC_BITS_PER_CHANNEL = 96_000


class Sound:
    """The sound of an open file as packets for another one, in time with the first frame of that file's video.

    start: seconds after which it sets in.
    """

    def __init__(self, path: Path, container: InputContainer, stream: AudioStream, start: Fraction) -> None:
        self.path = path
        self._container = container
        self._stream = stream
        video = main_stream(container)
        first = video.start_time if video is not None else None
        self._shift = (first * video.time_base if video and first and video.time_base else Fraction(0)) - start
        self._packets: Iterator[Packet[AudioStream]] = iter(())
        self._next: Packet[AudioStream] | None = None

    def attach(self, output: OutputContainer) -> None:
        """Add the sound to a file that has not got its header yet."""
        codec = self._stream.codec_context
        name = codec.codec.canonical_name
        if name in MP4_SOUND and not (name == "mp3" and codec.sample_rate < MP3_LOWEST_RATE):
            self._packets = self._copied(output.add_stream_from_template(self._stream))
        else:
            rate = codec.sample_rate if codec.sample_rate in AAC_RATES else AAC_OTHER_RATE
            channels = codec.layout.nb_channels
            layout = AAC_LAYOUTS.get(channels, "stereo")
            encoder = output.add_stream("aac", rate=rate, layout=layout)
            encoder.bit_rate = AAC_BITS_PER_CHANNEL * channels
            self._packets = self._encoded(encoder)
        self._advance()

    def until(self, seconds: Fraction) -> Iterator[Packet[AudioStream]]:
        """The packets that have not been handed out and start before that time."""
        while self._next is not None and (self._next.pts or 0) * self._next.time_base < seconds:
            yield self._next
            self._advance()

    def _advance(self) -> None:
        import av

        try:
            self._next = next(self._packets, None)
        except av.FFmpegError as error:
            raise MediaError(f"the sound of {self.path} is damaged: convert it, or leave the sound out") from error

    def _copied(self, target: AudioStream) -> Iterator[Packet[AudioStream]]:
        shift = round(self._shift / (self._stream.time_base or 1))
        for packet in self._container.demux(self._stream):
            if packet.size and packet.pts is not None:
                packet.pts -= shift
                packet.dts = packet.pts  # sound has no reordering
                packet.stream = target
                yield packet

    def _encoded(self, encoder: AudioStream) -> Iterator[Packet[AudioStream]]:
        from av import AudioResampler

        target = encoder.codec_context
        resampler = AudioResampler(format="fltp", layout=target.layout, rate=target.sample_rate)
        for frame in self._decoded():
            for piece in resampler.resample(frame):
                yield from encoder.encode(piece)
        for piece in resampler.resample(None):
            yield from encoder.encode(piece)
        yield from encoder.encode(None)

    def _decoded(self) -> Iterator[AudioFrame]:
        """The frames, their times counted in samples: the encoder minds the jitter of clocks such as Matroska's."""
        position: int | None = None
        for frame in self._container.decode(self._stream):
            rate = frame.sample_rate
            if position is None:
                position = round(((frame.pts or 0) * (frame.time_base or 0) - self._shift) * rate)
            frame.pts, frame.time_base = position, Fraction(1, rate)
            position += frame.samples
            yield frame


@contextmanager
def open_sound(path: Path, start: Fraction = Fraction(0)) -> Iterator[Sound | None]:
    """The first sound of a video or sound file, `start` seconds late; None when it has none. Raises MediaError."""
    check_file(path)
    from av.audio.stream import AudioStream

    with open_container(path) as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream):
            yield None
        elif stream.codec_context is None:
            raise MediaError(f"the sound of {path} is of an unknown kind: convert the file, or leave its sound out")
        else:
            yield Sound(path, container, stream, start)


class Mp4Writer:
    """Writes frames to `temporary`, which will be `path`; a context that closes the file however it ends.

    Raises MediaError and ResourceError as `writing` does, UnsupportedError without an H.264 encoder.
    """

    def __init__(
        self, path: Path, temporary: Path, fps: Fraction, metadata: dict[str, str], sound: Sound | None
    ) -> None:
        self._path = path
        self._temporary = temporary
        self._fps = Fraction(fps).limit_denominator(FPS_DENOMINATOR)
        self._metadata = metadata
        self._sound = sound
        self._count = 0
        self._size = (0, 0)
        self._output: OutputContainer
        self._stream: VideoStream
        self._graph: Graph

    def __enter__(self) -> Mp4Writer:
        import av

        self._foreign = av.FFmpegError
        try:
            av.Codec("libx264", "w")
        except ValueError as error:
            raise UnsupportedError("this PyAV has no H.264 encoder: install it from PyPI (pip install av)") from error
        with writing(self._path, self._foreign):
            self._output = av.open(str(self._temporary.absolute()), "w", format="mp4", container_options=MP4_OPTIONS)
        self._output.metadata.update(self._metadata)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            with contextlib.suppress(self._foreign, OSError):  # the first error is the one to tell
                self._output.close()

    def add(self, pixels: NDArray[np.uint8]) -> None:
        """Append a frame, uint8 `[H, W, 3]`; ValueError when its size is not the first one's."""
        if not self._count:
            self._size = pixels.shape[:2]
        if pixels.shape[:2] != self._size:
            raise ValueError(f"frame {self._count} is {pixels.shape[:2]}, but the first one is {self._size}")
        with writing(self._path, self._foreign):
            self._encode(self._even(pixels))
            self._count += 1
            self._add_sound()

    def finish(self) -> None:
        """Write what the encoders still hold, and the index; MediaError when there was no frame."""
        if not self._count:
            raise MediaError(f"{self._path}: there are no frames to write")
        with writing(self._path, self._foreign):
            self._output.mux(self._stream.encode(None))
            self._add_sound()
            self._output.close()

    def _even(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Even sides, as 4:2:0 colour needs them."""
        import numpy as np

        height, width = self._size
        return np.ascontiguousarray(np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge"))

    def _encode(self, pixels: NDArray[np.uint8]) -> None:
        import av

        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = self._count, 1 / self._fps
        if not self._count:
            self._start(frame)
        self._graph.push(frame)
        converted: Any = self._graph.pull()
        converted.pts, converted.time_base = self._count, 1 / self._fps
        self._output.mux(self._stream.encode(converted))

    def _start(self, frame: Any) -> None:
        """Add the streams and the colour conversion for frames like this one."""
        self._stream = stream = self._output.add_stream("libx264", rate=self._fps, options=dict(X264_OPTIONS))
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
        codec = stream.codec_context
        codec.time_base = 1 / self._fps
        codec.colorspace = codec.color_primaries = codec.color_trc = BT709
        codec.color_range = LIMITED_RANGE
        self._graph = scale_graph(frame, frame.time_base, "out_color_matrix=bt709:out_range=tv", "yuv420p")
        if self._sound is not None:
            self._sound.attach(self._output)

    def _add_sound(self) -> None:
        """The sound up to the end of the frames so far, so that neither stream has to wait in memory for the other."""
        if self._sound is not None:
            for packet in self._sound.until(self._count / self._fps):
                self._output.mux(packet)
