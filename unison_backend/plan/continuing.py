"""A clip that goes on, or what comes before it, or what joins two: where its own frames stand in the result.

The result is the whole clip and the new frames at the clip's rate. What is made sees the clip's last frames (or first
ones, before it) as kept frames; afterwards the clip's own frames are put back.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from ..defaults import FPS, PLAN_FPS
from ..errors import InputError
from .geometry import FRAME_MULTIPLE, MediaInfo, padded_length, round_half_up, round_length
from .length import is_uneven, seconds
from .plan import MAX_FRAMES, Frame, Plan, PlanError
from .segments import Segment, Segmenting, segments_of


@dataclass(frozen=True)
class PlacedClip:
    """A clip in the result: its `frames`, by number, stand from frame `start` on, one behind the other."""

    medium: int
    start: int
    frames: tuple[int, ...]


@dataclass(frozen=True)
class Continuation:
    """A result of `count` frames at `fps`, of which `made` are there while it is made, `new` of them new.

    segments: the parts that hold something new, in the order in which they are made.
    """

    clips: tuple[PlacedClip, ...]
    count: int
    made: int
    new: int
    fps: Fraction
    segments: tuple[Segment, ...]
    reasons: tuple[str, ...] = ()


def clips_of(plan: Plan) -> tuple[Frame, ...]:
    """The clips that a plan's result begins or ends with, the first one first."""
    clips = [frame for frame in plan.frames if plan.media[frame.medium] == "video"]
    return tuple(sorted(clips, key=lambda frame: frame.place == "last"))


def continuation(plan: Plan, infos: dict[int, MediaInfo], names: dict[int, str], how: Segmenting) -> Continuation:
    """How a plan's clips become a longer one. infos, names: of the clips by medium.

    The length that is said is that of the new frames, unless it is said of all. Raises PlanError, InputError.
    """
    clips = clips_of(plan)
    for clip in clips:
        if not isinstance(clip.place, str):
            raise PlanError("frames", clip.place, f"first or last for {names[clip.medium]}, which is a video")
    info = infos[clips[0].medium]
    rate = info.fps or Fraction(FPS)
    lead = next((clip.medium for clip in clips if clip.place == "first"), None)
    trail = next((clip.medium for clip in clips if clip.place == "last"), None)
    before = () if lead is None else _at_rate(infos[lead], rate)
    behind = () if trail is None else _at_rate(infos[trail], rate)
    new = _new_frames(plan, rate, how, (len(before), len(behind)), names[clips[0].medium])
    count = len(before) + new + len(behind)
    if count > MAX_FRAMES:
        raise InputError(
            f"{names[clips[0].medium]} and what is new are {count} frames, at most {MAX_FRAMES} are made: give a part "
            "of it, or fewer new ones, as in seconds=3"
        )
    segments = segments_between(len(before), new, len(behind), how)
    placed = [PlacedClip(lead, 0, before)] if lead is not None else []
    placed += [PlacedClip(trail, len(before) + new, behind)] if trail is not None else []
    return Continuation(
        clips=tuple(placed),
        count=count,
        made=max(count, *(part.stop for part in segments)),
        new=new,
        fps=rate,
        segments=segments,
        reasons=tuple(_reasons(plan, infos, names, placed, new, rate, segments, how)),
    )


def _new_frames(plan: Plan, rate: Fraction, how: Segmenting, there: tuple[int, int], name: str) -> int:
    """As many as are said, beyond the clips' own where that is said of all; else what one segment makes behind the
    frames it goes on from. there: frames of the clips before and behind what is new."""
    if plan.num_frames is None:
        return max(FRAME_MULTIPLE, how.frames - how.overlap * (2 if all(there) else 1))
    said = plan.num_frames if plan.counted else max(1, round_half_up(Fraction(plan.num_frames, PLAN_FPS) * rate))
    return _beyond(said, sum(there), rate, name) if plan.in_all else said


