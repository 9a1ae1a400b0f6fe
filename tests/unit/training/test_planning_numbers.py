"""Numbers of planning data: small and large, kept apart or not, and counted as the plan counts."""

from collections import Counter
from random import Random

import pytest

from unison_backend.training.planning_numbers import PLAIN_SIZES, Plain, Wide, any_size, is_apart

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def drawn(numbers, name, count=3000):
    random = Random(7)
    return [getattr(numbers, name)(random) for _ in range(count)]


def test_the_embedded_models_own_numbers_are_kept_apart():
    assert is_apart(64, 64) and is_apart(frames=9) and is_apart(64, 64, 30)
    assert not is_apart() and not is_apart(frames=8) and not is_apart(80, 64)


def test_no_named_size_is_kept_apart():
    """Else a meaning of a word could not be learned."""
    sizes = {size for kind, size, _ in drawn(Wide(WORDS), "size") if kind != "explicit"}
    assert len(sizes) == 6 and not any(is_apart(*size) for size in sizes)


@pytest.mark.parametrize("apart", [False, True, None])
def test_sizes_and_frames_are_apart_as_asked(apart):
    numbers = Wide(WORDS, apart=apart)
    sizes = {is_apart(*size) for kind, size, _ in drawn(numbers, "size") if kind == "explicit"}
    frames = {is_apart(frames=frames) for kind, frames, _ in drawn(numbers, "length") if kind == "frames"}
    assert sizes == frames == ({False, True} if apart is None else {apart})


def test_small_sizes_squares_and_short_clips_are_frequent():
    sizes = [size for kind, size, _ in drawn(Wide(WORDS), "size") if kind == "explicit"]
    frames = [frames for kind, frames, _ in drawn(Wide(WORDS), "length") if kind == "frames"]
    assert sum(max(size) <= 256 for size in sizes) > 0.25 * len(sizes)
    assert sum(width == height for width, height in sizes) > 0.25 * len(sizes)
    assert len({size for size in sizes}) > 0.6 * len(sizes)  # no short list
    assert sum(count <= 30 for count in frames) > 0.4 * len(frames)
    assert all(16 <= side <= 2048 for size in sizes for side in size) and all(2 <= count <= 320 for count in frames)


def test_seconds_are_24_frames_in_digits_decimals_and_words():
    forms = Counter()
    for kind, frames, said in drawn(Wide(WORDS), "length"):
        if kind == "one second":
            assert frames == 24
        elif kind == "spelled":
            assert frames == 24 * WORDS.index(said["word"])
        elif kind == "seconds":
            assert abs(frames - 24 * float(said["s"])) <= 0.5
            kind = "decimals" if "." in str(said["s"]) else kind
        forms[kind] += 1
    assert forms.keys() == {"frames", "seconds", "decimals", "spelled", "one second"} and min(forms.values()) > 50


def test_plain_numbers_are_few():
    sizes = {size for kind, size, _ in drawn(Plain(), "size") if kind == "explicit"}
    assert {side for size in sizes for side in size} == set(PLAIN_SIZES)


def test_any_size_draws_the_whole_range():
    random = Random(2)
    sides = {any_size(random)[0] for _ in range(4000)}
    assert min(sides) < 24 and max(sides) > 1990 and len(sides) > 700
