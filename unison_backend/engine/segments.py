"""A video in segments: what one has made is, to the next, frames that are kept (mask 0), which VACE goes on from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..plan.segments import Segment
from ..progress import Cancel, Progress, never, silent
from ..sources.prepare import Sources
from ..sources.segmented import Segmented
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
    whole = Segmented(sources, segments)
    noise = initial_noise(noise_shape(sources), settings.seed)
    steps, computed = settings.steps, 0
    progress(SAMPLING, 0, len(segments) * steps)
    for number, segment in enumerate(segments):
        made = engine.generate(
            whole.part(),
            positive,
            negative,
            settings,
            _within(progress, number * steps, len(segments) * steps),
            cancel,
            noise_of(noise, segment, len(sources.references)),
        )
        computed += engine.steps_computed
        whole = whole.taking(made)
    engine.steps_computed = computed
    return whole.frames()


def _within(progress: Progress, done: int, total: int) -> Progress:
    """One segment's steps as a part of all; what else it does is not shown, or the bar would start anew each time."""

    def report(stage: str, step: int, _: int) -> None:
        if stage == SAMPLING:
            progress(SAMPLING, done + step, total)

    return report


def noise_of(noise: Tensor, segment: Segment, references: int) -> Tensor:
    """Noise [1, 16, references + T', h, w] of a segment: that of the references, then its part of the time axis."""
    first = references + segment.start // TEMPORAL_STRIDE
    last = first + latent_frames(segment.stop - segment.start)
    return torch.cat([noise[:, :, :references], noise[:, :, first:last]], dim=2)
