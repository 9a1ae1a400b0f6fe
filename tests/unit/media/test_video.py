"""Frame times, frames, turning, colours and damage of videos."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unison_backend.errors import Cancelled, MediaError, UnisonError
from unison_backend.media.probe import probe
from unison_backend.media.shown import scale_graph
from unison_backend.media.video import iter_video, load_video, open_clip
from unison_backend.plan.geometry import pick_frames

from ..media_samples import (
    BLACK,
    BLUE,
    FORMATS,
    GREEN,
    HEIGHT,
    RED,
    WHITE,
    WIDTH,
    annexed,
    convert,
    damage,
    flat,
    greys,
    index_in_front,
    make_video,
    noise,
    numbers,
    refusal,
    rotated,
)

# ---- videos: times and frames ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [Fraction(8), Fraction(24), Fraction(24000, 1001), Fraction(164, 21), Fraction(60)])
@pytest.mark.parametrize("count", [1, 2, 12])
def test_even_times_are_exact(tmp_path: Path, rate: Fraction, count: int) -> None:
    info = probe(make_video(tmp_path / "a.mp4", greys(count), rate=rate), "video")
    assert (info.kind, info.width, info.height, info.has_audio) == ("video", WIDTH, HEIGHT, False)
    assert info.starts == tuple(n / rate for n in range(count))
    assert info.duration == count / rate
    assert info.fps == rate
    assert numbers(load_video(tmp_path / "a.mp4")) == list(range(count))


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.mkv", "libx264", Fraction(24)),
        ("a.mkv", "ffv1", Fraction(24000, 1001)),
        ("a.webm", "libvpx-vp9", Fraction(30)),
        ("a.avi", "mpeg4", Fraction(25)),
        ("a.avi", "libx264", Fraction(24)),
        ("a.mov", "libx264", Fraction(30000, 1001)),
        ("a.m4v", "mpeg4", Fraction(24)),
        ("a.ts", "libx264", Fraction(25)),
        ("a.mpg", "mpeg2video", Fraction(25)),
        ("a.vob", "mpeg2video", Fraction(25)),
        ("a.3gp", "mpeg4", Fraction(24)),
        ("a.3g2", "libx264", Fraction(24)),
        ("a.wmv", "wmv2", Fraction(25)),
        ("a.asf", "wmv2", Fraction(25)),
        ("a.flv", "libx264", Fraction(25)),
        ("a.ogv", "libvpx", Fraction(25)),
    ],
)
def test_containers(tmp_path: Path, name: str, codec: str, rate: Fraction) -> None:
    """Matroska counts in milliseconds and AVI in frames without order: the even times behind them come out."""
    options = {"bf": "2"} if codec == "mpeg4" else {"cpu-used": "8"} if "vp9" in codec else {}
    info = probe(make_video(tmp_path / name, greys(12), codec=codec, rate=rate, options=options), "video")
    assert info.starts == tuple(n / rate for n in range(12))
    assert info.fps == rate
    assert numbers(load_video(tmp_path / name)) == list(range(12))
    assert numbers(load_video(tmp_path / name, [3, 3, 11])) == [3, 3, 11]


@pytest.mark.parametrize("name", ["a.mp4", "a.ts", "a.wmv", "a.mpg"])
@pytest.mark.parametrize("inside", ["mp4", "matroska", "mpegts", "avi", "flv", "asf"])
def test_what_a_file_holds_counts_and_not_its_name(tmp_path: Path, name: str, inside: str) -> None:
    path = make_video(tmp_path / name, greys(5), rate=25, file_format=inside)
    assert probe(path, "video").fps == 25
    assert numbers(load_video(path)) == list(range(5))


def test_a_text_with_the_name_of_a_stream_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_text("export const a = 1;\n" * 40, "utf-8")
    with pytest.raises(MediaError, match="damaged or not a video"):
        probe(tmp_path / "a.ts", "video")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_variable_rate(tmp_path: Path, name: str) -> None:
    """The file starts late and each frame stays as long as it says."""
    pts = [500, 540, 640, 700, 1500, 1510]
    make_video(tmp_path / name, greys(6), pts=pts, time_base=Fraction(1, 1000), rate=25)
    info = probe(tmp_path / name, "video")
    assert [start * 1000 for start in info.starts] == [time - 500 for time in pts]
    assert info.duration > info.starts[-1]
    picked = pick_frames(info.starts, info.duration, 4)
    assert numbers(load_video(tmp_path / name, picked)) == list(picked)


def test_frames_hidden_by_an_edit_list_do_not_count(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", greys(20))
    with av.open(str(path)) as container:
        ticks = round(1 / Fraction(container.streams.video[0].time_base or 1) / 24)
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 12
    length, first = struct.unpack(">Ii", data[at : at + 8])
    data[at : at + 8] = struct.pack(">Ii", length * 8 // 20 - 1, first + 5 * ticks)
    path.write_bytes(data)
    info = probe(path, "video")
    assert info.starts == tuple(Fraction(n, 24) for n in range(8))
    assert numbers(load_video(path)) == list(range(5, 13))
    assert numbers(load_video(path, [0, 7])) == [5, 12]


def test_a_header_that_says_fewer_frames_than_there_are(tmp_path: Path) -> None:
    """Frames are counted where they lie; what the header says otherwise is told."""
    path = make_video(tmp_path / "clip.mov", greys(15))
    assert probe(path, "video").notes == ()
    content = bytearray(path.read_bytes())
    times = content.index(b"stts")
    assert struct.unpack(">II", content[times + 8 : times + 16]) == (1, 15)
    content[times + 12 : times + 16] = struct.pack(">I", 12)
    path.write_bytes(content)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 12
    info = probe(path, "video")
    assert info.num_frames == 15 and numbers(load_video(path)) == list(range(15))
    assert info.notes == ("its header says 12 frames, it holds 15: all of them count",)


def test_a_cut_that_lost_what_its_first_frames_lean_on(tmp_path: Path) -> None:
    """Frames that the decoder has to drop keep their numbers; the next frame stands in for them."""
    gop = "open-gop=1:keyint=12:min-keyint=12:bframes=3:b-adapt=0:scenecut=0:crf=4"
    make_video(tmp_path / "whole.mkv", greys(40, 5), options={"x264-params": gop})
    packets = 0
    with av.open(str(tmp_path / "whole.mkv")) as source, av.open(str(tmp_path / "a.mkv"), "w") as output:
        target: Any = output.add_stream_from_template(source.streams.video[0], opaque=True)
        keys = 0
        for packet in source.demux(source.streams.video[0]):
            keys += packet.is_keyframe
            if packet.size and keys > 1:
                packet.stream = target
                output.mux(packet)
                packets += 1
    info = probe(tmp_path / "a.mkv", "video")
    shown = numbers(load_video(tmp_path / "a.mkv"), 5)
    assert len(shown) == info.num_frames == packets
    lost = shown.count(shown[0]) - 1
    assert lost == 3
    assert shown[lost:] == list(range(shown[0], 40))
    assert numbers(load_video(tmp_path / "a.mkv", [0, lost, lost + 1]), 5) == [shown[0], shown[0], shown[0] + 1]


def test_indices(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", greys(10))
    assert numbers(iter_video(path, [0, 0, 4, 9, 9, 9])) == [0, 0, 4, 9, 9, 9]
    assert list(iter_video(path, [])) == []
    video = load_video(path)
    assert video.shape == (10, HEIGHT, WIDTH, 3)
    assert video.dtype == np.float32
    np.testing.assert_array_equal(video, np.stack(list(iter_video(path))))
    np.testing.assert_array_equal(video[[2, 5]], load_video(path, [2, 5]))
    for bad in ([3, 2], [-1]):
        with pytest.raises(ValueError, match="ascend"):
            load_video(path, bad)
    with pytest.raises(ValueError, match="no frames"):
        load_video(path, [])
    with pytest.raises(MediaError, match=r"a\.mp4 has 10 frames, there is no frame 10"):
        load_video(path, [9, 10])


def test_cancel(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", greys(10))
    calls = iter([False, False, True])
    frames = iter_video(path, cancel=lambda: next(calls))
    next(frames), next(frames)
    with pytest.raises(Cancelled):
        next(frames)
    with pytest.raises(Cancelled):
        load_video(path, [9], cancel=lambda: True)


# ---- videos: shape and colour ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("matrix", "corners"),
    [
        # What is shown top left and top right; stored are red and green there, blue below red.
        ((1, 0, 0, 1), (RED, GREEN)),
        ((0, 1, -1, 0), (BLUE, RED)),
        ((-1, 0, 0, -1), (WHITE, BLUE)),
        ((0, -1, 1, 0), (GREEN, WHITE)),
        ((-1, 0, 0, 1), (GREEN, RED)),
        ((1, 0, 0, -1), (BLUE, WHITE)),
        ((0, 1, 1, 0), (RED, BLUE)),
        ((0, -1, -1, 0), (WHITE, GREEN)),
    ],
)
def test_rotation(tmp_path: Path, matrix: tuple[int, int, int, int], corners: tuple[Any, Any]) -> None:
    stored = flat(BLACK)
    stored[:16, :16], stored[:16, -16:], stored[-16:, :16], stored[-16:, -16:] = RED, GREEN, BLUE, WHITE
    path = rotated(make_video(tmp_path / "a.mp4", [stored, stored]), matrix)
    info = probe(path, "video")
    assert (info.width, info.height) == ((WIDTH, HEIGHT) if matrix[0] else (HEIGHT, WIDTH))
    frame = load_video(path, [1])[0]
    assert frame.shape == (info.height, info.width, 3)
    np.testing.assert_allclose(frame[6, 6] * 255, corners[0], atol=6)
    np.testing.assert_allclose(frame[6, -6] * 255, corners[1], atol=6)


def test_rotate_tag_of_old_files(tmp_path: Path) -> None:
    make_video(tmp_path / "plain.mkv", greys(2))
    with av.open(str(tmp_path / "plain.mkv")) as source, av.open(str(tmp_path / "a.mkv"), "w") as output:
        target: Any = output.add_stream_from_template(source.streams.video[0], opaque=True)
        target.metadata["rotate"] = "90"
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = target
                output.mux(packet)
    info = probe(tmp_path / "a.mkv", "video")
    assert (info.width, info.height) == (HEIGHT, WIDTH)
    assert load_video(tmp_path / "a.mkv").shape[1:3] == (WIDTH, HEIGHT)


@pytest.mark.parametrize("size", [(37, 33), (1, 1), (2, 131)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    pixels = noise(1, *size)[0]
    path = make_video(tmp_path / "a.mkv", [pixels], codec="ffv1", pix_fmt="bgr0")
    info = probe(path, "video")
    assert (info.width, info.height, info.num_frames) == (*size, 1)
    np.testing.assert_array_equal(load_video(path)[0], pixels.astype(np.float32) / 255)


def test_wide_pixels_are_made_square(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", greys(2), aspect=Fraction(3, 2))
    info = probe(path, "video")
    assert (info.width, info.height) == (96, 48)
    assert load_video(path).shape == (2, 48, 96, 3)


def test_a_huge_video(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", [flat(9, 16400, 2)], codec="ffv1", pix_fmt="bgr0")
    refusal(path, "video", "too large", "16384")


@pytest.mark.parametrize(
    ("matrix", "code"), [("bt709", 1), ("bt601", 5), ("bt2020", 9)], ids=["bt709", "bt601", "bt2020"]
)
@pytest.mark.parametrize(("span", "span_code"), [("tv", 1), ("pc", 2)])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p10le"])
def test_colours(tmp_path: Path, matrix: str, code: int, span: str, span_code: int, pix_fmt: str) -> None:
    filters = f"out_color_matrix={matrix}:out_range={span}:flags=accurate_rnd"
    colours = [(200, 100, 50), RED, BLUE, WHITE, BLACK]
    frames = [flat(colour) for colour in colours]
    make_video(tmp_path / "a.mkv", frames, pix_fmt=pix_fmt, filters=filters, colour=(code, span_code))
    np.testing.assert_allclose(load_video(tmp_path / "a.mkv")[:, 9, 9] * 255, colours, atol=2.5)


def test_untagged_colours_are_bt601(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", [flat((200, 100, 50))], filters="out_color_matrix=bt601:flags=accurate_rnd")
    np.testing.assert_allclose(load_video(tmp_path / "a.mp4")[0, 9, 9] * 255, (200, 100, 50), atol=2.5)


def test_ten_bits_are_kept(tmp_path: Path) -> None:
    ramp = np.repeat(np.linspace(20000, 24000, WIDTH).astype(np.uint16)[None, :, None], HEIGHT, 0).repeat(3, 2)
    make_video(tmp_path / "a.mkv", [ramp], codec="ffv1", pix_fmt="gbrp10le", source="rgb48le")
    row = load_video(tmp_path / "a.mkv")[0, 0, :, 0]
    assert len(np.unique(row)) > 40  # 8 bits have 16 steps here
    np.testing.assert_allclose(row, ramp[0, :, 0] / 65535, atol=1 / 1023)


@pytest.mark.parametrize("deep", [False, True])
def test_a_transparent_video_is_laid_on_white(tmp_path: Path, deep: bool) -> None:
    pixels = np.zeros((HEIGHT, WIDTH, 4), np.uint16 if deep else np.uint8)
    pixels[:, :32], pixels[:, 32:] = (255, 0, 0, 255), (0, 0, 255, 51)
    pixels *= 257 if deep else 1
    make_video(
        tmp_path / "a.mkv",
        [pixels],
        codec="ffv1",
        pix_fmt="gbrap16le" if deep else "bgra",
        source="rgba64le" if deep else "rgba",
    )
    frame = load_video(tmp_path / "a.mkv")[0]
    np.testing.assert_allclose(frame[0, 0], (1, 0, 0), atol=0.001)
    np.testing.assert_allclose(frame[0, -1], (0.8, 0.8, 1), atol=0.003)


def test_frames_of_another_size_are_scaled_to_the_first(tmp_path: Path) -> None:
    """As from a camera call whose resolution changes: two streams of H.264 in one."""
    with av.open(str(tmp_path / "a.mkv"), "w") as output:
        first = make_video(tmp_path / "1.mkv", greys(3), options={"bf": "0"})
        second = make_video(tmp_path / "2.mkv", [frame[:24, :32] for frame in greys(3)], options={"bf": "0"})
        target: Any = None
        for n, path in enumerate((first, second)):
            with av.open(str(path)) as source:
                target = target or output.add_stream_from_template(source.streams.video[0], opaque=True)
                for packet in annexed(source):
                    packet.pts = packet.dts = (packet.pts or 0) + 125 * n
                    packet.stream = target
                    output.mux(packet)
    with av.open(str(tmp_path / "a.mkv")) as source:
        assert {(frame.width, frame.height) for frame in source.decode(source.streams.video[0])} == {(64, 48), (32, 24)}
    video = load_video(tmp_path / "a.mkv")
    assert video.shape == (6, HEIGHT, WIDTH, 3)
    assert numbers(video) == [0, 1, 2, 0, 1, 2]


# ---- videos: streams and damage --------------------------------------------------------------------------------------


def add_stream(output: Any, codec: str, pix_fmt: str, size: int) -> Any:
    stream = output.add_stream(codec, rate=24)
    stream.width = stream.height = size
    stream.pix_fmt = pix_fmt
    return stream


def encode(output: Any, stream: Any, frames: Sequence[Any]) -> None:
    for n, pixels in enumerate(frames):
        frame = convert(av.VideoFrame.from_ndarray(pixels, format="rgb24"), stream.pix_fmt, "")
        frame.pts, frame.time_base = n, Fraction(1, 24)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def test_a_cover_is_not_the_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as output:
        cover = add_stream(output, "mjpeg", "yuvj420p", 80)
        try:
            cover.disposition = av.stream.Disposition.attached_pic
        except (TypeError, AttributeError):
            pytest.skip("this PyAV cannot mark a cover")
        video = add_stream(output, "libx264", "yuv420p", 64)
        encode(output, cover, [flat(RED, 80, 80)])
        encode(output, video, [flat(20 + 10 * n, 64, 64) for n in range(5)])
    info = probe(tmp_path / "a.mp4", "video")
    assert (info.width, info.num_frames) == (64, 5)
    assert numbers(load_video(tmp_path / "a.mp4")) == [0, 1, 2, 3, 4]


def test_a_sound_file_with_a_cover_has_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as output:
        cover = add_stream(output, "mjpeg", "yuvj420p", 80)
        try:
            cover.disposition = av.stream.Disposition.attached_pic
        except (TypeError, AttributeError):
            pytest.skip("this PyAV cannot mark a cover")
        encode(output, cover, [flat(RED, 80, 80)])
    refusal(tmp_path / "a.mp4", "video", "holds no video")


def test_several_videos_and_sounds(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as output:
        streams = [add_stream(output, "ffv1", "bgr0", size) for size in (64, 32)]
        sound: Any = output.add_stream("flac", rate=8000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 2000), np.int16), format="s16", layout="mono")
        silence.rate, silence.pts = 8000, 0
        output.mux(sound.encode(silence))
        output.mux(sound.encode(None))
        for size, stream in zip((64, 32), streams, strict=True):
            encode(output, stream, [flat(20 + 10 * n, size, size) for n in range(3)])
    info = probe(tmp_path / "a.mkv", "video")
    assert info.has_audio
    assert (info.width, info.num_frames) == (64, 3)
    assert load_video(tmp_path / "a.mkv").shape == (3, 64, 64, 3)


def test_a_video_without_frames(tmp_path: Path) -> None:
    make_video(tmp_path / "whole.mp4", greys(2))
    with av.open(str(tmp_path / "whole.mp4")) as source, av.open(str(tmp_path / "a.mp4"), "w") as output:
        output.add_stream_from_template(source.streams.video[0], opaque=True)
        output.start_encoding()
    refusal(tmp_path / "a.mp4", "video")


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.webm", "libvpx-vp9"), ("a.avi", "mpeg4")]
)
def test_a_file_that_breaks_off(tmp_path: Path, name: str, codec: str) -> None:
    options = {"cpu-used": "8", "lag-in-frames": "0"} if codec == "libvpx-vp9" else {"bf": "0", "b": "20000000"}
    path = make_video(
        tmp_path / "whole", noise(12), codec=codec, options=options, file_format=FORMATS[Path(name).suffix]
    )
    data = path.read_bytes()
    if name == "a.mp4":
        data = index_in_front(path)
    (tmp_path / name).write_bytes(data[: len(data) * 6 // 10])
    path = tmp_path / name
    with pytest.raises(MediaError, match=f"{name} breaks off at frame [5-8]:"):
        probe(path, "video")
    with pytest.raises(MediaError, match=f"{name} breaks off at frame [4-8]:"):
        load_video(path)
    with pytest.raises(MediaError, match=f"{name} breaks off"):
        load_video(path, [0, 11])
    assert load_video(path, [0, 3]).shape == (2, HEIGHT, WIDTH, 3)


def test_every_cut_of_a_file_is_noticed_or_harmless(tmp_path: Path) -> None:
    data = index_in_front(make_video(tmp_path / "whole.mp4", noise(6, 16, 16), options={"bf": "0"}))
    path = tmp_path / "a.mp4"
    for end in range(100, len(data) - 64, 97):
        path.write_bytes(data[:end])
        with pytest.raises(MediaError, match=r"a\.mp4"):
            probe(path, "video")


def test_damage_inside_names_the_frame(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", noise(12), options={"bf": "0"})
    data = bytearray(path.read_bytes())
    at = len(data) // 2
    data[at : at + 9000] = bytes(9000)
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"a\.mp4 is damaged at frame \d"):
        load_video(path)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), name=st.sampled_from(["mp4", "mkv", "avi"]))
def test_damaged_videos_raise_nothing_else(tmp_path: Path, seed: int, name: str) -> None:
    whole = tmp_path / f"whole.{name}"
    if not whole.exists():
        make_video(whole, noise(4, 32, 16), codec="mpeg4")
    path = tmp_path / f"a.{name}"
    path.write_bytes(whole.read_bytes())
    damage(path, seed, 8)
    for action in (lambda: probe(path, "video"), lambda: load_video(path)):
        try:
            action()
        except UnisonError as error:
            assert path.name in str(error)


@pytest.mark.parametrize(
    ("pixel_format", "packed"), [("yuv420p", "rgb24"), ("yuv444p", "rgb24"), ("yuv420p10le", "rgb48le")]
)
def test_planes_of_colours_are_the_packed_pixels(tmp_path, pixel_format, packed):
    """They take a third of the time, and are equal to the bit; as a mask the brightest of them is read."""
    path = tmp_path / "noise.mkv"
    grain = np.random.default_rng(0).integers(0, 256, (48, 70, 3), np.uint8)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 70, 48, pixel_format
        frame = av.VideoFrame.from_ndarray(grain, "rgb24").reformat(format=pixel_format)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with open_clip(path) as clip:
        _, frame = next(clip.frames())
        graph = scale_graph(frame, clip.stream.time_base, "w=70:h=48", packed)
        graph.push(frame)
        stored = graph.pull().to_ndarray()
    wanted = stored.astype(np.float32) / np.float32(np.iinfo(stored.dtype).max)
    np.testing.assert_array_equal(next(iter_video(path)), wanted)
    np.testing.assert_array_equal(next(iter_video(path, as_mask=True)), wanted.max(-1, keepdims=True))
