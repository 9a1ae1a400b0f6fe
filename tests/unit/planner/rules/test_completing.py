"""What signal tokens have no word for, and models leave out, is read from the words."""

import pytest

from unison_backend.errors import InputError
from unison_backend.plan.plan import WHOLE_FRAME
from unison_backend.plan.prompt import parse_pads
from unison_backend.plan.tokens import parse
from unison_backend.planner.rules.completing import completed_json, completed_tokens, refuse_operations
from unison_backend.planner.rules.plan import planned

EDIT, VIDEO_EDIT = "<BOEDIT>0<EOEDIT><CFI>", "<BOEDIT>0<EOEDIT><CFV>"


def completed(tokens, text):
    prompt = parse_pads(text)
    return completed_tokens(parse(tokens, prompt.text, prompt.kinds, prompt.masks), prompt)


# fmt: off
STAYS = [
    ("erase everything except the dog in <IMGPAD>", EDIT, "dog"),
    ("Make all of <VIDPAD> but the red car black", VIDEO_EDIT, "red car"),
    ("keep only the woman in <IMGPAD>", EDIT, "woman"),
    ("\u628a<IMGPAD>\u91cc\u9664\u4e86\u72d7\u4ee5\u5916\u7684\u4e1c\u897f\u90fd\u53bb\u6389", EDIT, "\u72d7"),
]
# fmt: on


@pytest.mark.parametrize(("text", "tokens", "thing"), STAYS)
def test_all_but_a_thing_changes(text, tokens, thing):
    result = completed(tokens, text)
    assert (result.plan.target, result.plan.mask_keeps) == (thing, True)
    assert any(f"{thing} stays" in reason.text and reason.is_warning for reason in result.notices)


def test_the_thing_of_an_edit():
    plan = completed(EDIT, "Remove the red car from <IMGPAD>").plan
    assert (plan.target, plan.mask_keeps, plan.raw) == ("red car", False, EDIT)


def test_a_source_that_grows():
    plan = completed("<BORES>1280,720<EORES>" + EDIT, "outpaint <IMGPAD> to 16:9").plan
    assert (plan.borders.aspect, plan.width, plan.target) == ((16, 9), None, None)


def test_all_of_a_picture_is_remade():
    plan = completed(EDIT, "Turn <IMGPAD> into a watercolor painting").plan
    assert (plan.source, plan.target) == (0, WHOLE_FRAME)
    assert plan.remakes_all


def test_a_clip_that_goes_on():
    result = completed("<BONF>72<EONF><CFV>", "Continue <VIDPAD> for 3 more seconds")
    assert [(frame.medium, frame.place) for frame in result.plan.frames] == [(0, "first")]
    assert (result.plan.num_frames, result.plan.raw) == (72, "<BONF>72<EONF><CFV>")


def test_the_kind_of_what_steers():
    tokens = "<CTRL><CFV>"
    assert completed(tokens, "Make a robot that follows the pose of the dancer in <VIDPAD>").plan.control == "pose"
    assert completed(tokens, "Make a robot by this pose map <VIDPAD>").plan.control == "map"


def test_a_rate_and_a_length_in_frames():
    plan = completed("<BONF>60<EONF><CFV>", "Create a video of a kite, 60 frames at 12 fps").plan
    assert (plan.fps, plan.counted) == (12, True)
    other = completed("<BONF>48<EONF><CFV>", "Create a video of a kite, 60 frames at 12 fps").plan
    assert (other.num_frames, other.counted) == (48, False)


def test_masks_that_mark_what_stays():
    text = "Replace the background of <IMGPAD>. <IMGPAD> is the mask of what has to stay."
    assert completed("<BOEDIT>1,0<EOEDIT><CFI>", text).plan.mask_keeps


def test_where_the_rules_work_on_another_medium_the_thing_alone_is_taken():
    text = "Remove everything except the dog, <IMGPAD> <IMGPAD>"
    read = planned(parse_pads(text)).plan
    other = 1 - read.source
    plan = completed(f"<BOEDIT>{other}<EOEDIT><CFI>", text).plan
    assert (plan.source, plan.target, plan.mask_keeps) == (other, "dog", True)


def test_a_part_that_nothing_does_is_told():
    result = completed(EDIT, "Remove the car from <IMGPAD> and mute it, then upscale it 4x")
    assert any("is left out" in reason.text for reason in result.notices)


@pytest.mark.parametrize("text", ["upscale <IMGPAD> 4x", "Mute <VIDPAD>"])
def test_orders_for_what_nothing_does_are_refused_whoever_plans(text):
    with pytest.raises(InputError, match="no model here does this"):
        refuse_operations(parse_pads(text), "auto")
    refuse_operations(parse_pads(text), "answer")


@pytest.mark.parametrize(("target", "keeps"), [(None, True), ("the dog", True), ("dog", True), ("fence", False)])
def test_a_model_that_turns_all_but_a_thing_round_is_put_right(target, keeps):
    prompt = parse_pads("erase everything except the dog in <IMGPAD>")
    from dataclasses import replace

    said = replace(parse(EDIT, prompt.text, prompt.kinds, ()), target=target)
    plan, reasons = completed_json(said, prompt)
    assert plan.mask_keeps is keeps
    assert plan.target == (target or "dog")
    assert any("all but" in reason.text for reason in reasons) is keeps
