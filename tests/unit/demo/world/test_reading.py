"""Reading a picture of the shape world back: what was drawn is what is seen, and what is not there is not."""

from dataclasses import replace
from random import Random

import pytest
import torch

from unison_backend.demo.world.canvas import Canvas
from unison_backend.demo.world.reading import JUDGES, alike, fitted, overlap, read_frame, soft_overlap
from unison_backend.demo.world.shapes import COLOURS, PLACES, SHAPES, SIZES, Scene, Thing, render, silhouette
from unison_backend.demo.world.tasks import example
from unison_backend.training.demo.judging import judge, motion_of


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
        found = judge(drawn, drawn.target).right
        assert all(found.values()), (kind, index, found)


@pytest.mark.parametrize("kind", KINDS)
def test_grey_passes_none_of_the_claims(kind):
    drawn = example(kind, Random(1))
    found = judge(drawn, torch.full_like(drawn.target, 0.5)).right
    claims = ("colour and shape", "asked change", "follows the edges", "given frames", "outside untouched")
    assert not any(found.get(name) for name in claims)


def test_another_colour_is_told_apart():
    drawn = example("text_to_image", Random(2))
    thing = drawn.scene.things[0]
    other = next(name for name in COLOURS if name not in (thing.colour, drawn.scene.background))
    wrong = render(replace(drawn.scene, things=(replace(thing, colour=other),)), 1, 64, 64)
    found = judge(drawn, wrong).right
    assert not found["colour"] and found["shape"] and found["background"] and found["place"]


def test_another_length_fails_at_once():
    drawn = example("text_to_video", Random(0))
    assert judge(drawn, drawn.target[:5]).right == {"size and length": False}


def drawn_star(samples=3):
    return render(Scene("blue", (Thing("star", "yellow", 0.52, 0.49, 0.23),)), 1, 64, 64, samples)[0]


@pytest.mark.parametrize("shape", SHAPES)
def test_coverage_reads_antialiased_drawings_to_the_part_of_a_pixel(shape):
    thing = Thing(shape, "red", 0.513, 0.487, SIZES["small"])
    seen = read_frame(render(Scene("white", (thing,)), 1, 64, 64, 3)[0], by="coverage")
    assert (seen.colour, seen.shape, seen.background) == ("red", shape, "white")
    wanted = silhouette(thing, 1, 64, 64, 3)[0]
    assert seen.area == pytest.approx(wanted.sum().item(), rel=0.01)
    assert soft_overlap(seen.outline, wanted) > 0.99
    lies, fit = fitted(seen.outline, shape)
    assert fit > 0.95 and abs(lies.x - thing.x) < 0.01 and abs(lies.radius - thing.radius) < 0.01
    others = [fitted(seen.outline, other)[1] for other in SHAPES if other != shape]
    assert max(others) < 0.9


def test_antialiased_things_are_as_large_by_coverage_as_they_are_and_larger_by_threshold():
    thing = Thing("star", "yellow", 0.52, 0.49, SIZES["small"])
    wanted = silhouette(thing, 1, 64, 64, 3)[0]
    frame = render(Scene("blue", (thing,)), 1, 64, 64, 3)[0]
    by = {judge: read_frame(frame, by=judge) for judge in JUDGES}
    assert alike(by["coverage"].outline, wanted, "coverage") > 0.99
    assert alike(by["threshold"].outline, wanted, "threshold") < 0.92
    assert by["threshold"].area > 1.08 * by["coverage"].area


def test_blur_counts_by_coverage():
    sharp = drawn_star()
    wanted, alikes = silhouette(Thing("star", "", 0.52, 0.49, 0.23), 1, 64, 64, 3)[0], []
    for side in (1, 3, 5):
        rows = sharp.movedim(-1, 0)[None]
        blurred = torch.nn.functional.avg_pool2d(rows, side, 1, side // 2, count_include_pad=False)[0].movedim(0, -1)
        alikes.append(alike(read_frame(blurred, by="coverage").outline, wanted, "coverage"))
    assert alikes[0] > 0.99 and 0.85 < alikes[1] < 0.92 and alikes[2] < 0.85


def test_noise_far_from_a_thing_covers_nothing():
    noisy = drawn_star() + 0.03 * torch.randn(64, 64, 3, generator=torch.Generator().manual_seed(1))
    seen = read_frame(noisy.clamp(0, 1), by="coverage")
    assert seen.shape == "star" and seen.area == pytest.approx(read_frame(drawn_star(), by="coverage").area, rel=0.03)
    assert seen.outline[:8].max() == 0


def test_soft_overlap_of_known_coverages():
    one, other = torch.tensor([1.0, 0.5, 0.0]), torch.tensor([0.5, 0.5, 0.5])
    assert soft_overlap(one, other) == pytest.approx(1.0 / 2.0)
    assert soft_overlap(torch.zeros(3), torch.zeros(3)) == 1


def test_both_judges_take_the_right_result_of_antialiased_examples():
    for kind in ("text_to_image", "video_control", "image_editing replace"):
        drawn = example(kind, Random(3), canvas=Canvas(samples=3))
        for by in JUDGES:
            assert all(judge(drawn, drawn.target, by).right.values()), (kind, by)
