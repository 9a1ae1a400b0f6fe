"""Clips that go on: where their frames stand, what is new, which parts are made, what is said."""

from fractions import Fraction

import pytest

from unison_backend.errors import InputError
from unison_backend.plan.geometry import MediaInfo
from unison_backend.plan.plan import Frame, Plan, PlanError
from unison_backend.plan.segments import Segmenting
from unison_backend.plan.spec import resolve
from unison_backend.plan.tasks import Task

pytestmark = pytest.mark.fast

EMBEDDED = Segmenting(9, 5)


def clip(count=48, fps=24, width=64, height=64):
    return MediaInfo("video", width, height, tuple(Fraction(i, fps) for i in range(count)), Fraction(count, fps))


REAL = Segmenting()


def resolved(*infos, places=("first",), how=REAL, fps=None, **said):
    plan = Plan(
        Task.IMAGE_TO_VIDEO,
        frames=tuple(Frame(index, place) for index, place in enumerate(places)),
        media=tuple(info.kind for info in infos),
        **said,
    )
    return resolve(plan, infos, fps=fps, labels=("a.mp4", "b.mp4")[: len(infos)], length="whole", segmenting=how)


def said(spec, field="num_frames"):
    return " ".join(reason.text for reason in spec.reasons if reason.field == field)


def parts(spec):
    return [tuple(part) for part in spec.segments]


def places(spec):
    return [(found.medium, found.start, len(found.frames)) for found in spec.clips]


def test_behind_a_clip():
    spec = resolved(clip(), num_frames=48)
    assert (spec.kept_frames, spec.fps, spec.width, spec.height) == (96, 24, 64, 64)
    assert places(spec) == [(0, 0, 48)] and spec.clips[0].frames == tuple(range(48))
    assert parts(spec) == [(31, 96)]  # 17 frames that are there, 48 new ones
    assert spec.num_frames == 96
    assert "the 48 frames of a.mp4, then 48 new ones (2 s)" in said(spec) and "the last 17 frames of a.mp4" in said(
        spec
    )


def test_at_the_clips_own_rate():
    spec = resolved(clip(30, 10), num_frames=72)  # three seconds
    assert (spec.fps, spec.kept_frames) == (10, 60)


def test_frames_said_are_so_many():
    assert resolved(clip(30, 10), num_frames=7, counted=True).kept_frames == 37


def test_a_rate_that_is_said_is_not_taken_and_that_is_a_warning():
    spec = resolved(clip(30, 10), num_frames=24, fps=Fraction(24))
    assert spec.fps == 10
    assert any(reason.is_warning and "keeps its rate" in reason.text for reason in spec.reasons)
    assert not any(reason.is_warning for reason in resolved(clip(30, 10), fps=Fraction(10)).reasons)


@pytest.mark.parametrize(("how", "new"), [(Segmenting(), 64), (EMBEDDED, 4), (Segmenting(81, 5), 76)])
def test_nothing_said_is_what_one_segment_makes(how, new):
    spec = resolved(clip(), how=how)
    assert spec.kept_frames == 48 + new and len(spec.segments) == 1
    assert "no length said" in said(spec)


def test_more_than_one_segment_is_said():
    spec = resolved(clip(), num_frames=10, how=EMBEDDED)
    assert parts(spec) == [(43, 52), (47, 56), (51, 60)]
    assert (spec.kept_frames, spec.num_frames) == (58, 60)
    assert "10 frames are made in 3 segments of 9" in said(spec, "segments")


def test_before_a_clip_from_it_towards_the_beginning():
    spec = resolved(clip(), places=("last",), num_frames=8, how=EMBEDDED)
    assert places(spec) == [(0, 8, 48)] and spec.kept_frames == spec.num_frames == 56
    assert parts(spec) == [(8, 17), (4, 13), (0, 9)] or parts(spec) == [(4, 13), (0, 9)]
    assert "8 new ones (0.333 s), then the 48 frames of a.mp4" in said(spec)


def test_between_two_in_one_segment_where_that_is_possible():
    spec = resolved(clip(), clip(36), places=("first", "last"), num_frames=24)
    assert places(spec) == [(0, 0, 48), (1, 72, 36)] and spec.kept_frames == 108
    assert len(parts(spec)) == 1 and parts(spec)[0][0] <= 48 - 17 and parts(spec)[0][1] >= 72 + 16


def test_order_of_the_media_does_not_matter():
    spec = resolved(clip(36), clip(48), places=("last", "first"), num_frames=24)
    assert places(spec) == [(1, 0, 48), (0, 72, 36)]


def test_the_other_clip_is_shown_at_the_first_ones_rate():
    spec = resolved(clip(48, 24), clip(12, 12, 32, 64), places=("first", "last"), num_frames=24)
    assert (spec.width, spec.height, spec.fps) == (64, 64, 24)
    assert spec.clips[1].frames == tuple(index // 2 for index in range(24))
    assert "b.mp4 has 12 fps: it is shown at 24" in said(spec)


@pytest.mark.parametrize("how", [EMBEDDED, Segmenting(), Segmenting(21, 9), Segmenting(13, 1), Segmenting(5, 1)])
@pytest.mark.parametrize("where", ["first", "last", "both"])
def test_every_new_frame_is_made_and_touches_what_is_there(how, where):
    """Each part begins or ends at something that is there by then, and the clips' far frames are in none."""
    for count in (1, 2, 4, 5, 18, 60):
        for new in (1, 2, 3, 4, 7, 8, 9, 20, 64, 100):
            both = where == "both"
            infos = (clip(count), clip(count)) if both else (clip(count),)
            spec = resolved(
                *infos, places=("first", "last") if both else (where,), num_frames=new, counted=True, how=how
            )
            assert spec.kept_frames == count * len(infos) + new
            start = count if where != "last" else 0
            is_there = [not start <= frame < start + new for frame in range(spec.num_frames)]
            if where == "first":
                is_there[count:] = [False] * (spec.num_frames - count)
            for low, stop in spec.segments:
                assert 0 <= low < stop <= spec.num_frames and (stop - low) % 4 == 1 and stop - low <= how.frames
                assert is_there[low] or is_there[stop - 1]
                is_there[low:stop] = [True] * (stop - low)
            assert all(is_there)


def test_a_clip_is_first_or_last():
    with pytest.raises(PlanError, match="first or last"):
        resolved(clip(), places=(12,))


def test_too_long_names_seconds():
    with pytest.raises(InputError, match=r"a\.mp4 .*2448 frames, at most 2400 .*seconds"):
        resolved(clip(2400), num_frames=48)


def test_a_clip_that_is_not_here_leaves_all_open():
    plan = Plan(Task.IMAGE_TO_VIDEO, frames=(Frame(0, "first"),), media=("video",))
    spec = resolve(plan, segmenting=Segmenting())
    assert not spec.is_complete and "decided by video 1" in said(spec, "size")


def test_a_length_of_all_counts_the_clips():
    made = resolved(clip(48), num_frames=72, in_all=True)
    assert (made.kept_frames, made.clips[0].frames) == (72, tuple(range(48)))
    assert "24 new ones (1 s)" in said(made)
    with pytest.raises(InputError, match=r"a.mp4 lasts 2 s already.*'by 3 seconds'"):
        resolved(clip(48), num_frames=48, in_all=True)
