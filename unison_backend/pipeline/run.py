"""A plan from sources to a file, a stage after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from ..engine.ranks import ALONE, Ranks
from ..memory import memory_errors
from ..progress import Cancel, Progress, check, never, silent
from ..weights.find import ModelPaths
from .planning import Planned
from .sources import SourceOptions, prepare_sources
from .stages import Stages
from .texts import Texts, read_texts
from .write import write

if TYPE_CHECKING:
    from torch import Tensor

    from ..engine.settings import EngineOptions, SamplingSettings
    from ..sources.prepare import Sources

_LOWER = "lower size or length (width, height, num_frames) or use another device"


@dataclass(frozen=True)
class Made:
    """The file of a run, what there is to say about it, and seconds by stage."""

    path: Path
    notices: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)


def run(
    planned: Planned,
    out: Path,
    models: ModelPaths,
    settings: SamplingSettings,
    *,
    negative: str | None = None,
    device: str = "auto",
    options: SourceOptions | None = None,
    engine_options: EngineOptions | None = None,
    progress: Progress = silent,
    cancel: Cancel = never,
    ranks: Ranks = ALONE,
) -> Made:
    """Make what `planned` says and write it to `out` (from `check_runnable`), whole or not at all: to a file, or as the
    next free `unison_0001.png` or `.mp4` of a folder.

    Raises UnisonError of every kind; memory that runs out becomes ResourceError.
    """
    return run_stages(
        planned,
        out,
        Stages(models, device, engine_options, ranks),
        settings,
        negative=negative,
        options=options,
        progress=progress,
        cancel=cancel,
    )


def run_stages(
    planned: Planned,
    out: Path,
    stages: Stages,
    settings: SamplingSettings,
    *,
    texts: Texts | None = None,
    negative: str | None = None,
    options: SourceOptions | None = None,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> Made:
    """`run` with models from `stages`. texts: what `read_texts` gave, if it was called before."""
    from ..engine.sides import check_sides, steps_of_each

    check_sides(settings, stages.options, two=stages.models.vace_low is not None)
    stages.check_ranks(settings)
    options = options or SourceOptions()
    seconds: dict[str, float] = {}
    spec = planned.spec
    with memory_errors(f"making {spec.num_frames} frames of {spec.width}x{spec.height}", _LOWER):
        with _timed("sources", seconds):
            sources = stages.ranks.lead(lambda: prepare_sources(planned, options, progress, cancel))
        with _timed("text", seconds):
            texts = texts or stages.ranks.lead(lambda: read_texts(planned, stages, negative, progress, cancel))
        with _timed("load engine", seconds):
            check(cancel, "loading")
            from ..engine.segments import generate

            engine = stages.engine(progress)
            engine.coder.told.clear()  # of the run before, where it is kept
        with _timed("generate", seconds):
            kept = slice(spec.kept_frames)
            contexts = texts.positive, texts.negative
            frames = generate(engine, sources, *contexts, settings, spec.segments, progress, cancel)[kept]
            frames = _with_kept(frames, planned, sources, options, progress, cancel)
    if not stages.ranks.leads:
        return Made(out)
    with _timed("write", seconds):
        path, notices = write(out, frames, planned, settings, progress, cancel, loras=stages.options.loras)
    if engine.options.cache:
        steps = settings.steps * max(1, len(spec.segments))
        notices = (*notices, f"--cache easy: {engine.steps_computed} of {steps} steps were computed")
    if engine.low is not None:
        notices = (*notices, steps_of_each(settings, engine.boundary))
    notices = (*notices, *engine.coder.told.values())
    return Made(path, (*stages.models.notices, *sources.notices, *texts.notices, *notices), seconds)


def _with_kept(
    frames: Tensor, planned: Planned, sources: Sources, options: SourceOptions, progress: Progress, cancel: Cancel
) -> Tensor:
    """What was made with what was not to change: an edit's source around its mask, or the clip that goes on."""
    from ..sources.composite import composite, put_back

    kept = slice(planned.spec.kept_frames)
    source, mask = sources.video[kept], sources.mask[kept]
    if planned.spec.clips:
        return put_back(frames, source, mask)
    if planned.plan.source is not None and options.composite:
        return composite(frames, source, mask, options.feather, progress, cancel)
    return frames


@contextmanager
def _timed(stage: str, seconds: dict[str, float]) -> Iterator[None]:
    start = perf_counter()
    yield
    seconds[stage] = perf_counter() - start