def _beyond(all_frames: int, there: int, rate: Fraction, name: str) -> int:
    """The new ones of so many frames in all. Raises InputError where nothing would be new."""
    if all_frames > there:
        return all_frames - there
    lasts = seconds(Fraction(there) / rate)
    raise InputError(
        f"{name} lasts {lasts} already, so nothing is new: say a longer length, or how much is added, as in "
        "'by 3 seconds'"
    )


def segments_between(before: int, new: int, behind: int, how: Segmenting) -> tuple[Segment, ...]:
    """The parts in which `new` frames are made between so many that are there, in the order in which they are made."""
    known = min(how.overlap, round_length(before - 1)) if before else 0
    if before and behind:
        return _joining(before, before + new, behind, known, how)
    low = before - known
    whole = padded_length(known + new + min(how.overlap, behind))
    parts = segments_of(whole, how) or (Segment(0, whole),)
    if not before:  # from the clip towards the beginning
        parts = tuple(Segment(whole - part.stop, whole - part.start) for part in parts)
    return tuple(Segment(low + part.start, low + part.stop) for part in parts)


def _joining(start: int, stop: int, behind: int, known: int, how: Segmenting) -> tuple[Segment, ...]:
    """The same between two clips, the last one seeing both what is before it and the clip behind it."""
    room = how.frames - (stop - start)
    if room > 1:  # both clips in one segment
        known = min(known, round_length(max(1, room // 2) - 1))
        low, seen = start - known, min(how.overlap, behind, room - known)
        return (Segment(low, low + padded_length(stop + seen - low)),)
    end = stop + min(behind, (how.overlap + 1) // 2)
    last = Segment(end - how.frames, end)
    parts, there, low = [], start, start - known
    while there <= last.start:
        # What is left for the last one is at least a frame.
        low = max(0, min(low, stop - 1 - how.frames))
        there = low + how.frames
        parts.append(Segment(low, there))
        low = there - how.overlap
    return (*parts, last)


def _at_rate(info: MediaInfo, rate: Fraction) -> tuple[int, ...]:
    """The clip's frames as they are shown at `rate`: all of them where it is its own."""
    if info.fps is None or info.fps == rate:
        return tuple(range(info.num_frames))
    count = max(1, round_half_up(info.duration * rate))
    return tuple(max(0, bisect_right(info.starts, Fraction(i) / rate) - 1) for i in range(count))


def _reasons(
    plan: Plan,
    infos: dict[int, MediaInfo],
    names: dict[int, str],
    placed: list[PlacedClip],
    new: int,
    rate: Fraction,
    segments: tuple[Segment, ...],
    how: Segmenting,
) -> Iterator[str]:
    parts = [f"the {len(clip.frames)} frames of {names[clip.medium]}" for clip in placed]
    parts.insert(1 if placed[0].start == 0 else 0, f"{new} new ones ({seconds(Fraction(new) / rate)})")
    yield ", then ".join(parts)
    if plan.num_frames is None:
        yield "no length said: as many new frames as the model makes at once"
    for clip in placed:
        seen = _seen_of(clip, segments)
        where = "last" if clip.start == 0 else "first"
        frames = f"the {where} frame" if seen == 1 else f"the {where} {seen} frames"
        yield f"what is new is made to fit {frames} of {names[clip.medium]} ({how.named[1]})"
        info = infos[clip.medium]
        if info.fps is not None and info.fps != rate:
            yield f"{names[clip.medium]} has {float(info.fps):g} fps: it is shown at {float(rate):g}, at its own speed"
        if is_uneven(info.starts, info.duration):
            yield f"the frames of {names[clip.medium]} come at uneven times: the result shows them evenly"


def _seen_of(clip: PlacedClip, segments: tuple[Segment, ...]) -> int:
    """How many of a clip's frames lie in a segment."""
    stop = clip.start + len(clip.frames)
    return max(max(0, min(stop, part.stop) - max(clip.start, part.start)) for part in segments)
