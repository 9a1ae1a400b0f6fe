"""What holds black and white only: masks do, also lossy and soft ones; pictures and drawings do not."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter

from unison_backend.media.black_and_white import Look, look_of_file
from unison_backend.media.from_tensors import TensorMedia, footage, still


def mask(size=(320, 240), soft=0):
    picture = Image.new("L", size)
    ImageDraw.Draw(picture).ellipse((60, 40, 200, 180), fill=255)
    return picture.filter(ImageFilter.GaussianBlur(soft)) if soft else picture


def photo(size=(320, 240)):
    ramp = np.linspace(0, 255, size[0] * size[1] * 3).reshape(size[1], size[0], 3)
    return Image.fromarray(ramp.astype(np.uint8))


@pytest.mark.parametrize(
    ("name", "picture", "expected"),
    [
        ("mask.png", mask(), True),
        ("one_bit.png", mask().convert("1"), True),
        ("palette.png", mask().convert("P"), True),
        ("lossy.jpg", mask().convert("RGB"), True),
        ("soft.png", mask(soft=1), True),
        ("very_soft.png", mask(soft=30), False),
        ("large.png", mask((1600, 900)), True),
        ("photo.png", photo(), False),
        ("grey.png", photo().convert("L"), False),
        ("black.png", Image.new("L", (64, 64)), False),
        ("white.png", Image.new("L", (64, 64), 255), False),
        (
            "red_and_black.png",
            Image.merge("RGB", [mask(), Image.new("L", (320, 240)), Image.new("L", (320, 240))]),
            False,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file(tmp_path, name, picture, expected):
    picture.save(tmp_path / name)
    assert (look_of_file(tmp_path / name, "image") is Look.MASK) is expected


def test_tensors():
    grey = torch.from_numpy(np.asarray(mask(), dtype=np.float32) / 255)
    colours = torch.from_numpy(np.asarray(photo(), dtype=np.float32) / 255)
    clip = torch.stack([torch.zeros(8, 8), torch.eye(8)])[..., None].expand(2, 8, 8, 3)
    media = TensorMedia.of(
        ["mask", "photo", "moving mask", "clip"],
        [
            still(grey[..., None].expand(-1, -1, 3), "mask"),
            still(colours, "photo"),
            footage(clip, Fraction(8), "moving mask"),
            footage(torch.stack([colours, colours]), Fraction(8), "clip"),
        ],
    )
    assert [media.look(index) for index in range(4)] == [Look.MASK, Look.PLAIN, Look.MASK, Look.PLAIN]


def colours(size=(320, 240)):
    ramps = [Image.linear_gradient("L"), Image.radial_gradient("L"), Image.new("L", (256, 256), 30)]
    return Image.merge("RGB", ramps).resize(size)


def with_alpha(picture, alpha):
    layered = picture.convert("RGB")
    layered.putalpha(alpha)
    return layered


@pytest.mark.parametrize(
    ("name", "picture", "expected"),
    [
        ("photo.png", colours(), Look.PICTURE),
        ("photo.jpg", colours(), Look.PICTURE),
        ("opaque.png", with_alpha(colours(), Image.new("L", (320, 240), 255)), Look.PICTURE),
        ("soft.png", mask(soft=30), Look.PLAIN),
        ("soft.jpg", mask(soft=30).convert("RGB"), Look.PLAIN),
        ("ones.png", mask().point(lambda value: value // 255), Look.PLAIN),
        ("red.png", Image.merge("RGB", [mask(), *[Image.new("L", (320, 240))] * 2]), Look.PLAIN),
        ("hole.png", with_alpha(colours(), mask()), Look.PLAIN),
        ("white_on_nothing.png", with_alpha(Image.new("L", (320, 240), 255), mask()), Look.MASK),
        ("black_on_nothing.png", with_alpha(Image.new("L", (320, 240)), mask()), Look.MASK),
        ("inverted.png", mask().point(lambda value: 255 - value), Look.MASK),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_file_looks_like(tmp_path, name, picture, expected):
    picture.save(tmp_path / name)
    assert look_of_file(tmp_path / name, "image") is expected
    pixels = torch.from_numpy(np.asarray(Image.open(tmp_path / name).convert("RGBA"), dtype=np.float32) / 255)
    assert TensorMedia.of(["it"], [still(pixels, "it")]).look(0) is expected
