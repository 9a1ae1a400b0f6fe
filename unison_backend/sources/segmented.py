"""A video that is made in segments: what each one is given of those before it, and all of them joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..plan.segments import Segment
from .composite import put_back
from .masks import MASK_THRESHOLD
from .prepare import Sources


@dataclass(frozen=True)
class Segmented:
    """Sources of a whole video, its segments, and what the first of them have made: [T, H, W, 3] float32 0..1 each."""

    sources: Sources
    segments: Sequence[Segment]
    made: tuple[Tensor, ...] = ()

    def part(self) -> Sources:
        """The sources of the next segment: what was made already is kept (mask 0), which VACE goes on from.

        Kept pixels of a source go in as they came, so that nothing of it is encoded and decoded again and again.
        """
        segment = self.segments[len(self.made)]
        within = slice(*segment)
        is_made = self._is_made(len(self.made))[within]
        mask = self.sources.mask[within].clone()
        is_marked = ((mask > MASK_THRESHOLD) & is_made[:, None, None])[..., None]
        mask[is_made] = 0
        video = torch.where(is_marked, self._frames(segment), self.sources.video[within])
        return Sources(video, mask, self.sources.references)

    def taking(self, frames: Tensor) -> Segmented:
        """With what the next segment has made."""
        return replace(self, made=(*self.made, frames))

    def frames(self) -> Tensor:
        """All frames [T, H, W, 3]; over those that two segments have made the one fades into the other.

        What no segment has made is the sources' own.
        """
        return self._frames(Segment(0, len(self.sources.video)))

    def result(self, count: int, *, keeps_frames: bool) -> Tensor:
        """The first `count` frames; keeps_frames: those that the sources keep whole in their places, to the bit."""
        frames, sources = self.frames()[:count], self.sources
        return put_back(frames, sources.video[:count], sources.mask[:count]) if keeps_frames else frames

    def _frames(self, window: Segment) -> Tensor:
        frames = self.sources.video[window.start : window.stop].clone()
        for number, (segment, made) in enumerate(zip(self.segments, self.made, strict=False)):
            start, stop = max(window.start, segment.start), min(window.stop, segment.stop)
            if start < stop:
                own, here = (
                    slice(start - segment.start, stop - segment.start),
                    slice(start - window.start, stop - window.start),
                )
                share = _share(self._is_made(number)[slice(*segment)])[own, None, None, None]
                # As a difference, so that a share of 1 gives what was made to the bit.
                frames[here] = made[own] + (frames[here] - made[own]) * (1 - share)
        return frames

    def _is_made(self, count: int) -> Tensor:
        """Which frames the first `count` segments have made: [T] bool."""
        is_made = torch.zeros(len(self.sources.video), dtype=torch.bool)
        for segment in self.segments[:count]:
            is_made[slice(*segment)] = True
        return is_made


def lasting(sources: Sources, count: int) -> Sources:
    """The sources cut to `count` frames, or with their last frame repeated up to that."""
    video, mask = sources.video[:count], sources.mask[:count]
    missing = count - len(video)
    if missing:
        video = torch.cat([video, video[-1:].expand(missing, -1, -1, -1)])
        mask = torch.cat([mask, mask[-1:].expand(missing, -1, -1)])
    return replace(sources, video=video, mask=mask)


def _share(is_made: Tensor) -> Tensor:
    """How much of each frame [T] a new segment gives: all of those that none has made [T], ever less of the others."""
    share = torch.ones(len(is_made))
    count = int(is_made.sum())
    ramp = torch.linspace(0, 1, count + 2)[1:-1]
    share[is_made] = ramp if bool(is_made[0]) else ramp.flip(0)
    return share
