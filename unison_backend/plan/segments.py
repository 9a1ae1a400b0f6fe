"""Videos longer than a model makes at once: as segments that overlap, each going on from the frames before it.

Every segment is as long as the others, because a model does best what it was trained on; the last one is moved back
to end with the video, so it sees more of what is there already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..defaults import NUM_FRAMES, OVERLAP
from ..errors import InputError
from .geometry import FRAME_MULTIPLE, round_length
from .plan import MAX_FRAMES

SHORTEST = FRAME_MULTIPLE + 1


class Segment(NamedTuple):
    """The frames from `start` up to `stop` (not included) of a video."""

    start: int
    stop: int


@dataclass(frozen=True)
class Segmenting:
    """How a long video is made: so many frames at once, each segment going on from the last `overlap` of them.

    frames: 4 k + 1, 5 or more. overlap: 4 k + 1, less than `frames`. named: how the person says the one and the other.
    by: what makes the segments, where only that knows the model; `frames` is then a guess. Raises InputError.
    """

    frames: int = NUM_FRAMES
    overlap: int = OVERLAP
    named: tuple[str, str] = ("--segment", "--overlap")
    by: str = ""

    def __post_init__(self) -> None:
        _check(self.named[0], self.frames, SHORTEST, MAX_FRAMES + 1)
        _check(self.named[1], self.overlap, 1, self.frames - FRAME_MULTIPLE)

    @classmethod
    def chosen(
        cls, frames: int | None, overlap: int | None, at_once: int, named: tuple[str, str] = ("--segment", "--overlap")
    ) -> Segmenting:
        """What the person says, else what fits a model that makes `at_once` frames."""
        frames = at_once if frames is None else frames
        return cls(frames, usual_overlap(frames) if overlap is None else overlap, named)


def usual_overlap(frames: int) -> int:
    """As many frames as movement shows in, and at most half of a segment, so that each makes something new."""
    return max(1, min(OVERLAP, round_length(frames // 2)))


def segments_of(num_frames: int, how: Segmenting) -> tuple[Segment, ...]:
    """The segments of a video of `num_frames` (4 k + 1), in the order in which they are made; none when one will do."""
    if num_frames <= how.frames:
        return ()
    last = num_frames - how.frames
    starts = [*range(0, last, how.frames - how.overlap), last]
    return tuple(Segment(start, start + how.frames) for start in starts)


def told(frames: int, segments: tuple[Segment, ...], how: Segmenting) -> str:
    """What is to be said of `frames` in segments before anything is made."""
    if how.by:
        return (
            f"{frames} frames are more than a model makes at once: {how.by} makes them in segments, "
            f"{len(segments)} with a Wan VACE, which makes {how.frames} ({', '.join(how.named)})"
        )
    return (
        f"{frames} frames are made in {len(segments)} segments of {how.frames} frames, each of which goes on from "
        f"{how.overlap} or so of its neighbour ({', '.join(how.named)})"
    )


def _check(option: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high or value != round_length(value):
        raise InputError(f"{option} is {value}; it is a multiple of {FRAME_MULTIPLE} plus 1, from {low} to {high}")
