"""The plan as value, signal tokens and JSON."""

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unison_backend.plan.as_json import from_json, to_json
from unison_backend.plan.controls import CONTROLS
from unison_backend.plan.plan import MAX_FRAMES, MAX_SIDE, Frame, Plan, PlanError
from unison_backend.plan.tasks import Task
from unison_backend.plan.tokens import ADDED_TOKENS, parse

pytestmark = pytest.mark.fast

IMAGE, VIDEO = "image", "video"


def test_the_fourteen_tokens_in_their_order():
    expected = (
        "<CFI> <CFV> <BORES> <EORES> <BONF> <EONF> <BOFIDX> <EOFIDX> <REF> <CTRL> <BOEDIT> <EOEDIT> <IMGPAD> <VIDPAD>"
    )
    assert " ".join(ADDED_TOKENS) == expected


# One row for each of the nine generation tasks and the combinations, then the understanding tasks.
PLANS = [
    ("<CFI>", (), Task.TEXT_TO_IMAGE),
    ("<BORES>640,480<EORES><CFI>", (), Task.TEXT_TO_IMAGE),
    ("<BOEDIT>1,0<EOEDIT><CFI>", (IMAGE, IMAGE), Task.IMAGE_EDITING),
    ("<BOEDIT>0<EOEDIT><CFI>", (IMAGE,), Task.IMAGE_EDITING),
    ("<CTRL><CFI>", (IMAGE,), Task.IMAGE_CONTROL),
    ("<REF><CFI>", (IMAGE, IMAGE), Task.IMAGE_REFERENCE),
    ("<BORES>768,480<EORES><BONF>72<EONF><CFV>", (), Task.TEXT_TO_VIDEO),
    ("<BOFIDX>0<EOFIDX><CFV>", (IMAGE,), Task.IMAGE_TO_VIDEO),
    ("<BOFIDX>1,0<EOFIDX><CFV>", (IMAGE, IMAGE), Task.IMAGE_TO_VIDEO),
    ("<BOFIDX>0<EOFIDX><REF><CFV>", (IMAGE, IMAGE), Task.IMAGE_TO_VIDEO),
    ("<BOEDIT>0,1<EOEDIT><CFV>", (IMAGE, VIDEO), Task.VIDEO_EDITING),
    ("<BOEDIT>1,0<EOEDIT><REF><CFV>", (VIDEO, VIDEO, IMAGE), Task.VIDEO_EDITING),
    ("<BOEDIT>1,0<EOEDIT><CTRL><CFV>", (VIDEO, VIDEO, VIDEO), Task.VIDEO_EDITING),
    ("<CTRL><CFV>", (VIDEO,), Task.VIDEO_CONTROL),
    ("<REF><CTRL><CFV>", (IMAGE, VIDEO), Task.VIDEO_CONTROL),
    ("<REF><CFV>", (IMAGE,), Task.VIDEO_REFERENCE),
    ("Four.", (), Task.TEXT_UNDERSTANDING),
    ("A cat.", (IMAGE,), Task.IMAGE_UNDERSTANDING),
    ("A cat runs.", (IMAGE, VIDEO), Task.VIDEO_UNDERSTANDING),
]


@pytest.mark.parametrize(("text", "media", "task"), PLANS)
def test_tokens_and_json_round_trip(text, media, task):
    plan = parse(text, "prompt", media)
    assert plan.task is task
    assert plan.tokens == (text if task.is_generation else "")
    assert (plan.answer is None) == task.is_generation
    assert from_json(json.loads(json.dumps(to_json(plan)))) == plan
    assert parse(plan.tokens, "prompt", media).tokens == plan.tokens


def test_order_is_free_and_other_text_is_kept_in_raw():
    text = "Sure! <CFV> then <BONF> 72 <EONF>, <BORES>640, 480<EORES>."
    plan = parse(text)
    assert (plan.width, plan.height, plan.num_frames) == (640, 480, 72)
    assert plan.raw == text


def test_roles():
    plan = parse("<BOEDIT>2,0<EOEDIT><REF><CFI>", "", (IMAGE, IMAGE, IMAGE, IMAGE))
    assert (plan.mask, plan.source, plan.references) == (2, 0, (1, 3))
    plan = parse("<BOFIDX>1,0<EOFIDX><REF><CTRL><CFV>", "", (IMAGE, IMAGE, IMAGE, VIDEO, VIDEO))
    assert plan.frames == (Frame(0, "last"), Frame(1, "first"))
    assert (plan.references, plan.control_medium, plan.unused_media) == ((2,), 3, (4,))


