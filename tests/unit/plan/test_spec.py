"""Plans resolved to final size, length and fps, each with its reasons."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unison_backend.errors import InputError
from unison_backend.plan import overrides
from unison_backend.plan.geometry import MediaInfo
from unison_backend.plan.plan import Plan, PlanError
from unison_backend.plan.spec import Limits, resolve
from unison_backend.plan.tasks import Task
from unison_backend.plan.tokens import parse

pytestmark = pytest.mark.fast

PHOTO = MediaInfo("image", 1920, 1080)


def clip(count=42, fps=8, width=416, height=240):
    return MediaInfo("video", width, height, tuple(Fraction(i) / fps for i in range(count)), Fraction(count) / fps)


def said(spec, field):
    return " ".join(reason.text for reason in spec.reasons if reason.field == field)


def test_defaults_have_reasons():
    spec = resolve(parse("<CFV>"))
    assert (spec.width, spec.height, spec.num_frames, spec.fps) == (832, 480, 81, 24)
    for field in ("size", "num_frames", "fps"):
        assert "default" in said(spec, field)


def test_what_was_said_needs_no_reason():
    spec = resolve(parse("<BORES>640,480<EORES><CFI>"))
    assert (spec.width, spec.height, spec.num_frames, spec.fps, spec.reasons) == (640, 480, 1, None, ())


def test_rounding_has_reasons():
    spec = resolve(parse("<BORES>100,104<EORES><BONF>72<EONF><CFV>"))
    assert (spec.width, spec.height, spec.num_frames) == (96, 112, 73)
    assert "100x104" in said(spec, "size") and "72" in said(spec, "num_frames")


def test_an_answer_has_nothing_to_resolve():
    assert resolve(parse("Four.")).reasons == ()


def test_a_source_video_keeps_its_aspect_length_and_rate():
    spec = resolve(parse("<BOEDIT>1,0<EOEDIT><CFV>", "", ("video", "video")), (clip(), clip()))
    assert (spec.width, spec.height, spec.num_frames) == (416, 240, 41)
    assert spec.fps == Fraction(41) / Fraction(42, 8)
    assert spec.keeps_length and len(spec.source_frames) == 41
    assert "42 frames" in said(spec, "num_frames")


def test_a_spoken_length_cuts_a_source():
    plan = parse("<BONF>48<EONF><CTRL><CFV>", "", ("video",))
    spec = resolve(plan, (clip(),))
    assert (spec.num_frames, spec.fps, spec.keeps_length) == (13, Fraction(13, 2), False)
    assert max(spec.source_frames) == 15


def test_a_spoken_length_never_stretches_a_source():
    spec = resolve(parse("<BONF>480<EONF><CTRL><CFV>", "", ("video",)), (clip(),))
    assert spec.num_frames == 41 and spec.keeps_length
    assert "not stretched" in said(spec, "num_frames")


def test_a_first_frame_gives_its_aspect_and_any_length():
    spec = resolve(parse("<BONF>240<EONF><BOFIDX>0<EOFIDX><CFV>", "", ("image",)), (PHOTO,))
    assert (spec.width, spec.height, spec.num_frames, spec.fps) == (832, 480, 241, 24)
    assert "trained" in said(spec, "num_frames")


def test_a_said_size_is_the_budget_of_an_edit():
    spec = resolve(parse("<BORES>128,96<EORES><BOEDIT>0,1<EOEDIT><CFI>", "", ("image", "image")), (PHOTO, PHOTO))
    assert (spec.width, spec.height) == (144, 80)


def test_references_do_not_decide():
    spec = resolve(parse("<REF><CFI>", "", ("image",)), (MediaInfo("image", 300, 900),))
    assert (spec.width, spec.height) == (832, 480)


def test_what_an_absent_medium_decides_stays_open():
    spec = resolve(parse("<CTRL><CFV>", "", ("video",)))
    assert (spec.width, spec.num_frames, spec.fps, spec.is_complete) == (None, None, None, False)
    assert said(spec, "fps") == "decided by video 1"
    spec = resolve(parse("<BOFIDX>0<EOFIDX><CFV>", "", ("image",)))
    assert (spec.width, spec.num_frames, spec.fps, spec.is_complete) == (None, 81, 24, False)


def test_explicit_fps_wins():
    plan = parse("<BOEDIT>1,0<EOEDIT><CFV>", "", ("video", "video"))
    spec = resolve(plan, (clip(), clip()), fps=Fraction(12))
    assert (spec.fps, spec.num_frames, spec.keeps_length) == (12, 41, False)
    assert said(spec, "fps") == "as said"
    assert resolve(parse("<CFI>"), fps=Fraction(12)).fps is None


@pytest.mark.parametrize("fps", [Fraction(0), Fraction(-1), Fraction(1000)])
def test_absurd_fps(fps):
    with pytest.raises(PlanError, match="fps"):
        resolve(parse("<CFV>"), fps=fps)


def test_a_medium_without_a_role_is_a_reason():
    spec = resolve(parse("<REF><CFI>", "", ("image", "video")))
    assert said(spec, "media") == "video 1 has no role in this plan"


def test_limits_are_the_defaults():
    spec = resolve(parse("<CFV>"), limits=Limits(640, 352, 49, 16))
    assert (spec.width, spec.height, spec.num_frames, spec.fps) == (640, 352, 49, 16)


infos = st.builds(clip, st.integers(1, 200), st.integers(1, 120), st.integers(1, 4000), st.integers(1, 4000))


@settings(max_examples=150)
@given(infos, st.none() | st.integers(1, 2400), st.none() | st.tuples(st.integers(16, 4096), st.integers(16, 4096)))
def test_any_source_resolves_to_something_the_engine_takes(info, num_frames, size):
    width, height = size or (None, None)
    plan = Plan(Task.VIDEO_CONTROL, width, height, num_frames, control="map", media=("video",))
    spec = resolve(plan, (info,))
    assert spec.is_complete
    assert spec.width % 16 == 0 and spec.height % 16 == 0 and spec.num_frames % 4 == 1
    assert len(spec.source_frames) == spec.num_frames <= info.num_frames
    assert spec.fps > 0


# --set


def applied(plan, *settings):
    return overrides.apply(plan, overrides.parse_settings(settings))


def test_settings_go_over_the_plan():
    plan = applied(parse("<BORES>640,480<EORES><CFV>"), "width=320", "height=240", "seconds=1.5")
    assert plan.tokens == "<BORES>320,240<EORES><BONF>36<EONF><CFV>"


def test_a_single_side_takes_the_other_from_plan_or_default():
    assert applied(parse("<CFI>"), "width=640").tokens == "<BORES>640,480<EORES><CFI>"
    assert applied(parse("<BORES>320,200<EORES><CFI>"), "width=640").tokens == "<BORES>640,200<EORES><CFI>"


def test_roles_can_be_set():
    plan = applied(parse("<REF><CFV>", "", ("image", "image")), "references=none", "frames=0:first,1:40")
    assert plan.task is Task.IMAGE_TO_VIDEO and plan.frames[1].place == 40
    plan = applied(parse("<BOEDIT>0<EOEDIT><CFI>", "", ("image", "image")), "mask=1")
    assert plan.tokens == "<BOEDIT>1,0<EOEDIT><CFI>"
    plan = applied(parse("Yes.", "", ("image",)), "output=image", "references=0")
    assert plan.task is Task.IMAGE_REFERENCE and plan.answer is None


@pytest.mark.parametrize(
    "setting", ["width", "colour=red", "width=big", "fps=0", "fps=1/0", "frames=0", "references=a", "output=sound"]
)
def test_a_wrong_setting_says_what_is_right(setting):
    with pytest.raises(InputError, match=f"--set {setting}"):
        overrides.parse_settings([setting])


def test_settings_are_checked_as_a_plan():
    with pytest.raises(PlanError, match="4096"):
        applied(parse("<CFI>"), "width=99999")
    with pytest.raises(InputError, match="set output to image or video"):
        applied(parse("Yes."), "width=64")
