"""ICC profiles: pictures in the colours that a viewer shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from unison_backend.media.pictures import load_image
from unison_backend.media.probe import probe

from .. import icc_profiles as icc

pytestmark = pytest.mark.fast

COLOURS = ((200, 40, 40), (40, 180, 60), (40, 60, 200), (220, 220, 220))
INK = (86, 128, 101)  # Lab (50, -20, 10) of D50 in sRGB, by the formulas of IEC 61966-2-1
EXACT: dict[str, dict[str, Any]] = {".png": {}, ".tif": {}, ".webp": {"lossless": True}, ".jpg": {"quality": 100}}


def quadrants(pixels: Any) -> Any:
    """The middle of each quadrant, 0..255."""
    height, width = pixels.shape[:2]
    return [pixels[height * y // 4, width * x // 4, :3] * 255 for y in (1, 3) for x in (1, 3)]


def picture(colours: Any) -> Image.Image:
    pixels = np.asarray(colours, np.uint8).reshape(2, 2, 3).repeat(16, 0).repeat(16, 1)
    return Image.fromarray(pixels)


def saved(path: Path, image: Image.Image, profile: bytes | None) -> Any:
    image.save(path, icc_profile=profile, **EXACT[path.suffix])
    return load_image(path)


@pytest.mark.parametrize("suffix", EXACT)
@pytest.mark.parametrize(("primaries", "name"), [(icc.P3, "P3"), (icc.ADOBE, "Adobe"), (icc.SRGB, "gamma 1.4")])
def test_rgb_profiles_are_converted_and_said(tmp_path: Path, suffix: str, primaries: Any, name: str) -> None:
    gamma = 1.4 if name == "gamma 1.4" else 2.2
    path = tmp_path / f"a{suffix}"
    made = picture([icc.stored(colour, primaries, gamma) for colour in COLOURS])
    pixels = saved(path, made, icc.rgb(primaries, gamma, name))
    np.testing.assert_allclose(quadrants(pixels), COLOURS, atol=4 if suffix == ".jpg" else 3)
    assert [name in note for note in probe(path, "image").notes] == [True]


@pytest.mark.parametrize("suffix", EXACT)
def test_srgb_stays_as_it_is_without_a_word(tmp_path: Path, suffix: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / f"a{suffix}"
    plain = saved(tmp_path / f"b{suffix}", picture(COLOURS), None)
    np.testing.assert_array_equal(saved(path, picture(COLOURS), profile), plain)
    assert probe(path, "image").notes == ()


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA"])
def test_transparency_outlasts_the_profile(tmp_path: Path, mode: str) -> None:
    colour = (120, 120, 120) if mode == "LA" else tuple(icc.stored((200, 40, 40), icc.P3))
    image = Image.new("RGBA", (8, 8), (*colour, 255))
    image.paste((*colour, 0), (0, 0, 4, 8))
    image = image.quantize(4) if mode == "P" else image.convert(mode)
    profile = icc.grey(1.0) if mode == "LA" else icc.rgb(icc.P3)
    pixels = saved(tmp_path / "a.png", image, profile) * 255
    np.testing.assert_allclose(pixels[4, 1], 255)
    # A linear grey of 120 is 181 in sRGB.
    np.testing.assert_allclose(pixels[4, 6], (181,) * 3 if mode == "LA" else (200, 40, 40), atol=3)


@pytest.mark.parametrize("deep", [False, True])
def test_grey_profiles(tmp_path: Path, deep: bool) -> None:
    values = np.array([[0, 64, 128, 255]], np.uint8)
    image = Image.fromarray(values.astype(np.uint16) * 257 if deep else values)
    linear = (values / 255).ravel()
    expected = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    pixels = saved(tmp_path / "a.png", image, icc.grey(1.0))
    np.testing.assert_allclose(pixels[0, :, 0], expected, atol=1 / 255)


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_inks_with_a_profile(tmp_path: Path, suffix: str) -> None:
    # Full cyan is a dull green in this made-up press, paper is yellowish.
    profile = icc.cmyk({(0, 0, 0, 0): (95, 0, 20), (1, 0, 0, 0): (50, -20, 10)})
    path = tmp_path / f"a{suffix}"
    pixels = saved(path, Image.new("CMYK", (16, 16), (255, 0, 0, 0)), profile)[8, 8] * 255
    np.testing.assert_allclose(pixels, INK, atol=3)
    assert "inks" in probe(path, "image").notes[0]
    saved(path, Image.new("CMYK", (16, 16), (255, 0, 0, 0)), None)
    assert probe(path, "image").notes == ("CMYK without a profile: its colours are a guess",)


@pytest.mark.parametrize("profile", [b"no profile", icc.rgb(icc.P3)[:200], icc.grey(1.0)])
def test_a_profile_that_cannot_be_used_is_said(tmp_path: Path, profile: bytes) -> None:
    path = tmp_path / "a.png"
    pixels = saved(path, picture(COLOURS), profile)
    np.testing.assert_allclose(quadrants(pixels), COLOURS, atol=1e-4)
    assert "read as sRGB" in probe(path, "image").notes[0]


def test_masks_are_numbers_and_not_colours(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    saved(path, Image.new("L", (8, 8), 120), icc.grey(1.0))
    np.testing.assert_allclose(load_image(path, as_mask=True) * 255, 120, atol=1e-4)


def test_pages_of_a_tiff_that_are_left_out_are_said(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.new("L", (8, 8)).save(path, save_all=True, append_images=[Image.new("L", (8, 8))] * 2)
    assert probe(path, "image").notes == ("page 1 of 3 is read",)
