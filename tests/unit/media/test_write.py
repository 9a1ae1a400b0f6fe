"""Pictures and videos written whole or not at all, and read back."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from unison_backend.errors import Cancelled, MediaError, ResourceError
from unison_backend.media.pictures import load_image
from unison_backend.media.probe import probe
from unison_backend.media.video import load_video
from unison_backend.media.write import read_metadata, write_image, write_video

from ..media_samples import flat, greys, noise, numbers

TEXTS = {
    "prompt": '{"a": [1, 2], "text": "h\u00e9 \u4e2d\u6587 \U0001f600"}',
    "Parameters": "steps: 50\nseed: 1 = 2; #x\\",
    "empty": "",
    "long": "x" * 200_000,
}


def unit(pixels: Any) -> Any:
    return pixels.astype(np.float32) / 255


def debris(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "a.webp", "b/c/a.PNG"])
def test_lossless_round_trip(tmp_path: Path, name: str) -> None:
    pixels = noise(1, 37, 21)[0]
    path = tmp_path / name
    write_image(path, unit(pixels))
    np.testing.assert_array_equal(load_image(path), unit(pixels))
    write_image(path, pixels)
    np.testing.assert_array_equal(load_image(path), unit(pixels))
    assert debris(path.parent) == [path.name]


@pytest.mark.parametrize("name", ["a.jpg", "a.jpeg"])
def test_jpeg_is_close_and_keeps_colour_edges(tmp_path: Path, name: str) -> None:
    pixels = flat((255, 0, 0))
    pixels[:, 33:] = (0, 0, 255)
    write_image(tmp_path / name, unit(pixels))
    np.testing.assert_allclose(load_image(tmp_path / name), unit(pixels), atol=0.1)


def test_rounding(tmp_path: Path) -> None:
    values = [-1, 0, 0.4999 / 255, 0.5001 / 255, 254.5001 / 255, 1, 7, np.nan, np.inf, -np.inf]
    pixels = np.array(values, np.float64)[None, :, None].repeat(3, 2)
    write_image(tmp_path / "a.png", pixels)
    read = np.asarray(Image.open(tmp_path / "a.png"))[0, :, 0]
    assert read.tolist() == [0, 0, 0, 1, 255, 255, 255, 0, 255, 0]


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (0, 4, 3), (2, 4, 4, 3)])
def test_wrong_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="pixels must be"):
        write_image(tmp_path / "a.png", np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match="uint8 or float"):
        write_image(tmp_path / "a.png", np.zeros((4, 4, 3), np.int64))
    assert debris(tmp_path) == []


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.jpg", "a.mp4"])
def test_metadata_round_trip(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write(path, flat(9), metadata=TEXTS)
    assert read_metadata(path) == TEXTS
    write(path, flat(9))
    assert read_metadata(path) == {}
    write(path, flat(9), metadata={"odd": "a\0b\ud800c"})
    assert read_metadata(path) == {"odd": "ab?c"}


def write(path: Path, pixels: Any, **options: Any) -> None:
    if path.suffix == ".mp4":
        write_video(path, [pixels], Fraction(24), **options)
    else:
        write_image(path, pixels, **options)


def test_metadata_of_other_programs(tmp_path: Path) -> None:
    Image.fromarray(flat(9)).save(tmp_path / "a.jpg", comment=b"holiday \xff")
    assert read_metadata(tmp_path / "a.jpg") == {}
    exif = Image.Exif()
    exif[0x010E] = "[1, 2]"
    Image.fromarray(flat(9)).save(tmp_path / "a.webp", exif=exif)
    assert read_metadata(tmp_path / "a.webp") == {}
    Image.fromarray(flat(9)).save(tmp_path / "a.bmp")
    assert read_metadata(tmp_path / "a.bmp") == {}
    with pytest.raises(MediaError, match="does not exist"):
        read_metadata(tmp_path / "b.png")


# ---- endings, folders, failures --------------------------------------------------------------------------------------


def test_endings_that_do_not_fit(tmp_path: Path) -> None:
    for name in ("a.gif", "a.tiff", "a", "a.mp4"):
        with pytest.raises(MediaError, match=r"a picture cannot.*\.png .*\.mp4"):
            write_image(tmp_path / name, flat(9))
    for name in ("a.png", "a.mov", "a.webm", "a"):
        with pytest.raises(MediaError, match=r"a video cannot.*\.png .*\.mp4"):
            write_video(tmp_path / name, [flat(9)], Fraction(24))
    assert debris(tmp_path) == []


@pytest.mark.parametrize("name", ["a.png", "a.mp4"])
def test_places_that_do_not_work(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(MediaError, match="is a folder"):
        write(tmp_path / name, flat(9))
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(MediaError, match="cannot be written"):
        write(tmp_path / "file" / name, flat(9))
    with pytest.raises(MediaError, match="cannot be written"):
        write(tmp_path / f"{'n' * 300}{name}", flat(9))
    assert debris(tmp_path) == sorted([name, "file"])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything is permitted to this user")
@pytest.mark.parametrize("name", ["a.png", "a.mp4"])
def test_no_permission(tmp_path: Path, name: str) -> None:
    tmp_path.chmod(0o500)
    try:
        for path in (tmp_path / name, tmp_path / "new" / name):
            with pytest.raises(MediaError, match="may not be written"):
                write(path, flat(9))
    finally:
        tmp_path.chmod(0o700)
    assert debris(tmp_path) == []


def test_a_picture_too_large_for_its_format(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"a\.webp cannot be written"):
        write_image(tmp_path / "a.webp", np.zeros((1, 16384, 3), np.uint8))
    assert debris(tmp_path) == []


@contextmanager
def little_room(size: int) -> Iterator[None]:
    """Files may not grow over `size` bytes; the system answers as it does on a full disk."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.jpg", "new/deep/a.png", "a.mp4", "new/a.mp4"])
