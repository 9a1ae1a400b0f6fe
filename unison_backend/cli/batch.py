"""`unison batch`: a file of instructions, made with models that stay loaded."""

from __future__ import annotations

import argparse
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

from ..errors import InputError
from ..progress import Progress, silent
from .common import (
    BAD_INPUT,
    DONE,
    FAILED,
    annotator_paths,
    limits_of,
    make_of,
    mask_options,
    note,
    planner_options,
    say,
    segmenting_of,
    settings_of,
)

if TYPE_CHECKING:
    from ..batch.batch import Executor, Tally
    from ..batch.job import Job, Setup
    from ..batch.log import Row
    from .comfy import Fleet


def batch_command(options: argparse.Namespace) -> int:
    """Make every line of a file; 0 when all of them are there, 2 when lines were refused, 1 when some failed."""
    from ..batch.batch import run_batch
    from .stopping import stop_signal
    from .terminal import Bar

    with Bar(quiet=options.quiet) as progress, stop_signal() as cancel:
        segmenting_of(options, limits_of(options))  # what is wrong with it is said before any model is looked for
        servers = _servers(options, progress)
        setup = _setup(options, progress) if servers is None else servers.setup(options)
        for notice in setup.models.notices:
            note(f"note: {notice}")
        tell = _Tell(options.quiet)
        executor = _executor(options) if servers is None else servers.executor(options)
        # Each line has a report of its own; the bars of its stages would stand between them.
        tally = run_batch(options.file, setup, _defaults(options), executor, tell, silent, cancel)
    say(
        f"{tally.lines} lines: {tally.done + tally.found} done ({tally.found} of them before), "
        f"{tally.refused} refused, {tally.failed} failed; {setup.out / 'results.jsonl'}"
    )
    return FAILED if tally.failed else BAD_INPUT if tally.refused else DONE


def _servers(options: argparse.Namespace, progress: Progress) -> Fleet | None:
    """The servers that make the lines, asked what they have before anything is planned."""
    if not options.comfy:
        return None
    if options.ray:
        raise InputError("--ray and --comfy: lines are made by the one or the other")
    from .comfy import Fleet

    return Fleet.of(options, progress)


class _Tell:
    """A line on standard error for each row: how far it is, how long each takes, what went wrong."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._names: set[str] = set()
        self._first = 0.0

    def __call__(self, row: Row, tally: Tally) -> None:
        if row.error is not None:
            note(f"line {row.line}: {row.error}")
        if row.seconds is None or row.name in self._names:
            return
        self._names.add(row.name)
        made = len(self._names)
        if made == 1:
            self._first = perf_counter()
        if not self._quiet:
            result = row.path or ("answered" if row.answer is not None else row.status)
            note(f"{made}/{tally.to_make}  {result}{self._pace(made, tally.to_make)}")

    def _pace(self, made: int, to_make: int) -> str:
        """Of the lines behind the first one, which also waits for its models."""
        if made == 1:
            return ""
        each = (perf_counter() - self._first) / (made - 1)
        return f"  {each:.2f} s a line, {_time(max(to_make - made, 0) * each)} left"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _setup(options: argparse.Namespace, progress: Progress) -> Setup:
    import torch

    from ..batch.job import Setup
    from ..demo.fallback import resolve_models
    from ..engine.device import check_attention, pick_device
    from .engine import engine_of, with_preset
    from .run import given_models

    if options.out.exists() and not options.out.is_dir():
        raise InputError(f"--out {options.out} is a file; name a folder, the results of all lines go into it")
    engine = engine_of(options)
    check_attention(engine.attention, pick_device(options.device))
    models = resolve_models(options.models, given_models(options), progress)
    engine, preset = with_preset(options, engine, models)
    if preset:
        note(f"note: {preset}")
    return Setup(
        out=options.out,
        models=models,
        planner=planner_options(options),
        annotators=annotator_paths(options),
        device=options.device,
        engine=engine,
        threads=torch.get_num_threads(),
        keep_lora=options.keep_lora,
    )


def _defaults(options: argparse.Namespace) -> Job:
    """What a line that does not say otherwise is made with."""
    from ..batch.job import Job
    from ..plan.prompt import Prompt, check_characters
    from .engine import FAST, sampling_of

    sampling = sampling_of(options)
    check_characters(options.negative or "", "--negative")
    return Job(
        number=0,
        prompt=Prompt(("-",)),
        settings=settings_of(options),
        make=make_of(options),
        length=options.length,
        segment=options.segment,
        overlap=options.overlap,
        planner=options.planner,
        steps=sampling.steps,
        cfg=sampling.cfg if options.preset == FAST else options.cfg,
        shift=sampling.shift,
        seed=sampling.seed,
        cfg_low=sampling.cfg_low,
        boundary=sampling.boundary,
        negative=options.negative,
        composite=options.composite,
        feather=options.feather,
        mask=mask_options(options),
        max_new_tokens=options.max_new_tokens,
        temperature=options.temperature,
    )


def _executor(options: argparse.Namespace) -> Executor:
    if not options.ray:
        if options.workers != 1:
            raise InputError("--workers takes --ray: one process makes one line at a time")
        from ..batch.here import make_here

        return make_here
    from ..batch.on_ray import OnRay

    if options.workers < 1:
        raise InputError(f"--workers is {options.workers}; it is 1 or more")
    return replace(OnRay(options.workers), gpus=options.gpus_per_worker, cpus=options.cpus_per_worker)
