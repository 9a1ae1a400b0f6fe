"""The shape world: pixels that are known exactly, areas, motion, and the same picture at every size."""

import math

import pytest
import torch

from unison_backend.demo.world.shapes import (
    COLOURS,
    MOTIONS,
    PLACES,
    SAMPLES,
    SHAPES,
    SIZES,
    TRAVEL,
    Scene,
    Thing,
    render,
    silhouette,
)

# Areas of the shapes of radius 1: the circle's radius is 0.9; the corners' distance from the centre 1.1, 1.2 and 1.25.
AREAS = {
    "circle": math.pi * 0.9**2,
    "square": 2 * 1.1**2,
    "triangle": 3 * math.sqrt(3) / 4 * 1.2**2,
    "star": 5 * math.sin(math.pi / 5) * 0.45 * 1.25**2,
}


def centroid(cover):
    """x and y in widths and heights of one frame [H, W]."""
    height, width = cover.shape
    x, y = (torch.arange(size) + 0.5 for size in (width, height))
    return float((cover.sum(0) * x).sum() / cover.sum() / width), float((cover.sum(1) * y).sum() / cover.sum() / height)


def lone(shape="circle", colour="red", background="blue", **place):
    return Scene(background, (Thing(shape, colour, **place),))


def test_a_circle_has_its_colour_inside_and_the_backgrounds_outside():
    picture = render(lone(), 1, 64, 64)
    assert (picture.shape, picture.dtype) == ((1, 64, 64, 3), torch.float32)
    assert torch.equal(picture[0, 32, 32], torch.tensor(COLOURS["red"]))
    for y in (0, -1):
        for x in (0, -1):
            assert torch.equal(picture[0, y, x], torch.tensor(COLOURS["blue"]))


def test_its_edge_lies_where_the_radius_says():
    radius = 0.9 * 0.25 * 64  # 14.4: from 17.6 to 46.4 on the middle row, whose pixels' centres are half a pixel off
    row = silhouette(Thing("circle", "red", radius=0.25), 1, 65, 64)[0, 32]
    inside = torch.arange(64) + 0.5 - 32
    assert torch.allclose(row, (0.5 - (inside.abs() - radius)).clamp(0, 1), atol=1e-5)
    assert row[17] == pytest.approx(0.4, abs=0.15) and row[16] == 0 and row[19] == 1


def test_a_scene_without_things_is_its_background():
    for name, colour in COLOURS.items():
        assert torch.equal(render(Scene(name, ()), 2, 8, 16), torch.tensor(colour).expand(2, 8, 16, 3))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", SIZES)
def test_areas_are_the_analytic_ones(shape, size):
    cover = silhouette(Thing(shape, "red", radius=SIZES[size]), 1, 128, 128)
    assert float(cover.sum()) == pytest.approx(AREAS[shape] * (SIZES[size] * 128) ** 2, rel=0.03)


def test_shapes_have_about_the_same_area():
    assert max(AREAS.values()) / min(AREAS.values()) < 1.6


@pytest.mark.parametrize("shape", SHAPES)
def test_silhouettes_are_shares_and_symmetric(shape):
    cover = silhouette(Thing(shape, "red", radius=0.3), 1, 64, 64)[0]
    assert cover.min() == 0 and cover.max() == 1
    assert ((cover > 0) & (cover < 1)).any()  # smooth edges
    assert torch.allclose(cover, cover.flip(1), atol=1e-5)
    symmetric = torch.allclose(cover, cover.flip(0), atol=1e-5)
    assert symmetric == (shape in ("circle", "square"))
    turned = torch.allclose(cover, cover.T, atol=1e-5)
    assert turned == (shape in ("circle", "square"))


@pytest.mark.parametrize(
    ("shape", "top", "bottom"), [("square", 0.78, 0.78), ("triangle", 1.2, 0.6), ("star", 1.25, 1.01)]
)
def test_points_are_up(shape, top, bottom):
    """How far the shapes reach above and below their centre, in radii: corners may lose a pixel to their sharpness."""
    cover = silhouette(Thing(shape, "red", radius=0.3), 1, 256, 256)[0]
    rows = torch.nonzero(cover.amax(1) > 0.5)[:, 0]
    up, down = 128 - int(rows[0]), int(rows[-1]) + 1 - 128
    assert up == pytest.approx(top * 0.3 * 256, abs=2) and down == pytest.approx(bottom * 0.3 * 256, abs=2)


