"""Names and kinds of media, pictures in every mode, and files that are none."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from unison_backend.errors import MediaError, UnisonError
from unison_backend.media.pictures import load_image
from unison_backend.media.probe import probe
from unison_backend.plan.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES, kind_of

from ..media_samples import (
    BLACK,
    BLUE,
    GREEN,
    RED,
    WHITE,
    damage,
    greys,
    make_video,
    noise,
    refusal,
)

pytestmark = pytest.mark.fast

# ---- names and kinds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "b/c.JPG", "a.Jpeg", "a.webp", "a.bmp", "a.tif", "a.TIFF", "a.gif"])
def test_picture_names(name: str) -> None:
    assert kind_of(Path(name)) == kind_of(name) == "image"


@pytest.mark.parametrize("name", ["a.mp4", "a.MOV", "a.avi", "a.mkv", "a.webm", "a.m4v", "a.MTS", "b.ts", "a.wmv"])
def test_video_names(name: str) -> None:
    assert kind_of(Path(name)) == "video"


@pytest.mark.parametrize("name", ["a.txt", "a", ".png", "a.mp3", "png"])
def test_other_names_list_the_accepted_ones(name: str) -> None:
    with pytest.raises(MediaError) as error:
        kind_of(Path(name))
    assert all(suffix in str(error.value) for suffix in (name, *IMAGE_SUFFIXES, *VIDEO_SUFFIXES))


@pytest.mark.parametrize("kind", ["image", "video"])
def test_probing_imports_one_library(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("a.png" if kind == "image" else "a.mp4")
    if kind == "image":
        Image.new("RGB", (8, 6)).save(path)
    else:
        make_video(path, greys(2))
    code = (
        "import sys; from pathlib import Path; from unison_backend.media.probe import probe;"
        f"probe(Path({str(path)!r}), {kind!r});"
        "print(*(name for name in ('PIL', 'av', 'numpy', 'torch') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["PIL" if kind == "image" else "av"]


# ---- pictures: modes -------------------------------------------------------------------------------------------------


def saved(path: Path, image: Image.Image, **options: Any) -> Any:
    image.save(path, **options)
    return load_image(path)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp", ".gif"])
def test_rgb_is_exact(tmp_path: Path, suffix: str) -> None:
    colours = np.zeros((4, 6, 3), np.uint8)
    colours[:, ::2], colours[1] = RED, (10, 20, 30)
    options: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    pixels = saved(tmp_path / f"a{suffix}", Image.fromarray(colours), **options)
    assert pixels.dtype == np.float32
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, colours.astype(np.float32) / 255)


@pytest.mark.parametrize(
    ("mode", "colour", "suffix", "expected"),
    [
        ("1", 1, ".png", WHITE),
        ("1", 0, ".tif", BLACK),
        ("L", 77, ".png", (77, 77, 77)),
        ("P", 5, ".png", RED),
        ("P", 5, ".gif", RED),
        ("CMYK", (0, 255, 255, 0), ".tif", RED),
        ("CMYK", (255, 0, 255, 0), ".jpg", GREEN),
        ("YCbCr", (76, 84, 255), ".jpg", (254, 0, 0)),
        ("RGBX", (1, 2, 3, 0), ".tif", (1, 2, 3)),
    ],
)
def test_modes(tmp_path: Path, mode: str, colour: Any, suffix: str, expected: tuple[int, int, int]) -> None:
    image = Image.new(mode, (8, 6), colour)
    if mode == "P":
        image.putpalette([0] * 15 + list(RED) + [9] * 12)
    pixels = saved(tmp_path / f"a{suffix}", image)
    assert pixels.shape == (6, 8, 3)
    np.testing.assert_allclose(pixels[3, 4] * 255, expected, atol=2)


def test_lab(tmp_path: Path) -> None:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = Image.new("RGB", (8, 6), (200, 100, 50))
    converted = ImageCms.applyTransform(image, ImageCms.buildTransform(srgb, lab, "RGB", "LAB"))
    assert converted is not None
    np.testing.assert_allclose(saved(tmp_path / "a.tif", converted)[0, 0] * 255, (200, 100, 50), atol=4)


@pytest.mark.parametrize(
    ("mode", "colour", "alpha", "suffix"),
    [
        ("RGBA", RED, 0, ".png"),
        ("RGBA", RED, 51, ".png"),
        ("RGBA", RED, 51, ".tif"),
        ("RGBA", RED, 255, ".webp"),
        ("LA", (100, 100, 100), 51, ".png"),
        ("PA", RED, 51, ".tif"),
        ("P", RED, 51, ".png"),
        ("P", RED, 0, ".gif"),
        ("RGB", RED, 0, ".png"),
        ("L", (100, 100, 100), 0, ".png"),
    ],
)
def test_transparency_is_laid_on_white_or_black(
    tmp_path: Path, mode: str, colour: tuple[int, int, int], alpha: int, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    options: dict[str, Any] = {"lossless": True, "exact": True} if suffix == ".webp" else {}
    if mode in ("RGBA", "LA"):
        image = Image.new("RGBA", (8, 6), (*colour, alpha)).convert(mode)
    elif mode in ("P", "PA"):
        image = Image.new("P", (8, 6), 1)
        image.putpalette([1, 2, 3, *colour])
        if mode == "PA":
            image = image.convert("PA")
            image.putalpha(alpha)
        else:
            options["transparency"] = bytes([255, alpha]) if suffix == ".png" else 1
    else:
        image = Image.new(mode, (8, 6), colour if mode == "RGB" else colour[0])
        options["transparency"] = colour if mode == "RGB" else colour[0]
    image.save(path, **options)
    part = np.array(colour) / 255 * alpha / 255
    np.testing.assert_allclose(load_image(path)[2, 2], part + 1 - alpha / 255, atol=1e-6)
    np.testing.assert_allclose(load_image(path, as_mask=True)[2, 2], part, atol=1e-6)


@pytest.mark.parametrize(("mode", "suffix"), [("I;16", ".png"), ("I;16", ".tif"), ("I;16B", ".tif"), ("I", ".tif")])
def test_sixteen_bit_grey_keeps_its_bits(tmp_path: Path, mode: str, suffix: str) -> None:
    values = np.array([[0, 1, 255, 256, 32768, 65535]], np.uint16)
    image = Image.new(mode, (6, 1))
    image.frombytes(values.astype({"I;16": "<u2", "I;16B": ">u2", "I": "<i4"}[mode]).tobytes())
    pixels = saved(tmp_path / f"a{suffix}", image)
    np.testing.assert_array_equal(pixels[0, :, 1], values[0].astype(np.float32) / 65535)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0.25, 1], [0, 0.25, 1]),
        ([0, 0.25, 0.5], [0, 0.25, 0.5]),
        ([0, 51, 255], [0, 0.2, 1]),
        ([-1, np.nan, np.inf], [0, 0, 0]),
    ],
)
def test_float_grey(tmp_path: Path, values: list[float], expected: list[float]) -> None:
    image = Image.fromarray(np.array([values], np.float32))
    np.testing.assert_allclose(saved(tmp_path / "a.tif", image)[0, :, 0], expected, atol=1e-6)


def test_integers_over_16_bit_are_divided_by_their_maximum(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 65536, 131072]], np.int32))
    np.testing.assert_allclose(saved(tmp_path / "a.tif", image)[0, :, 0], [0, 0.5, 1])


def test_a_large_picture_is_no_reason_to_warn(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    path = tmp_path / "a.png"
    Image.new("1", (12000, 8000)).save(path)
    assert probe(path, "image").width == 12000
    assert not recwarn.list


def test_a_camera_file_of_several_pictures_gives_the_first(tmp_path: Path) -> None:
    first, second = (Image.new("RGB", (8, 6), colour) for colour in (RED, BLUE))
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second])
    np.testing.assert_allclose(load_image(tmp_path / "a.jpg")[0, 0], (1, 0, 0), atol=0.02)


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    first, second = (Image.new("RGB", (8, 6), colour) for colour in (RED, BLUE))
    first.save(path, save_all=True, append_images=[second])
    np.testing.assert_allclose(load_image(path)[0, 0], (1, 0, 0))
    assert probe(path, "image").num_frames == 1


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, suffix: str, orientation: int) -> None:
    stored = np.zeros((24, 40, 3), np.uint8)
    stored[:8, :8], stored[:8, -8:], stored[-8:, :8] = RED, GREEN, BLUE
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {
        ".png": {"exif": exif},
        ".webp": {"exif": exif, "lossless": True},
        ".tif": {"tiffinfo": {0x0112: orientation}},
        ".jpg": {"exif": exif, "quality": 100, "subsampling": 0},
    }[suffix]
    path = tmp_path / f"a{suffix}"
    Image.fromarray(stored).save(path, **options)
    carrier = Image.fromarray(stored)
    carrier.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(carrier), np.float32) / 255
    info = probe(path, "image")
    assert (info.height, info.width) == expected.shape[:2]
    np.testing.assert_allclose(load_image(path), expected, atol=0.02 if suffix == ".jpg" else 0)


def test_probe_of_a_picture(tmp_path: Path) -> None:
    Image.new("RGB", (7, 5)).save(tmp_path / "a.png")
    info = probe(tmp_path / "a.png", "image")
    assert (info.kind, info.width, info.height) == ("image", 7, 5)
    assert (info.starts, info.duration, info.fps, info.has_audio) == ((0,), 0, None, False)


# ---- bad files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind"), [("a.png", "image"), ("a.mp4", "video")])
def test_files_that_are_none(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / name
    refusal(path, kind, "does not exist")
    path.mkdir()
    refusal(path, kind, "folder")
    refusal(path / name, kind, "does not exist")
    path.rmdir()
    path.touch()
    refusal(path, kind, "empty")
    for junk in (b"x", b"hello, world! " * 400, os.urandom(4000), b"\0" * 4000):
        path.write_bytes(junk)
        refusal(path, kind)
    refusal(tmp_path / f"\0{name}", kind, "check the path")
    refusal(tmp_path / f"{'n' * 300}{name}", kind, "check the path")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    refusal(tmp_path / "a.png", "image", "not an ordinary file")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything is permitted to this user")
def test_no_permission(tmp_path: Path) -> None:
    for name, kind in (("a.png", "image"), ("a.mp4", "video")):
        path = tmp_path / name
        path.write_bytes(b"\x89PNG")
        path.chmod(0)
        refusal(path, kind, "may not be read")


def test_a_video_named_as_a_picture(tmp_path: Path) -> None:
    for n, name in enumerate(("a.mp4", "a.mkv", "a.avi", "a.mov")):
        codec = "mpeg4" if name == "a.avi" else "libx264"
        made = make_video(tmp_path / name, greys(2), codec=codec)
        path = made.rename(tmp_path / f"{n}.PNG")
        refusal(path, "image", "is a video, though its name ends in .png", "rename")
    refusal(make_video(tmp_path / "b.mp4", greys(2)), "image", "is a video, but a picture is needed here")


def test_a_picture_named_as_a_video(tmp_path: Path) -> None:
    for n, suffix in enumerate(IMAGE_SUFFIXES):
        Image.new("RGB", (8, 6)).save(tmp_path / f"a{suffix}")
        path = (tmp_path / f"a{suffix}").rename(tmp_path / f"{n}.mp4")
        refusal(path, "video", "is a picture, though its name ends in .mp4", "rename")
    path.write_bytes(b"\0\0\0\x1cftypheic" + bytes(100))
    refusal(path, "video", "is a picture")


def test_pictures_under_another_picture_name(tmp_path: Path) -> None:
    Image.new("RGB", (8, 6), RED).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_allclose(load_image(tmp_path / "a.jpg")[0, 0], (1, 0, 0))


def test_programs_and_playlists_are_not_run(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    refusal(tmp_path / "a.png", "image", "convert it to PNG")
    make_video(tmp_path / "b.mp4", greys(2))
    (tmp_path / "a.mp4").write_bytes(b"ffconcat version 1.0\nfile 'b.mp4'\n")
    refusal(tmp_path / "a.mp4", "video", "not a video")


@pytest.mark.parametrize("size", [(16385, 1), (1, 16385), (40000, 40000), (2**31 - 1, 2**31 - 1)])
def test_huge_pictures(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (1, 1)).save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", *size)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)
    refusal(path, "image", "too large", "16384")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".gif", ".bmp"])
def test_broken_pictures(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(noise(1)[0]).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MediaError, match="a" + suffix):
        load_image(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), suffix=st.sampled_from(IMAGE_SUFFIXES))
def test_damaged_pictures_raise_nothing_else(tmp_path: Path, seed: int, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(noise(1, 16, 12)[0]).save(path)
    damage(path, seed, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for action in (lambda: probe(path, "image"), lambda: load_image(path)):
            try:
                action()
            except UnisonError as error:
                assert path.name in str(error)