def test_a_full_disk_leaves_nothing_and_the_older_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    kept = []
    if "/" not in name:
        path.write_bytes(b"older")
        kept = [name]
    frames = noise(4, 128, 96)
    with pytest.raises(ResourceError, match="disk is full"), little_room(5000):
        write_video(path, frames, Fraction(8)) if name.endswith("mp4") else write_image(path, frames[0])
    assert debris(tmp_path) == kept
    assert not kept or path.read_bytes() == b"older"


def test_the_errors_of_a_full_disk_are_known() -> None:
    from unison_backend.files import writing

    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        with pytest.raises(ResourceError), writing(Path("a.png")):
            raise OSError(number, "no room")
    with pytest.raises(ResourceError, match="memory"), writing(Path("a.png")):
        raise MemoryError


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target.png").write_bytes(b"older")
    (tmp_path / "a.png").symlink_to(tmp_path / "target.png")
    write_image(tmp_path / "a.png", flat(9))
    assert (tmp_path / "target.png").read_bytes() == b"older"
    assert not (tmp_path / "a.png").is_symlink()


def test_permissions_follow_the_users_mask(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write_image(tmp_path / "a.png", flat(9))
    write_video(tmp_path / "a.mp4", [flat(9)], Fraction(8))
    assert len({(tmp_path / name).stat().st_mode for name in ("plain", "a.png", "a.mp4")}) == 1


# ---- videos ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fps",
    [Fraction(8), Fraction(24), Fraction(24000, 1001), Fraction(164, 21), Fraction(2430000, 101251), Fraction(1, 3)],
)
@pytest.mark.parametrize("count", [1, 2, 13])
def test_frames_and_rate_are_exact(tmp_path: Path, fps: Fraction, count: int) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, greys(count), fps)
    info = probe(path, "video")
    assert info.starts == tuple(n / fps for n in range(count))
    assert (info.duration, info.fps, info.has_audio) == (count / fps, fps, False)
    assert numbers(load_video(path)) == list(range(count))
    with av.open(str(path)) as container:
        times = sorted(packet.pts for packet in container.demux(container.streams.video[0]) if packet.pts is not None)
        assert times[0] == 0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fps=st.fractions(Fraction(1, 100), 240, max_denominator=1_000_000), count=st.integers(1, 5))
