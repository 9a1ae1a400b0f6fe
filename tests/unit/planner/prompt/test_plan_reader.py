"""What models say, read into plans or refused with what is wrong."""

import json
from fractions import Fraction

import pytest

from unison_backend.plan.plan import Frame, PlanError
from unison_backend.plan.prompt import parse_pads
from unison_backend.planner.prompt.plan_reader import read_plan
from unison_backend.planner.prompt.plan_schema import EMPTY, Asked


def read(text, prompt="make it", **options):
    parsed = parse_pads(prompt)
    said = text if isinstance(text, str) else json.dumps(EMPTY | text)
    return read_plan(said, parsed, Asked.of(parsed, "auto"), **options)


VIDEO = {"task": "text_to_video", "width": 640, "height": 480, "num_frames": 72, "fps": 12.5}


@pytest.mark.parametrize(
    "wrapped",
    [
        "{}",
        "```json\n{}\n```",
        "Sure! Here is the plan for {{this}}:\n\n{}\n\nAnything else?",
        "<think>Is it {{a video}}? Yes.</think>{}",
        '{{"note": 1}} and then {}',
    ],
)
def test_the_object_is_found_in_what_stands_around_it(wrapped):
    plan = read(wrapped.format(json.dumps(VIDEO, indent=2))).plan
    assert (plan.task, plan.width, plan.height, plan.num_frames) == ("text_to_video", 640, 480, 72)
    assert plan.fps == Fraction(25, 2)
    assert plan.prompt == "make it"


def test_fields_that_are_left_out_say_nothing_and_unknown_ones_are_passed_over():
    plan = read('{"task": "text_to_image", "style": "bold"}').plan
    assert plan.task == "text_to_image"
    assert (plan.width, plan.references, plan.mask_keeps) == (None, (), False)


@pytest.mark.parametrize(
    ("said", "field", "told"),
    [
        ("I would make a video of a kite.", "plan", "one JSON object"),
        ('{"task": "text_to_video", "width": 640,', "plan", "one JSON object"),
        ("[1, 2]", "plan", "one JSON object"),
        ("{" * 5000, "plan", "one JSON object"),
        ('{"task": "text_to_video", "width": NaN}', "plan", "one JSON object"),
        ("x" * 100_001, "plan", "at most 100000"),
        ({"task": "paint"}, "task", "text_to_image"),
        ({"task": "image_editing", "source": 0, "target": "dog"}, "task", "text_to_image"),
        (VIDEO | {"width": "wide"}, "width", "whole number"),
        (VIDEO | {"width": 640.5}, "width", "whole number"),
        (VIDEO | {"width": True}, "width", "whole number"),
        (VIDEO | {"height": None}, "size", "width and height together"),
        (VIDEO | {"width": 9000}, "width", "16 to 4096"),
        (VIDEO | {"num_frames": 10**30}, "num_frames", "1 to 2400"),
        (VIDEO | {"fps": 0}, "fps", "above 0"),
        (VIDEO | {"fps": 1e-300}, "fps", "above 0"),
        (VIDEO | {"references": 3}, "references", "list of media"),
        (VIDEO | {"references": [None]}, "references", "list of media"),
        (VIDEO | {"mask_keeps": "yes"}, "mask_keeps", "true or false"),
        (VIDEO | {"control": "shadow"}, "control", "canny"),
        (VIDEO | {"target": ["dog"]}, "target", "text or null"),
        (VIDEO | {"answer": "hello"}, "answer", "nothing"),
        (VIDEO | {"source": 0}, "source", "no media"),
    ],
)
def test_what_is_wrong_is_named(said, field, told):
    with pytest.raises(PlanError) as caught:
        read(said)
    assert caught.value.field == field
    assert told in caught.value.allowed


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"task": "image_editing", "source": 2, "target": "dog"}, "source"),
        ({"task": "image_editing", "source": 0, "mask": 0}, "media"),
        ({"task": "image_editing", "source": 1, "target": "dog"}, "source"),
        ({"task": "image_editing", "target": "dog"}, "task"),
        ({"task": "image_editing", "source": 0, "target": "x" * 201}, "target"),
        ({"task": "image_to_video", "first_frame": 7}, "frames"),
        ({"task": "video_reference", "references": [1]}, "references"),
    ],
)
def test_media_that_are_not_there_or_of_the_wrong_kind(values, field):
    with pytest.raises(PlanError) as caught:
        read(values, "<IMGPAD> and <VIDPAD>")
    assert caught.value.field == field


def test_an_edit_with_all_it_has():
    made = {"task": "image_editing", "source": 1, "mask": 0, "references": [2, 2, 1], "mask_keeps": True}
    found = read(made, "<IMGPAD> <IMGPAD> <IMGPAD>")
    assert (found.plan.source, found.plan.mask, found.plan.references, found.plan.mask_keeps) == (1, 0, (2,), True)
    assert [reason.text for reason in found.notices] == ["medium 1 has another role, so it is no reference as well"]


def test_frames_go_to_their_places_and_numbers_may_be_written_as_floats():
    plan = read({"task": "image_to_video", "first_frame": 1.0, "last_frame": 0}, "<IMGPAD> <IMGPAD>").plan
    assert plan.frames == (Frame(1, "first"), Frame(0, "last"))


def test_an_answer_is_that_of_the_media_and_may_be_missing():
    plan = read({"task": "text_understanding", "answer": " Two. "}, "how many in <IMGPAD>?").plan
    assert (plan.task, plan.answer) == ("image_understanding", "Two.")
    assert read({"task": "text_understanding", "answer": "  "}, "why?").plan.answer is None


def test_an_answer_that_was_cut_is_kept_as_far_as_it_goes():
    text = json.dumps(EMPTY | {"task": "text_understanding", "answer": "One, two, three \u00e9"})
    cut = read(text[: text.index(", three") + 7], is_cut=True)
    assert cut.plan.answer == "One, two, three"
    assert "reached its limit" in cut.notices[0].text
    half = read(text[: text.index("\\u00e9") + 4], is_cut=True)
    assert half.plan.answer == "One, two, three"
    with pytest.raises(PlanError, match="ended before the object did"):
        read(text[:40], is_cut=True)


def test_the_other_reading_is_told():
    (told,) = read({"task": "text_to_image", "other_reading": "text_to_video"}).notices
    assert told.text == "taken as text to image; the model says that it could also be text to video"
    assert read({"task": "text_to_image", "other_reading": "painting"}).notices == ()
