"""Long videos cut into segments, and what is said of it before anything is made."""

from fractions import Fraction
from itertools import pairwise

import pytest

from unison_backend.defaults import NUM_FRAMES, OVERLAP
from unison_backend.errors import InputError
from unison_backend.plan.geometry import MediaInfo
from unison_backend.plan.plan import Frame
from unison_backend.plan.report import as_json
from unison_backend.plan.segments import Segmenting, segments_of, usual_overlap
from unison_backend.plan.spec import resolve
from unison_backend.plan.tokens import parse

pytestmark = pytest.mark.fast

EMBEDDED = Segmenting(9, 5)


def said(spec, field):
    return " ".join(reason.text for reason in spec.reasons if reason.field == field)


@pytest.mark.parametrize(
    ("frames", "how", "wanted"),
    [
        (13, EMBEDDED, [(0, 9), (4, 13)]),
        (17, EMBEDDED, [(0, 9), (4, 13), (8, 17)]),
        (85, Segmenting(), [(0, 81), (4, 85)]),
        (241, Segmenting(), [(0, 81), (64, 145), (128, 209), (160, 241)]),
        (13, Segmenting(9, 1), [(0, 9), (4, 13)]),
    ],
)
def test_cut(frames, how, wanted):
    assert [tuple(part) for part in segments_of(frames, how)] == wanted


def test_one_segment_is_none():
    assert segments_of(9, EMBEDDED) == () == segments_of(1, EMBEDDED)


@pytest.mark.parametrize("how", [EMBEDDED, Segmenting(), Segmenting(33, 29), Segmenting(21, 1), Segmenting(5, 1)])
def test_every_length_is_covered(how):
    """Each segment is whole, makes something new and sees at least the overlap; the last one ends with the video."""
    for frames in range(how.frames + 4, 500, 4):
        parts = segments_of(frames, how)
        assert parts[0].start == 0 and parts[-1].stop == frames
        for before, after in pairwise(parts):
            assert after.stop - after.start == how.frames
            assert before.stop - after.start >= how.overlap and after.stop > before.stop
            assert after.start % 4 == 0


@pytest.mark.parametrize(("frames", "overlap"), [(81, OVERLAP), (9, 5), (5, 1), (13, 5), (33, 17), (17, 9), (2401, 17)])
def test_the_usual_overlap(frames, overlap):
    assert usual_overlap(frames) == overlap
    assert Segmenting.chosen(frames, None, NUM_FRAMES) == Segmenting(frames, overlap)


def test_what_the_person_says_wins():
    assert Segmenting.chosen(None, None, 9) == EMBEDDED
    assert Segmenting.chosen(None, 1, 9) == Segmenting(9, 1)
    assert Segmenting.chosen(49, 21, 9) == Segmenting(49, 21)


@pytest.mark.parametrize(
    ("frames", "overlap", "told"),
    [
        (80, 17, "--segment is 80; it is a multiple of 4 plus 1, from 5 to 2401"),
        (1, 1, "--segment is 1"),
        (0, 1, "--segment is 0"),
        (-3, 1, "--segment is -3"),
        (2405, 1, "--segment is 2405"),
        (81, 16, "--overlap is 16; it is a multiple of 4 plus 1, from 1 to 77"),
        (9, 9, "--overlap is 9; it is a multiple of 4 plus 1, from 1 to 5"),
        (9, 0, "--overlap is 0"),
        (9, -3, "--overlap is -3"),
    ],
)
def test_what_cannot_be(frames, overlap, told):
    with pytest.raises(InputError, match=told):
        Segmenting(frames, overlap)


def test_the_number_of_segments_is_a_reason():
    plan = parse("<BONF>240<EONF><CFV>")
    spec = resolve(plan, segmenting=Segmenting())
    assert len(spec.segments) == 4
    assert "241 frames are made in 4 segments of 81" in said(spec, "segments") and "17" in said(spec, "segments")
    assert "trained" not in said(spec, "num_frames")
    assert as_json(plan, spec)["segments"] == [[0, 81], [64, 145], [128, 209], [160, 241]]


def test_without_segments_a_long_video_is_said_to_be_long():
    spec = resolve(parse("<BONF>240<EONF><CFV>"))
    assert spec.segments == () and "trained" in said(spec, "num_frames")


def test_a_short_one_has_no_such_reason():
    assert said(resolve(parse("<CFV>"), segmenting=Segmenting()), "segments") == ""


def test_a_whole_source_video_is_cut_too():
    video = MediaInfo("video", 64, 64, tuple(Fraction(i, 24) for i in range(100)), Fraction(100, 24))
    plan = parse("<BOEDIT>1,0<EOEDIT><CFV>", "", ("video", "video"))
    spec = resolve(plan, (video, video), length="whole", segmenting=Segmenting())
    assert (spec.num_frames, spec.kept_frames) == (101, 100)
    assert [tuple(part) for part in spec.segments] == [(0, 81), (20, 101)]
    assert "trained" not in said(spec, "num_frames")


def test_a_frame_that_only_later_segments_see_is_said():
    picture = MediaInfo("image", 64, 64)
    plan = parse("<BONF>240<EONF><BOFIDX>0,1<EOFIDX><CFV>", "", ("image", "image"))
    spec = resolve(plan, (picture, picture), segmenting=Segmenting(), labels=("a.png", "b.png"))
    assert said(spec, "frames") == "b.png steers from segment 4 on"
    assert plan.frames == (Frame(0, "first"), Frame(1, "last"))
