"""A video in segments: what one has made is, to the next, frames that are kept (mask 0), which VACE goes on from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..plan.segments import Segment
from ..progress import Cancel, Progress, never, silent
from ..sources.masks import MASK_THRESHOLD
from ..sources.prepare import Sources
from .engine import Engine, initial_noise, noise_shape
from .settings import SamplingSettings
from .vace_context import TEMPORAL_STRIDE, latent_frames

SAMPLING = "sampling"


def generate(
    engine: Engine,
    sources: Sources,
    positive: Tensor,
    negative: Tensor,
    settings: SamplingSettings,
    segments: Sequence[Segment] = (),
    progress: Progress = silent,
    cancel: Cancel = never,
) -> Tensor:
    """`Engine.generate`, in `segments` where there are any: frames [T, H, W, 3] float32 0..1 on the CPU.

    What two segments have made fades from the one into the other. All segments share one noise, of which each takes
    its part of the time axis, and one count of steps.
    """
    if not segments:
        return engine.generate(sources, positive, negative, settings, progress, cancel)
    video, mask = sources.video.clone(), sources.mask.clone()
    frames, is_made = video.clone(), torch.zeros(len(video), dtype=torch.bool)
    noise = initial_noise(noise_shape(sources), settings.seed)
    steps, computed = settings.steps, 0
    progress(SAMPLING, 0, len(segments) * steps)
    for number, segment in enumerate(segments):
        part = slice(*segment)
        made = engine.generate(
            Sources(video[part], mask[part], sources.references),
            positive,
            negative,
            settings,
            _within(progress, number * steps, len(segments) * steps),
            cancel,
            _noise_of(noise, segment, len(sources.references)),
        )
        computed += engine.steps_computed
        # As a difference, so that a share of 1 gives what was made to the bit.
        frames[part] = made + (frames[part] - made) * (1 - _share(is_made[part]))[:, None, None, None]
        # Kept pixels go on as they came, so that nothing of a source is encoded and decoded again and again.
        is_marked = (sources.mask[part] > MASK_THRESHOLD)[..., None]
        video[part] = torch.where(is_marked, frames[part], sources.video[part])
        mask[part], is_made[part] = 0, True
    engine.steps_computed = computed
    return frames


def _share(is_made: Tensor) -> Tensor:
    """How much of each frame [T] a new segment gives: all of those that none has made [T], ever less of the others."""
    share = torch.ones(len(is_made))
    count = int(is_made.sum())
    ramp = torch.linspace(0, 1, count + 2)[1:-1]
    share[is_made] = ramp if bool(is_made[0]) else ramp.flip(0)
    return share


def _within(progress: Progress, done: int, total: int) -> Progress:
    """One segment's steps as a part of all; what else it does is not shown, or the bar would start anew each time."""

    def report(stage: str, step: int, _: int) -> None:
        if stage == SAMPLING:
            progress(SAMPLING, done + step, total)

    return report


def _noise_of(noise: Tensor, segment: Segment, references: int) -> Tensor:
    """Noise [1, 16, references + T', h, w] of a segment: that of the references, then its part of the time axis."""
    first = references + segment.start // TEMPORAL_STRIDE
    last = first + latent_frames(segment.stop - segment.start)
    return torch.cat([noise[:, :, :references], noise[:, :, first:last]], dim=2)
