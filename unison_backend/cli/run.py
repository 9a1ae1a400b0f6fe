"""`unison run`: the picture, video or answer of one instruction."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..engine.ranks import ALONE, Ranks
from ..errors import InputError
from ..plan.prompt import check_characters
from ..planner.rules.intent_model import IN_WORDS
from ..progress import Cancel, Progress
from . import gpus
from .common import (
    DONE,
    annotator_paths,
    answer_settings,
    given_sources,
    limits_of,
    make_of,
    mask_options,
    note,
    planner_of,
    planner_options,
    prompt_of,
    put,
    reading_of,
    say,
    segmenting_of,
    settings_of,
)  # fmt: skip
from .engine import engine_of, for_demo, sampling_of, with_preset

if TYPE_CHECKING:
    from ..pipeline.planning import Planned
    from ..pipeline.sources import SourceOptions
    from ..planner.base import Planner
    from .comfy import There


def run_command(options: argparse.Namespace) -> int:
    """Make what the instruction says, or answer it; the exit status."""

    from ..pipeline.planning import make_plan
    from .stopping import stop_signal
    from .terminal import Bar

    if gpus.wanted(options):
        return gpus.launch(options.arguments, options.gpus)
    ranks = gpus.join(options)
    prompt, settings = prompt_of(options.text), settings_of(options)
    check_characters(options.negative or "", "--negative")
    with Bar(quiet=options.quiet) as progress, stop_signal() as cancel:
        there = _server(options, progress)
        planner = planner_of(options, progress) if ranks.leads else None  # the leading process plans for all
        given, make, limits = given_sources(options), make_of(options), there.limits if there else limits_of(options)
        segmenting = segmenting_of(options, limits)
        planned = ranks.lead(
            lambda: make_plan(
                prompt, settings, planner, progress, cancel, given, make, options.length, segmenting, limits
            )
        )
        if planned.plan.task.is_generation:
            del planner  # its memory is wanted by what follows; the features are kept
            make_it = _make if there is None else there.make
            return make_it(options, planned, progress, cancel, ranks)
        _refuse_file(options, planned)
        return DONE if planner is None else _answer(options, planned, planner, progress, cancel)


def _server(options: argparse.Namespace, progress: Progress) -> There | None:
    """The server that makes it, asked what it has before anything is planned."""
    if options.comfy is None:
        return None
    from .comfy import There

    return There.of(options, progress)


def _refuse_file(options: argparse.Namespace, planned: Planned) -> None:
    """A file for a picture or video is named, and the plan is an answer: said before any model is loaded."""
    from ..media.sequence import is_sequence
    from ..media.write import IMAGE_WRITE_SUFFIXES, VIDEO_WRITE_SUFFIXES

    suffix = options.out.suffix.lower() if options.out is not None else ""
    wanted = "picture" if suffix in IMAGE_WRITE_SUFFIXES else "video" if suffix in VIDEO_WRITE_SUFFIXES else None
    if options.out is not None and is_sequence(options.out):
        wanted = "video"
    if wanted is None or options.out.is_dir():
        return
    reading = planned.reading
    other = f" (it could also be read as {IN_WORDS[reading.other]})" if reading and reading.other else ""
    raise InputError(
        f"--out {options.out} names a {wanted}, but this instruction reads as a question or an order for text{other}. "
        f"For a {wanted} add --make {wanted}, or begin with what to make, as in 'Create a {wanted} of ...'; for the "
        "answer leave --out away or give a folder"
    )


def _make(
    options: argparse.Namespace, planned: Planned, progress: Progress, cancel: Cancel, ranks: Ranks = ALONE
) -> int:
    """Make the picture or video of a plan."""
    from ..demo.fallback import resolve_models
    from ..pipeline.run import run
    from ..pipeline.runnable import check_runnable
    from ..plan.report import as_lines

    if options.out is None:
        raise InputError("--out is missing: say where the picture or video goes")
    _load_libraries(progress)
    source_options = _source_options(options)
    out = check_runnable(planned, options.out, source_options.annotators)
    from ..engine.device import check_attention, pick_device

    sampling, engine = sampling_of(options), engine_of(options)
    check_attention(engine.attention, pick_device(options.device))
    note("\n".join(as_lines(planned.plan, planned.spec, reading_of(planned), planned.media.labels)))
    models = resolve_models(options.models, given_models(options), progress)
    if models.demo:
        _say_what_is_unknown(planned)
        sampling = for_demo(options, sampling)
    engine, preset = with_preset(options, engine, models)
    if preset:
        note(f"note: {preset}")
    for notice in models.notices:
        note(f"note: {notice}")
    made = run(
        planned,
        out,
        models,
        sampling,
        negative=options.negative,
        device=options.device,
        options=source_options,
        engine_options=engine,
        progress=progress,
        cancel=cancel,
        ranks=ranks,
    )
    for notice in made.notices[len(models.notices) :]:
        note(f"note: {notice}")
    say(str(made.path))
    return DONE


def _load_libraries(progress: Progress) -> None:
    """PyTorch alone takes seconds on a cold disk: said before it is imported."""
    progress("loading libraries", 0, 1)
    import torch  # noqa: F401

    progress("loading libraries", 1, 1)


def _say_what_is_unknown(planned: Planned) -> None:
    """The embedded models make or say something of every instruction; of most it is nothing that was asked for."""
    from ..demo.world.known import unknown_notice
    from ..demo.world.seen import foreign_notice
    from ..weights.needs import NEEDS, describe, need_of

    makes = planned.plan.task.is_generation
    needs = [need for need in NEEDS if need.required] if makes else [need_of("planner")]
    lines = "\n".join(f"  {describe(need)}" for need in needs)
    real = f"Real {'pictures' if makes else 'answers'} take:\n{lines}"
    labels = [planned.media.label(index) for index in range(len(planned.plan.media))]
    for told in (
        unknown_notice(planned.prompt.text, makes, real), foreign_notice(planned.plan, planned.media, labels, real),
    ):  # fmt: skip
        if told is not None:
            note(f"note: {told}")


def _answer(options: argparse.Namespace, planned: Planned, planner: Planner, progress: Progress, cancel: Cancel) -> int:
    """Stream the answer of an understanding task to stdout."""
    from ..demo.fallback import find_planner
    from ..planner.base import Answering
    from ..planner.choose import load_planner
    from ..weights.find import named_folder

    if planned.plan.answer is not None:  # it came with the plan
        note(f"task     {planned.plan.task}")
        say(planned.plan.answer)
        return DONE
    settings = answer_settings(options)
    if not isinstance(planner, Answering):
        models = find_planner(options.models, options.planner_folder, progress)
        for notice in models.notices:
            note(f"note: {notice}")
        if models.demo:
            _say_what_is_unknown(planned)
        planner = load_planner(planner_options(options), models, progress)
    elif options.planner == "qwen" and not (options.models or options.planner_folder or named_folder()):
        _say_what_is_unknown(planned)  # the embedded one, asked for by `--planner qwen`
    note(f"task     {planned.plan.task}")
    planner.answer(planned.prompt, planned.media, settings, stream=put, progress=progress, cancel=cancel)
    say("")
    return DONE


def given_models(options: argparse.Namespace) -> dict[str, Path | None]:
    """Model files named one by one."""
    sides = ("vace", "vace_base", "vace_low", "vace_low_base")
    files = {key: getattr(options, key) for key in (*sides, "vae", "text_encoder", "projector")}
    return files | {"planner": options.planner_folder, "lora": options.planner_lora}


def _source_options(options: argparse.Namespace) -> SourceOptions:
    from ..annotators.bind import annotators
    from ..engine.device import pick_device
    from ..pipeline.sources import SourceOptions
    from ..planner.rules.targets import parse_target

    return SourceOptions(
        composite=options.composite,
        feather=options.feather,
        mask=mask_options(options),
        keep=options.keep_sources,
        annotators=annotators(annotator_paths(options), pick_device(options.device), parse_target),
    )