WRONG = [
    ("<CFI><CFV>", (), "task"),
    ("<BORES>640,480<EORES>", (), "task"),
    ("<BORES>640,480<CFI>", (), "size"),
    ("<BORES>640<EORES><CFI>", (), "size"),
    ("<BORES>640,480,1<EORES><CFI>", (), "size"),
    ("<BORES>a,b<EORES><CFI>", (), "size"),
    ("<BORES>-640,480<EORES><CFI>", (), "size"),
    ("<BORES>15,480<EORES><CFI>", (), "width"),
    ("<BORES>640,4097<EORES><CFI>", (), "height"),
    ("<BORES>99999999999999999999,480<EORES><CFI>", (), "size"),
    ("<BORES>64,64<EORES><BORES>64,64<EORES><CFI>", (), "size"),
    ("<BONF>0<EONF><CFV>", (), "num_frames"),
    ("<BONF>2401<EONF><CFV>", (), "num_frames"),
    ("<BONF>72<EONF><CFI>", (), "task"),
    ("<BONF>7<BORES>1,2<EORES><EONF><CFV>", (), "num_frames"),
    ("<EONF><CFV>", (), "tokens"),
    ("<BOFIDX>0<EOFIDX><CFV>", (), "frames"),
    ("<BOFIDX>0<EOFIDX><CFV>", (VIDEO,), "frames"),
    ("<BOFIDX>2<EOFIDX><CFV>", (IMAGE,), "frames"),
    ("<BOFIDX>0,0<EOFIDX><CFV>", (IMAGE, IMAGE), "frames"),
    ("<BOFIDX>0<EOFIDX><CFI>", (IMAGE,), "frames"),
    ("<BOEDIT>1,0<EOEDIT><CFI>", (IMAGE,), "mask"),
    ("<BOEDIT>0,0<EOEDIT><CFI>", (IMAGE,), "media"),
    ("<BOEDIT>0,1<EOEDIT><CFI>", (IMAGE, VIDEO), "source"),
    ("<BOEDIT>0,1<EOEDIT><CFI>", (VIDEO, IMAGE), "mask"),
    ("<BOEDIT>0,1<EOEDIT><CFV>", (IMAGE, IMAGE), "source"),
    ("<BOEDIT>0,1,2<EOEDIT><CFI>", (IMAGE, IMAGE, IMAGE), "edit"),
    ("<BOEDIT><EOEDIT><CFI>", (IMAGE,), "edit"),
    ("<REF><CFI>", (), "references"),
    ("<REF><CFV>", (VIDEO,), "references"),
    ("<CTRL><CFI>", (VIDEO,), "control"),
    ("<CTRL><CFV>", (IMAGE,), "control"),
    ("<CFI><CFI>", (), "<CFI>"),
]


@pytest.mark.parametrize(("text", "media", "field"), WRONG)
def test_contradictions_name_field_value_allowed_and_text(text, media, field):
    with pytest.raises(PlanError) as caught:
        parse(text, "", media)
    error = caught.value
    assert error.field == field
    assert error.raw == text
    assert error.allowed in str(error)
    assert repr(error.value) in str(error)


def test_a_made_plan_is_checked_like_a_parsed_one():
    with pytest.raises(PlanError):
        Plan(Task.TEXT_TO_IMAGE, width=640)
    with pytest.raises(PlanError):
        Plan(Task.IMAGE_REFERENCE, media=(IMAGE,))
    with pytest.raises(PlanError):
        Plan(Task.TEXT_UNDERSTANDING, width=640, height=480)
    with pytest.raises(PlanError):
        Plan(Task.TEXT_TO_IMAGE, width=True, height=480)
    with pytest.raises(PlanError):
        Plan(Task.IMAGE_TO_VIDEO, frames=(Frame(0, "middle"),), media=(IMAGE,))


@pytest.mark.parametrize(
    "change",
    [
        {"version": 3},
        {"task": "paint"},
        {"width": "640"},
        {"width": 640.0},
        {"extra": 1},
        {"media": ["sound"]},
        {"media": "image"},
        {"frames": [[0]]},
        {"frames": [[0, {}]]},
        {"references": ["0"]},
        {"references": [[0]]},
        {"control": "edges"},
        {"num_frames": 10},
        {"source": 0},
    ],
)
def test_wrong_json_is_a_plan_error(change):
    with pytest.raises(PlanError):
        from_json(to_json(parse("<CFI>")) | change)


def test_json_that_is_no_object():
    for data in (None, [], "x", 3):
        with pytest.raises(PlanError):
            from_json(data)


media_lists = st.lists(st.sampled_from([IMAGE, VIDEO]), max_size=5).map(tuple)
token_soup = st.lists(
    st.sampled_from([*ADDED_TOKENS, "0", "1", "2", ",", " ", "640", "480", "72", "99999", "x", "-", "\u0663"]),
    max_size=14,
).map("".join)


@settings(max_examples=600)
@given(token_soup | st.text(max_size=80), media_lists)
def test_any_text_is_a_valid_plan_or_a_plan_error(text, media):
    try:
        plan = parse(text, "p", media)
    except PlanError:
        return
    assert plan.raw == text
    for side in (plan.width, plan.height):
        assert side is None or 16 <= side <= MAX_SIDE
    assert plan.num_frames is None or 1 <= plan.num_frames <= MAX_FRAMES
    indices = [i for i in (plan.mask, plan.source, *plan.references, *(f.medium for f in plan.frames)) if i is not None]
    assert len(set(indices)) == len(indices)
    assert all(0 <= i < len(media) for i in indices)
    again = parse(plan.tokens, "p", media)
    assert again.tokens == plan.tokens
    assert again.task == plan.task
    assert from_json(json.loads(json.dumps(to_json(plan)))) == plan


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from([*to_json(parse("<CFI>")), "other"]), json_values, max_size=6))
def test_any_json_is_a_valid_plan_or_a_plan_error(change):
    try:
        plan = from_json(to_json(parse("<CFV>")) | change)
    except PlanError:
        return
    assert from_json(to_json(plan)) == plan


def test_controls():
    assert tuple(CONTROLS) == ("map", "canny", "scribble", "grey", "depth", "pose", "flow")


@pytest.mark.parametrize("folder", ["unison_backend", "nodes"])
def test_plans_and_specifications_are_built_by_keyword(folder):
    """A swap of two of their fields would pass the type checker."""
    for path in (Path(__file__).parents[3] / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if name in {"Plan", "GenerationSpec", "MediaInfo", "ModelPaths"}:
                assert len(node.args) <= 3, f"{path.name}:{node.lineno}"
