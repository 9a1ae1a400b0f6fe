"""How long a result is, in frames and at which rate: by words, or by the video that it is made from.

`reference` is VACE's own rule, which drops up to three frames of a video, and more where the model's budget ends,
and bends the rate. `whole` makes every frame: the last one is repeated up to 4 k + 1, and the result is cut again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Literal, get_args

from ..defaults import PLAN_FPS
from ..errors import InputError
from . import geometry
from .geometry import MediaInfo
from .plan import MAX_FRAMES, Plan

Length = Literal["reference", "whole"]
LENGTHS: tuple[str, ...] = get_args(Length)
# Share of a frame's time by which frames may lie off their even places before a video counts as uneven.
_UNEVEN = Fraction(1, 4)


@dataclass(frozen=True)
class Kept:
    """What is taken of a video: so many of its first frames over so many seconds, made into `count` frames."""

    frames: int
    duration: Fraction
    count: int
    reasons: tuple[str, ...] = ()


def kept_of(plan: Plan, name: str, info: MediaInfo, fps: Fraction | None, length: Length) -> Kept:
    """The part of a video that a plan's length leaves; an fps beside a length fills that length at its rate.

    Of a whole length the last frame is shown to its end, so that the rate stays the video's.
    """
    if plan.num_frames is None:
        return Kept(info.num_frames, info.duration, info.num_frames)
    spoken = Fraction(plan.num_frames, PLAN_FPS)
    frames, duration, reasons = info.num_frames, info.duration, []
    if spoken < info.duration:
        frames, duration = geometry.frames_within(info.starts, spoken), spoken
        reasons.append(f"{name} is cut to its first {seconds(spoken)}: {frames} frames")
    elif spoken > info.duration:
        reasons.append(f"{seconds(spoken)} said, but {name} lasts {seconds(info.duration)}: it is not stretched")
    count = frames
    if fps is not None and not plan.counted and duration > 0:
        count = max(1, geometry.round_half_up(duration * fps))
        if count != frames:
            reasons.append(f"{seconds(duration)} at {float(fps):g} fps are {count} frames, taken evenly")
    elif length == "whole" and frames < info.num_frames:
        duration = info.starts[frames]
    return Kept(frames, duration, count, tuple(reasons))


def whole(name: str, info: MediaInfo, kept: Kept, trained: int | None) -> tuple[int, tuple[int, ...], tuple[str, ...]]:
    """Frames to make (4 k + 1), which frame of the video each is, and what there is to say. Raises InputError.

    trained: more than so many are said to be longer than what the model knows; None: nothing is too long.
    """
    if kept.count > MAX_FRAMES:
        raise InputError(
            f"{name} has {kept.count} frames, at most {MAX_FRAMES} are made: take its first part, as in seconds=10"
        )
    made = geometry.padded_length(kept.count)
    picked = geometry.pick_frames(info.starts[: kept.frames], kept.duration, kept.count)
    if kept.count == kept.frames:
        picked = tuple(range(kept.count))
    return made, (*picked, *picked[-1:] * (made - kept.count)), tuple(_of_whole(name, info, kept, made, trained))


def _of_whole(name: str, info: MediaInfo, kept: Kept, made: int, trained: int | None) -> Iterator[str]:
    if made != kept.count:
        yield f"{name} gives {kept.count} frames: {made} are made (4 k + 1), the last one repeated, and cut again"
    if trained is not None and made > trained:
        yield (
            f"{made} frames are longer than the {trained} that the model was trained on; the length "
            f"'reference' takes {trained} at most, evenly"
        )
    if is_uneven(info.starts[: kept.frames], kept.duration):
        yield f"the frames of {name} come at uneven times: the result shows them evenly"


def is_uneven(starts: Sequence[Fraction], duration: Fraction) -> bool:
    """Whether a video's frames last differently long."""
    even = duration / len(starts)
    return any(abs(after - before - even) > even * _UNEVEN for before, after in pairwise(starts))


def spoken(plan: Plan, default: int, trained: int | None, fps: Fraction | None) -> tuple[int, tuple[str, ...]]:
    """The length in frames of a video that no other video decides, and the reasons for it."""
    if plan.num_frames is None:
        return default, (f"nothing said: the default {default}",)
    reasons, frames = [], plan.num_frames
    if fps is not None and not plan.counted:
        frames = max(1, geometry.round_half_up(Fraction(plan.num_frames, PLAN_FPS) * fps))
        if frames != plan.num_frames:
            reasons.append(f"{seconds(Fraction(plan.num_frames, PLAN_FPS))} at {float(fps):g} fps are {frames} frames")
    length = geometry.round_length(frames)
    if length != frames:
        reasons.append(f"{frames} is made {length}: lengths are a multiple of 4 plus 1")
    if trained is not None and length > trained:
        reasons.append(f"longer than the {trained} frames that the model was trained on")
    return length, tuple(reasons)


def seconds(duration: Fraction) -> str:
    """A time in words."""
    return f"{float(duration):g} s" if duration.denominator == 1 else f"{float(duration):.3g} s"
