"""Reading a picture of the shape world back: what was drawn is what is seen, and what is not there is not."""

from dataclasses import replace
from random import Random

import pytest
import torch

from unison_backend.demo.world.reading import overlap, read_frame
from unison_backend.demo.world.shapes import COLOURS, PLACES, SHAPES, SIZES, Scene, Thing, render
from unison_backend.demo.world.tasks import example
from unison_backend.training.demo.evaluate import judge, motion_of


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", SIZES)
def test_what_is_drawn_is_seen(shape, size):
    for number, colour in enumerate(COLOURS):
        background = list(COLOURS)[(number + 3) % len(COLOURS)]
        x, y = list(PLACES.values())[number % len(PLACES)]
        thing = Thing(shape, colour, x, y, SIZES[size])
        seen = read_frame(render(Scene(background, (thing,)), 1, 64, 64)[0])
        assert (seen.background, seen.colour, seen.shape) == (background, colour, shape)
        assert abs(seen.x - x) < 0.03 and abs(seen.y - y) < 0.05


def test_noise_does_not_hide_it():
    generator = torch.Generator().manual_seed(0)
    right = 0
    for index in range(40):
        drawn = example("text_to_image", Random(index))
        noisy = drawn.target[0] + 0.04 * torch.randn(64, 64, 3, generator=generator)
        seen, thing = read_frame(noisy.clamp(0, 1)), drawn.scene.things[0]
        right += (seen.colour, seen.shape, seen.background) == (thing.colour, thing.shape, drawn.scene.background)
    assert right >= 38


def test_an_empty_picture_holds_nothing():
    seen = read_frame(render(Scene("blue", ()), 1, 64, 64)[0])
    assert (seen.background, seen.colour, seen.shape) == ("blue", None, None)


def test_only_inside_the_region():
    scene = Scene("white", (Thing("circle", "red", 0.25, 0.5, 0.15), Thing("square", "blue", 0.75, 0.5, 0.15)))
    frame, region = render(scene, 1, 64, 64)[0], torch.zeros(64, 64)
    region[:, 32:] = 1
    assert read_frame(frame, region).colour == "blue"


def test_overlap_of_known_masks():
    one, other = torch.zeros(4, 4), torch.zeros(4, 4)
    one[:, :2], other[:, 1:3] = 1, 1
    assert overlap(one, other) == pytest.approx(4 / 12)
    assert overlap(one, one) == 1


@pytest.mark.parametrize("motion", ["left", "right", "up", "down", "still"])
def test_which_way_it_goes(motion):
    frames = render(Scene("white", (Thing("star", "red").moving(motion),)), 9, 64, 64)
    assert motion_of(frames) == motion


KINDS = (
    "text_to_image", "text_to_video", "image_control", "video_control", "image_reference", "image_to_video first",
    "image_editing replace", "image_editing remove", "video_editing recolour",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_right_result_passes_every_judgement(kind):
    for index in range(6):
        drawn = example(kind, Random(index))
        found = judge(drawn, drawn.target)
        assert all(found.values()), (kind, index, found)


@pytest.mark.parametrize("kind", KINDS)
def test_grey_passes_none_of_the_claims(kind):
    drawn = example(kind, Random(1))
    found = judge(drawn, torch.full_like(drawn.target, 0.5))
    claims = ("colour and shape", "asked change", "follows the edges", "given frames", "outside untouched")
    assert not any(found.get(name) for name in claims)


def test_another_colour_is_told_apart():
    drawn = example("text_to_image", Random(2))
    thing = drawn.scene.things[0]
    other = next(name for name in COLOURS if name not in (thing.colour, drawn.scene.background))
    wrong = render(replace(drawn.scene, things=(replace(thing, colour=other),)), 1, 64, 64)
    found = judge(drawn, wrong)
    assert not found["colour"] and found["shape"] and found["background"] and found["place"]


def test_another_length_fails_at_once():
    drawn = example("text_to_video", Random(0))
    assert judge(drawn, drawn.target[:5]) == {"size and length": False}