def test_any_rate(tmp_path: Path, fps: Fraction, count: int) -> None:
    write_video(tmp_path / "a.mp4", greys(count), fps)
    info = probe(tmp_path / "a.mp4", "video")
    assert (info.num_frames, info.fps) == (count, fps)


@pytest.mark.parametrize("fps", [Fraction(0), Fraction(-1), Fraction(1, 1001), Fraction(1001)])
def test_rates_that_no_file_can_hold(tmp_path: Path, fps: Fraction) -> None:
    with pytest.raises(MediaError, match="frames per second"):
        write_video(tmp_path / "a.mp4", greys(2), fps)


def test_an_mp4_is_close_to_what_was_written(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 96, dtype=np.float32)
    frame = np.stack([*np.meshgrid(ramp, ramp[:64]), np.full((64, 96), 0.3, np.float32)], -1)
    video = np.stack([np.roll(frame, n, 1) for n in range(9)])
    write_video(tmp_path / "a.mp4", video, Fraction(16))
    read = load_video(tmp_path / "a.mp4")
    assert read.shape == video.shape
    assert np.abs(read - video).mean() < 0.01


def test_colours_are_bt709_and_say_so(tmp_path: Path) -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 100, 50), (255, 255, 255), (0, 0, 0)]
    write_video(tmp_path / "a.mp4", [flat(colour) for colour in colours], Fraction(8))
    np.testing.assert_allclose(load_video(tmp_path / "a.mp4")[:, 9, 9] * 255, colours, atol=3)
    with av.open(str(tmp_path / "a.mp4")) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.colorspace, codec.color_primaries, codec.color_trc, codec.color_range) == (1, 1, 1, 1)
        assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
        red = next(container.decode(container.streams.video[0]))
        # ITU-R BT.709 in limited range: 16 + 219 * 0.2126, and full red difference.
        assert [bytes(plane)[0] for plane in red.planes] == pytest.approx([63, 102, 240], abs=1)


