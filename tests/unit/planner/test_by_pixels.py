"""The mask by its pixels, where the words leave it open; media are looked at only then."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.unit.planner.rules.shown import Shown
from unison_backend.media.black_and_white import Look
from unison_backend.media.from_files import FileMedia
from unison_backend.pipeline.planning import make_plan
from unison_backend.plan.plan import Plan
from unison_backend.plan.prompt import parse_pads, parse_paths
from unison_backend.plan.tasks import Task
from unison_backend.planner.base import PlanResult
from unison_backend.planner.by_pixels import with_seen_mask
from unison_backend.planner.rules.open_masks import names_mask, open_masks
from unison_backend.planner.rules.plan import planned


@pytest.fixture
def files(tmp_path):
    half = Image.new("L", (64, 48))
    half.paste(255, (0, 0, 32, 48))
    half.save(tmp_path / "half.png")
    Image.linear_gradient("L").convert("RGB").resize((64, 48)).save(tmp_path / "photo.png")
    Image.radial_gradient("L").convert("RGB").resize((64, 48)).save(tmp_path / "other.png")
    (tmp_path / "masks").mkdir()
    for name in ("dog_mask", "masks/01"):
        half.save(tmp_path / f"{name}.png")
    colours = Image.merge(
        "RGB", [Image.linear_gradient("L"), Image.radial_gradient("L"), Image.new("L", (256, 256), 9)]
    )
    for name in ("colours", "gas_mask", "man", "dog"):
        colours.resize((64, 48)).save(tmp_path / f"{name}.png")
    return tmp_path


def ask(prompt, make):
    return planned(prompt, make)


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
    assert open_masks(prompt).open == {0}


@pytest.mark.parametrize(
    "text", ["A fox in the snow.", "Make the car in <IMGPAD> red", "What is in <IMGPAD> <IMGPAD>?"]
)
def test_nothing_is_looked_at_where_nothing_is_open(text):
    prompt = parse_pads(text)
    result = planned(prompt)

    def looks(index):
        raise AssertionError(f"medium {index} was looked at")

    assert with_seen_mask(result, prompt, ask, looks) is result


def test_of_a_mask_that_words_firmly_call_one_the_pixels_are_looked_at_alone():
    prompt = parse_pads("<IMGPAD> is the mask; edit <IMGPAD>: a red door")
    result, seen = planned(prompt), []

    def looks(index):
        seen.append(index)
        return Look.PLAIN

    assert with_seen_mask(result, prompt, ask, looks) is result and seen == [0]


def test_a_firm_word_for_colours_beside_black_and_white_is_told_and_not_followed(files):
    mask, source, references, reasons = roles("Use ###colours.png### as the mask for ###half.png###: a red door", files)
    assert (mask, source, references) == (1, 0, ())
    assert any("half.png" in why and "in colours" in why for why in reasons)


@pytest.mark.parametrize("name", ["soft", "ones", "red", "holes", "cut", "lossy", "inverted"])
def test_masks_of_every_kind_are_told_from_a_photo_where_words_call_one(tmp_path, name):
    shown = Shown(tmp_path)
    kind = next(path for path in tmp_path.iterdir() if path.stem == name)
    for text in ("Here are ###{a}### and ###{b}###, one of them the mask: a red door", "###{a}###, ###{b}### mask it"):
        for order in ((kind, tmp_path / "photo1.png"), (tmp_path / "photo1.png", kind)):
            prompt = parse_paths(text.format(a=order[0], b=order[1]))
            media = FileMedia(prompt.media)
            made = with_seen_mask(planned(prompt), prompt, ask, media.look).plan
            assert (made.mask, made.source) == (order.index(kind), 1 - order.index(kind)), (text, order)
    assert shown


@pytest.mark.parametrize(
    ("text", "mask"),
    [
        ("###dog.png### ###dog_mask.png### make the dog golden", 1),
        ("###masks/01.png### ###dog.png### golden fur", 0),
        ("with ###dog_mask.png### make the dog in ###dog.png### golden", 0),
        ("###other.png### ###dog.png### ###dog_mask.png### the dog wears that collar", 2),
    ],
)
def test_the_name_of_a_file_says_that_it_is_a_mask(files, text, mask):
    found, _, _, reasons = roles(text, files)
    assert found == mask and any("has the name of a mask" in why for why in reasons)


def test_a_name_is_not_believed_of_a_picture_in_colours(files):
    found, source, references, reasons = roles("Put ###gas_mask.png### on the man in ###man.png###", files)
    assert (found, source, references, reasons) == (None, 1, (0,), [])


@pytest.mark.parametrize("name", ["masked_dog", "unmasked", "alphabet", "gas"])
def test_names_that_only_hold_the_word(name):
    assert not names_mask(f"/pictures/{name}.png")


@pytest.mark.parametrize(
    "path", ["a/dog_mask.png", "C:\\masks\\7.png", "dogMask.png", "\u5c0f\u72d7_\u906e\u7f69.png", "alpha.0001.exr"]
)
def test_names_of_masks(path):
    assert names_mask(path)


def test_whoever_plans_the_pixels_tell():
    """A model that took the two for each other is put right, and not asked again."""
    prompt = parse_pads("Replace the cat with a dog <IMGPAD> <IMGPAD>, one is the mask")
    plan = Plan(Task("image_editing"), mask=1, source=0, target="cat", prompt=prompt.text, media=prompt.kinds)

    def again(of, make):
        raise AssertionError("asked again")

    looks = [Look.MASK, Look.PICTURE]
    made = with_seen_mask(PlanResult(plan), prompt, again, looks.__getitem__)
    assert (made.plan.mask, made.plan.source, made.plan.target) == (0, 1, "cat")
    assert "black and white only" in made.notices[0].text


def test_an_order_in_the_form_of_a_question_stays_an_order(files):
    """Asked again with the mask marked, what is left of the words may read as a question."""
    text = "###half.png### shows where; ###photo.png### could have a door there"
    made = make_plan(parse_paths(text, files), make="made")
    assert (made.plan.mask, made.plan.source) == (0, 1)
