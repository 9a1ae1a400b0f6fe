"""How long results of videos are: whole, or by the reference's rule."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unison_backend.errors import InputError
from unison_backend.plan.geometry import MediaInfo, padded_length
from unison_backend.plan.length import Length
from unison_backend.plan.overrides import apply, parse_settings
from unison_backend.plan.spec import GenerationSpec, resolve
from unison_backend.plan.tokens import parse

pytestmark = pytest.mark.fast


def clip(count: int, fps: int = 24) -> MediaInfo:
    return MediaInfo("video", 96, 64, tuple(Fraction(i, fps) for i in range(count)), Fraction(count, fps))


def made(info: MediaInfo, *said: str, length: Length = "whole") -> GenerationSpec:
    values = parse_settings(said)
    plan = apply(parse("<CTRL><CFV>", "", ("video",)), values)
    return resolve(plan, (info,), fps=values.get("fps"), labels=("a.mp4",), length=length)


def told(spec: GenerationSpec) -> str:
    return " ".join(reason.text for reason in spec.reasons if reason.field == "num_frames")


@pytest.mark.parametrize(("count", "frames"), [(1, 1), (2, 5), (4, 5), (5, 5), (6, 9), (24, 25), (81, 81), (100, 101)])
def test_every_frame_is_made_at_the_rate_of_the_video(count: int, frames: int) -> None:
    spec = made(clip(count))
    assert (spec.num_frames, spec.kept_frames, spec.fps, spec.keeps_length) == (frames, count, 24, True)
    assert spec.source_frames == (*range(count), *[count - 1] * (frames - count))
    assert ("the last one repeated" in told(spec)) == (frames != count)
    assert ("trained on" in told(spec)) == (frames > 81)


def test_the_reference_drops_frames_and_bends_the_rate() -> None:
    spec = made(clip(24), length="reference")
    assert (spec.num_frames, spec.kept_frames, spec.fps) == (21, 21, 21)


def test_a_said_length_cuts_and_keeps_the_rate() -> None:
    spec = made(clip(24, fps=8), "seconds=0.4")
    # Frames that begin within 0.4 s: at 0, 1/8, 2/8 and 3/8.
    assert (spec.num_frames, spec.kept_frames, spec.fps, spec.keeps_length) == (5, 4, 8, False)
    assert "cut to its first 0.417 s: 4 frames" in told(spec)


@pytest.mark.parametrize("length", ["whole", "reference"])
def test_an_fps_beside_a_length_keeps_the_length(length: Length) -> None:
    spec = made(clip(48), "seconds=1", "fps=12", length=length)
    kept = spec.kept_frames
    assert kept is not None and spec.fps == 12
    assert (kept, spec.num_frames) == ((12, 13) if length == "whole" else (9, 9))
    assert max(spec.source_frames) == 23  # the whole first second, evenly
    assert "12 frames, taken evenly" in told(spec)


def test_more_frames_a_second_than_there_are() -> None:
    spec = made(clip(12, fps=12), "seconds=1", "fps=24")
    assert (spec.kept_frames, spec.fps, spec.keeps_length) == (24, 24, True)
    assert set(spec.source_frames) == set(range(12))


def test_a_number_of_frames_stays_that_number() -> None:
    spec = made(clip(48), "num_frames=24", "fps=12")
    assert (spec.kept_frames, spec.fps) == (24, 12)


def test_an_fps_alone_changes_no_frame() -> None:
    spec = made(clip(24), "fps=12")
    assert (spec.kept_frames, spec.fps, spec.keeps_length) == (24, 12, False)


@pytest.mark.parametrize(("said", "frames"), [("seconds=3", 37), ("num_frames=72", 73)])
def test_without_a_video_too(said: str, frames: int) -> None:
    values = parse_settings([said, "fps=12"])
    spec = resolve(apply(parse("<CFV>"), values), fps=values["fps"])
    assert (spec.num_frames, spec.kept_frames, spec.fps) == (frames, frames, 12)


def test_a_video_that_is_too_long_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"a\.mp4 has 2401 frames, at most 2400 .* seconds="):
        made(clip(2401))
    assert made(clip(2400)).kept_frames == 2400
    assert made(clip(2401), "seconds=10").kept_frames == 240
    assert made(clip(2401), length="reference").is_complete


def test_uneven_frames_are_said() -> None:
    even = clip(9)
    starts = (*even.starts[:8], even.starts[8] + 1)
    assert "uneven times" in told(made(MediaInfo("video", 96, 64, starts, starts[-1] + Fraction(1, 24))))
    assert "uneven" not in told(made(even))


@settings(max_examples=60)
@given(st.integers(1, 400), st.integers(1, 120), st.integers(1, 400) | st.none(), st.integers(1, 60) | st.none())
def test_any_video_gives_what_the_engine_takes(count: int, rate: int, length: int | None, fps: int | None) -> None:
    words = ([f"seconds={length / 24:.4f}"] if length else []) + ([f"fps={fps}"] if fps else [])
    spec = made(clip(count, rate), *words)
    assert spec.num_frames == padded_length(spec.kept_frames or 0) == len(spec.source_frames)
    assert list(spec.source_frames) == sorted(spec.source_frames) and max(spec.source_frames) < count