def test_the_index_comes_first(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", greys(3), Fraction(8))
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("size", [(37, 33), (1, 1), (2, 3)])
def test_odd_sides_repeat_the_last_row_and_column(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    pixels = np.linspace(0, 1, width, dtype=np.float32)[None, :, None].repeat(height, 0).repeat(3, 2)
    write_video(tmp_path / "a.mp4", [pixels], Fraction(8))
    frame = load_video(tmp_path / "a.mp4")[0]
    assert frame.shape == (height + height % 2, width + width % 2, 3)
    np.testing.assert_allclose(frame[:height, :width], pixels, atol=0.04)
    np.testing.assert_allclose(frame[-1], frame[height - 1], atol=0.03)


def test_frames_may_come_one_by_one(tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []

    def report(*call: Any) -> None:
        calls.append(call)

    write_video(tmp_path / "a.mp4", (unit(frame) for frame in greys(3)), Fraction(8), progress=report)
    write_video(tmp_path / "b.mp4", np.stack(greys(2)), Fraction(8), progress=report)
    assert calls == [("writing video", n, 0) for n in (1, 2, 3)] + [("writing video", n, 2) for n in (1, 2)]
    assert numbers(load_video(tmp_path / "a.mp4")) == [0, 1, 2]


class Stop(Exception):
    pass


@pytest.mark.parametrize("old", [b"", b"older"])
def test_what_goes_wrong_leaves_no_file(tmp_path: Path, old: bytes) -> None:
    path = tmp_path / "a.mp4"
    if old:
        path.write_bytes(old)

    def failing() -> Iterator[Any]:
        yield from noise(3)
        raise Stop

    def broken() -> Iterator[Any]:
        yield flat(9)
        raise OSError(errno.ENOSPC, "not about writing")

    calls = iter([False] * 3 + [True])
    with pytest.raises(Cancelled):
        write_video(path, noise(9), Fraction(8), cancel=lambda: next(calls))
    with pytest.raises(Stop):
        write_video(path, failing(), Fraction(8))
    with pytest.raises(OSError, match="not about writing"):
        write_video(path, broken(), Fraction(8))
    with pytest.raises(MediaError, match="no frames"):
        write_video(path, [], Fraction(8))
    with pytest.raises(ValueError, match="frame 1 is"):
        write_video(path, [flat(9), flat(9, 32, 32)], Fraction(8))
    assert debris(tmp_path) == (["a.mp4"] if old else [])
    assert not old or path.read_bytes() == old


# ---- sound -----------------------------------------------------------------------------------------------------------


def with_sound(
    path: Path,
    codec: str,
    *,
    rate: int = 44100,
    layout: str = "stereo",
    seconds: float = 1,
    sample: str = "fltp",
    video: bool = True,
    late: int = 0,
) -> Path:
    """A file with a 440 Hz tone, and a second of video that begins `late` frames after it."""
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("libx264", rate=24) if video else None
        sound: Any = output.add_stream(codec, rate=rate, layout=layout)
        if stream:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for n, pixels in enumerate(greys(24)):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = n + late, Fraction(1, 24)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        channels = av.AudioLayout(layout).nb_channels
        tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)
        for at in range(0, len(tone), 1024):
            samples = np.repeat(tone[None, at : at + 1024], channels, 0)
            frame = av.AudioFrame.from_ndarray(packed(samples, sample), format=sample, layout=layout)
            frame.rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
            output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    return path


def packed(samples: Any, sample: str) -> Any:
    """`[channels, samples]` as PyAV wants them for planar float or packed 16 bit."""
    if sample == "fltp":
        return np.ascontiguousarray(samples, np.float32)
    return np.ascontiguousarray((samples.T * 32767).astype(np.int16).reshape(1, -1))


def sound_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(container.streams.audio[0]) if packet.size]


def heard(path: Path) -> tuple[Any, int, Fraction]:
    """Samples of all channels together, their rate, and the time of the first."""
    # Not straight to arrays: PyAV crashes on frames of eight planes.
    mix = av.AudioResampler(format="flt", layout="mono")
    with av.open(str(path)) as container:
        frames = [made for frame in container.decode(container.streams.audio[0]) for made in mix.resample(frame)]
    first = Fraction(frames[0].pts or 0) * Fraction(frames[0].time_base or 0)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]), frames[0].sample_rate, first


def pitch(samples: Any, rate: int) -> float:
    middle = samples[len(samples) // 4 : len(samples) * 3 // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    return float(spectrum.argmax() * rate / len(middle))


@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "ac3", "eac3", "alac", "libopus"])
def test_sound_that_fits_is_copied(tmp_path: Path, codec: str) -> None:
    sample = {"alac": "s16p", "libopus": "s16", "libmp3lame": "fltp"}.get(codec, "fltp")
    rate = 48000 if codec in ("libopus", "ac3", "eac3") else 44100
    if sample == "s16p":
        sample = "fltp"  # PyAV resamples for the encoder
    source = with_sound(tmp_path / "source.mp4", codec, rate=rate, sample=sample)
    write_video(tmp_path / "a.mp4", greys(28, 5), Fraction(24), audio_from=source)
    assert sound_packets(tmp_path / "a.mp4") == sound_packets(source)
    info = probe(tmp_path / "a.mp4", "video")
    assert info.has_audio
    assert (info.num_frames, info.fps, info.starts[1]) == (28, 24, Fraction(1, 24))
    old, new = heard(source), heard(tmp_path / "a.mp4")
    assert old[1:] == new[1:]
    np.testing.assert_array_equal(old[0], new[0])


