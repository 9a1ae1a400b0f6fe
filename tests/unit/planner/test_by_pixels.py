"""The mask by its pixels, where the words leave it open; media are looked at only then."""

from __future__ import annotations

import pytest
from PIL import Image

from unison_backend.pipeline import make_plan
from unison_backend.plan.prompt import parse_pads, parse_paths
from unison_backend.planner.by_pixels import with_seen_mask
from unison_backend.planner.rules.plan import planned


@pytest.fixture
def files(tmp_path):
    half = Image.new("L", (64, 48))
    half.paste(255, (0, 0, 32, 48))
    half.save(tmp_path / "half.png")
    Image.linear_gradient("L").convert("RGB").resize((64, 48)).save(tmp_path / "photo.png")
    Image.radial_gradient("L").convert("RGB").resize((64, 48)).save(tmp_path / "other.png")
    return tmp_path


def roles(text, files):
    made = make_plan(parse_paths(text, files))
    return (
        made.plan.mask,
        made.plan.source,
        made.plan.references,
        [r.text for r in made.spec.reasons if r.field == "mask"],
    )


@pytest.mark.parametrize(
    ("text", "mask", "source"),
    [
        ("Make the car in ###photo.png### red ###half.png###", 1, 0),
        ("###half.png### ###photo.png### make the car red", 0, 1),
        ("Replace the cat with a dog. ###half.png### ###photo.png###", 0, 1),
        ("\u628a\u8f66\u6539\u6210\u7ea2\u8272\uff0c###half.png### ###photo.png###", 0, 1),
    ],
)
def test_the_black_and_white_one_is_the_mask(files, text, mask, source):
    *found, references, reasons = roles(text, files)
    assert (found, references) == ([mask, source], ())
    assert any("half.png" in why and "black and white only" in why for why in reasons)


@pytest.mark.parametrize(
    "text",
    [
        "Make the car in ###photo.png### red ###other.png###",  # none is black and white
        "Make the car red ###half.png### ###half.png###",  # both are
        "Put the logo of ###half.png### on the shirt in ###photo.png###",  # the words say what it is
    ],
)
def test_the_words_stand_otherwise(files, text):
    assert not any("black and white" in why for why in roles(text, files)[3])


def test_words_that_are_firm_win(files):
    mask, source, _, reasons = roles(
        "Replace the cat in ###half.png### with a dog; ###photo.png### is the mask.", files
    )
    assert (mask, source, reasons) == (1, 0, [])


def test_a_persons_own_mask_wins(files):
    made = make_plan(parse_paths("Make the car in ###photo.png### red ###half.png###", files), {"mask": None})
    assert made.plan.mask is None


def test_a_black_and_white_video_is_no_mask_of_a_picture():
    prompt = parse_pads("Make the car red <IMGPAD> <VIDPAD>")
    assert 1 not in planned(prompt).open_masks or planned(prompt).plan.source == 1
    assert all(index == 0 for index in planned(prompt).open_masks)


@pytest.mark.parametrize(
    "text", ["A fox in the snow.", "Make the car in <IMGPAD> red", "<IMGPAD> is the mask; edit <IMGPAD>"]
)
def test_nothing_is_looked_at_where_the_words_say_it(text):
    prompt = parse_pads(text)
    result = planned(prompt)

    def looks(index):
        raise AssertionError(f"medium {index} was looked at")

    assert with_seen_mask(result, prompt, planned, looks) is result