def test_a_star_is_hollow_between_its_points():
    thing = Thing("star", "red", radius=0.3)
    cover = silhouette(thing, 1, 200, 200)[0]
    for corner in range(5):
        for turn, expected in ((0, 1.0), (0.5, 0.0)):  # along a point and between two
            angle = -math.pi / 2 + 2 * math.pi * (corner + turn) / 5
            reach = 0.8 * 1.25 * 0.3 * 200
            assert cover[int(100 + reach * math.sin(angle)), int(100 + reach * math.cos(angle))] == expected


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_motion_moves_the_centroid_by_what_was_said(shape, motion):
    clip = silhouette(Thing(shape, "red", radius=0.16).moving(motion), 9, 64, 96)
    places = [centroid(frame) for frame in clip]
    still = centroid(silhouette(Thing(shape, "red", radius=0.16), 1, 64, 96)[0])
    for axis in (0, 1):
        way = TRAVEL * MOTIONS[motion][axis]
        for number, place in enumerate(places):
            assert place[axis] - still[axis] == pytest.approx(way * (number / 8 - 0.5), abs=0.01)


def test_one_frame_of_a_moving_thing_shows_it_half_way():
    thing = Thing("square", "red", 0.4, 0.6).moving("right")
    half_way = silhouette(Thing("square", "red", 0.4, 0.6), 1, 64, 64)
    assert torch.allclose(silhouette(thing, 1, 64, 64), half_way, atol=1e-5)
    assert torch.allclose(silhouette(thing, 9, 64, 64)[4], half_way[0], atol=1e-5)


def test_first_and_last_frame_do_not_depend_on_the_length():
    scene = Scene("white", (Thing("star", "green").moving("up"),))
    short, long = render(scene, 5, 48, 48), render(scene, 17, 48, 48)
    assert torch.equal(short[0], long[0]) and torch.equal(short[-1], long[-1])
    assert torch.allclose(short, long[::4], atol=1e-5)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_scene_is_at_the_same_place_at_every_size(shape, place):
    x, y = PLACES[place]
    thing = Thing(shape, "red", x, y, 0.16)
    small, large, wide = (centroid(silhouette(thing, 1, *size)[0]) for size in ((48, 48), (160, 160), (64, 112)))
    assert large == pytest.approx(small, abs=0.01)
    if shape in ("circle", "square"):  # these lie around their centre, at any aspect
        assert all(found == pytest.approx((x, y), abs=0.005) for found in (small, large, wide))


def test_things_lie_from_back_to_front():
    below, above = Thing("square", "yellow", radius=0.32), Thing("circle", "purple", radius=0.16)
    one, other = (render(Scene("black", things), 1, 64, 64)[0] for things in ((below, above), (above, below)))
    assert torch.equal(one[32, 32], torch.tensor(COLOURS["purple"]))
    assert torch.equal(other[32, 32], torch.tensor(COLOURS["yellow"]))
    assert torch.equal(other, render(Scene("black", (below,)), 1, 64, 64)[0])  # what is covered leaves no trace


def test_an_edge_mixes_both_colours_by_what_it_covers():
    thing = Thing("circle", "red", radius=0.3)
    cover = silhouette(thing, 1, 64, 64)[0]
    picture = render(Scene("green", (thing,)), 1, 64, 64)[0]
    mixed = torch.tensor(COLOURS["green"]) * (1 - cover[..., None]) + torch.tensor(COLOURS["red"]) * cover[..., None]
    assert torch.equal(picture, mixed)


@pytest.mark.parametrize("shape", SHAPES)
def test_samples_show_what_pixels_are_covered(shape):
    thing = Thing(shape, "red", 0.53, 0.47, SIZES["small"])
    exact = silhouette(thing, 1, 64, 64, 24)
    wrong = [(silhouette(thing, 1, 64, 64, samples) - exact).abs() for samples in (1, SAMPLES)]
    assert wrong[1].max() < 0.04 and wrong[1].sum() < 0.5 * wrong[0].sum()
    if shape == "star":
        assert wrong[0].max() > 0.2  # its points are what one sample rounds
    both = [render(Scene("white", (thing,)), 1, 64, 64, samples) for samples in (1, SAMPLES)]
    cover = silhouette(thing, 1, 64, 64, SAMPLES)[..., None]
    white, red = (torch.tensor(COLOURS[name]) for name in ("white", "red"))
    assert torch.equal(both[1], white * (1 - cover) + red * cover) and not torch.equal(*both)