@pytest.mark.parametrize(
    ("name", "codec", "rate", "layout", "sample"),
    [
        ("a.mkv", "pcm_s16le", 44100, "stereo", "s16"),
        ("a.mkv", "pcm_s16le", 11000, "mono", "s16"),
        ("a.mkv", "pcm_s16le", 48000, "7.1", "s16"),
        ("a.mkv", "flac", 96000, "5.1", "s16"),
        ("a.mkv", "flac", 192000, "stereo", "s16"),
        ("a.avi", "libmp3lame", 8000, "mono", "fltp"),
        ("a.wav", "pcm_s16le", 44100, "stereo", "s16"),
    ],
)
def test_other_sound_becomes_aac(tmp_path: Path, name: str, codec: str, rate: int, layout: str, sample: str) -> None:
    source = with_sound(tmp_path / name, codec, rate=rate, layout=layout, sample=sample, video=name != "a.wav")
    write_video(tmp_path / "b.mp4", greys(24), Fraction(24), audio_from=source)
    with av.open(str(tmp_path / "b.mp4")) as container:
        codec_context = container.streams.audio[0].codec_context
        assert codec_context.name == "aac"
        assert codec_context.layout.nb_channels == av.AudioLayout(layout).nb_channels
    samples, new_rate, first = heard(tmp_path / "b.mp4")
    assert abs(first) < 0.1
    assert len(samples) / new_rate == pytest.approx(1, abs=0.1)
    assert pitch(samples, new_rate) == pytest.approx(440, abs=5)
    assert probe(tmp_path / "b.mp4", "video").fps == 24


@pytest.mark.parametrize(("name", "codec", "sample"), [("a.mp4", "aac", "fltp"), ("a.mkv", "flac", "s16")])
def test_sound_ends_with_the_video(tmp_path: Path, name: str, codec: str, sample: str) -> None:
    source = with_sound(tmp_path / name, codec, sample=sample, seconds=3)
    write_video(tmp_path / "b.mp4", greys(12), Fraction(12), audio_from=source)
    samples, rate, _ = heard(tmp_path / "b.mp4")
    assert len(samples) / rate == pytest.approx(1, abs=0.06)
    assert probe(tmp_path / "b.mp4", "video").duration == 1


def test_sound_stays_in_time_with_a_late_video(tmp_path: Path) -> None:
    source = with_sound(tmp_path / "a.mkv", "aac", late=12)
    assert probe(source, "video").starts[0] == 0
    write_video(tmp_path / "b.mp4", greys(24), Fraction(24), audio_from=source)
    samples, rate, first = heard(tmp_path / "b.mp4")
    assert float(first + Fraction(len(samples), rate)) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(("name", "codec", "sample"), [("a.mp4", "aac", "fltp"), ("a.mkv", "flac", "s16")])
def test_sound_sets_in_later(tmp_path: Path, name: str, codec: str, sample: str) -> None:
    source = with_sound(tmp_path / name, codec, sample=sample)
    write_video(tmp_path / "b.mp4", greys(48, 4), Fraction(24), audio_from=source, audio_start=Fraction(1, 2))
    samples, rate, first = heard(tmp_path / "b.mp4")
    assert float(first) == pytest.approx(0.5, abs=0.03)
    assert float(first + Fraction(len(samples), rate)) == pytest.approx(1.5, abs=0.06)
    assert probe(tmp_path / "b.mp4", "video").starts[0] == 0


def test_no_sound_there(tmp_path: Path) -> None:
    write_video(tmp_path / "mute.mp4", greys(2), Fraction(8))
    write_video(tmp_path / "a.mp4", greys(2), Fraction(8), audio_from=tmp_path / "mute.mp4")
    assert not probe(tmp_path / "a.mp4", "video").has_audio


def test_sound_that_cannot_be_read_is_told_before_the_first_frame(tmp_path: Path) -> None:
    def never_asked() -> Iterator[Any]:
        raise AssertionError
        yield

    (tmp_path / "junk.mp4").write_bytes(struct.pack(">I4s", 8, b"free") * 90)
    for name, words in (("none.mp4", "does not exist"), ("junk.mp4", "damaged"), (".", "folder")):
        with pytest.raises(MediaError, match=words):
            write_video(tmp_path / "a.mp4", never_asked(), Fraction(8), audio_from=tmp_path / name)
    assert debris(tmp_path) == ["junk.mp4"]


def test_the_source_of_the_sound_may_be_overwritten(tmp_path: Path) -> None:
    path = with_sound(tmp_path / "a.mp4", "aac")
    packets = sound_packets(path)
    write_video(path, greys(28, 5), Fraction(24), audio_from=path)
    assert sound_packets(path) == packets
