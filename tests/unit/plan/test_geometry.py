"""Sizes, lengths and frames against the reference's tables."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unison_backend.plan.geometry import (
    MediaInfo,
    cover,
    fit_to_source,
    frames_within,
    letterbox,
    pick_frames,
    round_half_up,
    round_length,
    round_side,
    token_budget,
)

pytestmark = pytest.mark.fast

AREA = 832 * 480

# Measured on the reference's own processor with a budget of 832x480.
REFERENCE_TABLE = [
    ((1920, 1080, 81), (832, 480, 81)),
    ((1280, 704, 81), (848, 464, 81)),
    ((1024, 1024, 81), (640, 624, 81)),
    ((512, 512, 81), (512, 512, 81)),
    ((640, 480, 81), (640, 480, 81)),
    ((400, 300, 81), (400, 288, 81)),
    ((1080, 1920, 81), (464, 848, 81)),
    ((3840, 1600, 81), (992, 400, 81)),
    ((1920, 1080, 161), (832, 480, 81)),
    ((512, 512, 161), (512, 512, 121)),
    ((640, 480, 6), (640, 480, 5)),
    ((416, 240, 400), (416, 240, 333)),
]


@pytest.mark.parametrize(("source", "expected"), REFERENCE_TABLE)
def test_the_reference_size_rule(source, expected):
    assert fit_to_source(*source, AREA) == expected


def test_token_budgets():
    assert token_budget(1280 * 720) == 75600
    assert token_budget(480 * 832) == 32760
    assert token_budget(640 * 480) == 25600


sides = st.integers(1, 5000)


@given(sides, sides, st.integers(1, 3000), st.integers(16, 4096), st.integers(16, 4096))
def test_the_size_rule_holds_for_any_source(width, height, frames, budget_width, budget_height):
    area = budget_width * budget_height
    out_width, out_height, out_frames = fit_to_source(width, height, frames, area)
    assert out_width % 16 == 0 and out_height % 16 == 0 and out_frames % 4 == 1
    assert out_width >= 16 and out_height >= 16 and 1 <= out_frames <= max(frames, 1)
    if min(width, height) >= 64 and max(width, height) < 4 * min(width, height) and area >= 128 * 128:
        # Rounding to whole cells may move one side; the area stays a bound to within a row of cells.
        assert out_width * out_height <= area + 16 * max(out_width, out_height)


@pytest.mark.parametrize(
    ("side", "rounded"), [(16, 16), (23, 16), (24, 32), (100, 96), (104, 112), (1080, 1088), (1, 16)]
)
def test_sides_round_to_the_nearest_16_half_up(side, rounded):
    assert round_side(side) == rounded


@pytest.mark.parametrize(("said", "made"), [(1, 1), (3, 1), (4, 5), (24, 25), (48, 49), (72, 73), (81, 81), (120, 121)])
def test_lengths_are_four_k_plus_one(said, made):
    assert round_length(said) == made


def test_half_goes_up():
    assert [round_half_up(Fraction(n, 2)) for n in (1, 3, 5)] == [1, 2, 3]


def steady(count, fps):
    return tuple(Fraction(i, fps) for i in range(count)), Fraction(count, fps)


@pytest.mark.parametrize(("count", "kept"), [(42, 41), (82, 81)])
def test_one_frame_is_dropped_and_the_ends_are_kept(count, kept):
    starts, duration = steady(count, 8)
    picked = pick_frames(starts, duration, kept)
    assert len(set(picked)) == kept
    assert (picked[0], picked[-1]) == (0, count - 1)


def test_all_frames_when_all_are_asked_for():
    starts, duration = steady(41, 8)
    assert pick_frames(starts, duration, 41) == tuple(range(41))


def test_frames_of_a_variable_rate_go_by_time():
    starts = tuple(map(Fraction, (0, 1, 2, 3, 10)))
    assert pick_frames(starts, Fraction(20), 5) == (0, 3, 3, 4, 4)


@given(st.lists(st.fractions(Fraction(1, 1000), 5), min_size=1, max_size=60), st.integers(1, 90))
def test_picked_frames_ascend_and_exist(steps, count):
    starts = [Fraction(0)]
    for step in steps[:-1]:
        starts.append(starts[-1] + step)
    picked = pick_frames(starts, starts[-1] + steps[-1], count)
    assert len(picked) == count
    assert list(picked) == sorted(picked)
    assert picked[0] >= 0 and picked[-1] < len(starts)
    assert count == 1 or (picked[0], picked[-1]) == (0, len(starts) - 1)


def test_frames_within():
    starts, _ = steady(42, 8)
    assert frames_within(starts, Fraction(2)) == 16
    assert frames_within(starts, Fraction(0)) == 1
    assert frames_within(starts, Fraction(99)) == 42


@given(sides, sides, st.integers(1, 100).map(lambda n: 16 * n), st.integers(1, 100).map(lambda n: 16 * n))
def test_cover_covers_and_letterbox_fits(width, height, out_width, out_height):
    scaled_width, scaled_height, left, top = cover(width, height, out_width, out_height)
    assert scaled_width >= left + out_width and scaled_height >= top + out_height and left >= 0 and top >= 0
    scaled_width, scaled_height, left, top = letterbox(width, height, out_width, out_height)
    assert 1 <= scaled_width <= out_width - left and 1 <= scaled_height <= out_height - top


def test_media_info():
    info = MediaInfo("video", 64, 48, *steady(42, 8))
    assert (info.num_frames, info.fps) == (42, 8)
    assert MediaInfo("image", 64, 48).fps is None
