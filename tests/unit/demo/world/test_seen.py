"""What the embedded models were made for is never called a photograph; what has many colours is, by its name."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image

from unison_backend.demo.world.seen import MOST_COLOURS, colours, foreign_notice
from unison_backend.demo.world.shapes import COLOURS, SHAPES, SIZES, Scene, Thing, render
from unison_backend.media.video import load_video
from unison_backend.plan.tokens import parse

from ...sources.drawn import Drawn

ROOT = Path(__file__).resolve().parents[4]
OURS = sorted([*(ROOT / "unison_backend" / "demo" / "samples").iterdir(), *(ROOT / "docs" / "examples").iterdir()])


def photograph(height=48, width=64):
    """Light from the left, noise, and a smooth mixture of colours, as a camera has it."""
    torch.manual_seed(0)
    rough = torch.rand(1, 3, 6, 8)
    smooth = torch.nn.functional.interpolate(rough, (height, width), mode="bicubic")[0].movedim(0, -1)
    return (smooth * torch.linspace(0.5, 1, width)[None, :, None] + 0.03 * torch.randn(height, width, 3)).clamp(0, 1)


def frames_of(path):
    if path.suffix == ".mp4":
        return [torch.from_numpy(frame) for frame in load_video(path)]
    with Image.open(path) as file:
        found = []
        for number in range(getattr(file, "n_frames", 1)):
            file.seek(number)
            found.append(torch.from_numpy(np.asarray(file.convert("RGB"), np.float32) / 255))
    return found


@pytest.mark.parametrize(
    "path", [path for path in OURS if path.suffix in (".png", ".gif", ".mp4")], ids=lambda p: p.name
)
def test_samples_and_what_the_models_made_of_them_are_drawings(path):
    assert max(map(colours, frames_of(path))) <= MOST_COLOURS


def test_scenes_of_the_world_are_drawings_at_any_size():
    random = Random(0)
    for number in range(60):
        things = tuple(
            Thing(random.choice(SHAPES), random.choice(list(COLOURS)), random.random(), random.random(),
                  random.choice(list(SIZES.values())))
            for _ in range(random.choice((1, 2, 3)))
        )  # fmt: skip
        scene = Scene(random.choice(list(COLOURS)), things)
        assert colours(render(scene, 1, *((64, 64), (90, 160))[number % 2])[0]) <= MOST_COLOURS, scene


@pytest.mark.parametrize(
    ("tokens", "media", "named"),
    [
        ("<REF><CFI>", ("drawing", "photo"), "image2"),
        ("<REF><CFI>", ("photo", "photo"), "image1, image2"),
        ("<REF><CFI>", ("drawing", "drawing"), None),
        ("<BOEDIT>1,0<EOEDIT><CFI>", ("drawing", "photo"), None),  # a mask is no picture of anything
        ("<BOEDIT>1,0<EOEDIT><CFI>", ("photo", "drawing"), "image1"),
        ("What is this?", ("photo",), "image1"),
        ("<CTRL><CFV>", ("clip",), "image1"),  # by its first frame
    ],
)
def test_a_photograph_is_told_by_its_name(tokens, media, named):
    pixels = {
        "photo": photograph(),
        "drawing": render(Scene("red", (Thing("star", "white"),)), 1, 64, 64)[0],
        "clip": torch.stack([photograph(), torch.zeros(48, 64, 3)]),
    }
    drawn = Drawn(*(pixels[name] for name in media))
    plan = parse(tokens, "", drawn.kinds)
    told = foreign_notice(plan, drawn, [f"image{number}" for number in range(1, 3)], "Real pictures take X.")
    if named is None:
        assert told is None
        return
    assert told.startswith(f"{named}: more colours than flat drawings have") and told.endswith("Real pictures take X.")
    assert ("the answer is a guess" in told) == (not plan.task.is_generation)
