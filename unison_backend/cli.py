"""The command line: `unison plan`, `run`, `merge`, `doctor`; `data`, `train` and `eval` are in `cli_training.py`.

Exit status: 0 done, 2 bad input (one clear line on stderr), 130 cancelled, 1 anything else.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .cli_parser import make_parser
from .demo import CFG as DEMO_CFG
from .errors import Cancelled, InputError, UnisonError
from .progress import Cancel, Progress, silent

if TYPE_CHECKING:
    from .given_sources import GivenSources
    from .pipeline import Planned, SourceOptions
    from .planner.base import Planner
    from .planner.choose import PlannerOptions

DONE, FAILED, BAD_INPUT, CANCELLED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = make_parser(_plan, _run, _merge, _doctor).parse_args(arguments)
    _take_text_from_set(options)
    for stream in (sys.stdout, sys.stderr):
        # Instructions are in any language, whatever the terminal's own encoding is.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    try:
        return int(options.command(options))
    except (Cancelled, KeyboardInterrupt) as error:
        _complain(str(error) or "cancelled")
        return CANCELLED
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED
    except Exception as error:
        from .libraries import broken_library  # only now: what it imports is not needed by a run that goes well

        told = broken_library(error) or error
        if not isinstance(told, UnisonError):
            raise
        _complain(str(told))
        return BAD_INPUT if isinstance(told, InputError) else FAILED


def _plan(options: argparse.Namespace) -> int:
    from .terminal import Bar, stop_signal

    if options.jsonl is not None:
        return _plan_lines(options)
    from .pipeline import make_plan

    with Bar(quiet=True) as progress, stop_signal() as cancel:
        planner = _planner(options, progress)
        planned = make_plan(
            _prompt(options.text), _settings(options), planner, progress, cancel, given=_given_sources(options)
        )
    if options.json:
        from .report import as_json

        _say(json.dumps(as_json(planned.plan, planned.spec), ensure_ascii=False, indent=2))
    else:
        from .report import as_lines

        _say("\n".join(as_lines(planned.plan, planned.spec)))
    return DONE


def _plan_lines(options: argparse.Namespace) -> int:
    """One object a line, in order; a line that cannot be planned gets {"error": ...} and makes the status 2."""
    from .overrides import apply
    from .prompt import parse_pads
    from .report import as_json

    settings, status = _settings(options), DONE
    planner = _planner(options)
    for number, line in enumerate(_lines(options.jsonl), 1):
        try:
            plan = apply(planner.plan(parse_pads(_prompt_of(line, number))).plan, settings)
            result = as_json(plan, plan.resolve(fps=settings.get("fps")))
        except InputError as error:
            result, status = {"error": str(error)}, BAD_INPUT
        _say(json.dumps(result, ensure_ascii=False, separators=(",", ":")))
    return status


def _lines(name: str) -> list[str]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--jsonl {name} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return [line for line in text.split("\n") if line.strip()]


def _prompt_of(line: str, number: int) -> str:
    try:
        prompt = json.loads(line)["prompt"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f'line {number} is not of the form {{"prompt": "..."}}') from None
    if not isinstance(prompt, str):
        raise InputError(f"line {number}: prompt is {type(prompt).__name__}, not text")
    return prompt


def _run(options: argparse.Namespace) -> int:
    from .pipeline import make_plan
    from .terminal import Bar, stop_signal

    prompt, settings = _prompt(options.text), _settings(options)
    with Bar(quiet=options.quiet) as progress, stop_signal() as cancel:
        planner = _planner(options, progress)
        planned = make_plan(prompt, settings, planner, progress, cancel, given=_given_sources(options))
        if planned.plan.task.is_generation:
            del planner  # its memory is wanted by what follows; the features are kept
            return _make(options, planned, progress, cancel)
        return _answer(options, planned, planner, progress, cancel)


def _make(options: argparse.Namespace, planned: Planned, progress: Progress, cancel: Cancel) -> int:
    """Make the picture or video of a plan."""
    from .models import resolve_models
    from .pipeline import check_runnable, run
    from .report import as_lines

    if options.out is None:
        raise InputError("--out is missing: say where the picture or video goes")
    source_options = _source_options(options)
    out = check_runnable(planned, options.out, source_options.annotators)
    from .engine_diffusers import SamplingSettings  # imports torch, so it waits until the plan is known to be good

    cfg = SamplingSettings.cfg if options.cfg is None else options.cfg
    sampling = SamplingSettings(options.steps, cfg, options.shift, options.seed)
    _note("\n".join(as_lines(planned.plan, planned.spec)))
    models = resolve_models(options.models, _given(options), progress)
    if models.demo and options.cfg is None:
        sampling = replace(sampling, cfg=DEMO_CFG)
    for notice in models.notices:
        _note(f"note: {notice}")
    made = run(
        planned,
        out,
        models,
        sampling,
        negative=options.negative,
        device=options.device,
        options=source_options,
        progress=progress,
        cancel=cancel,
    )
    for notice in made.notices[len(models.notices) :]:
        _note(f"note: {notice}")
    _say(str(made.path))
    return DONE


def _answer(options: argparse.Namespace, planned: Planned, planner: Planner, progress: Progress, cancel: Cancel) -> int:
    """Stream the answer of an understanding task to stdout."""
    from .models import find_planner
    from .planner.choose import load_planner
    from .planner.qwen import AnswerSettings, QwenPlanner

    settings = AnswerSettings(options.max_new_tokens, options.temperature, options.seed, options.keep_lora)
    if not isinstance(planner, QwenPlanner):
        models = find_planner(options.models, options.planner_folder, progress)
        for notice in models.notices:
            _note(f"note: {notice}")
        planner = load_planner(_planner_options(options), models, progress)
    _note(f"task     {planned.plan.task}")

    def stream(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    planner.answer(planned.prompt, planned.media, settings, stream=stream, progress=progress, cancel=cancel)
    _say("")
    return DONE


def _planner(options: argparse.Namespace, progress: Progress = silent) -> Planner:
    """The planner of the options. Without a word of models it is the rules, and nothing heavy is imported."""
    from .models import find_planner, named_folder

    named = options.models or options.planner_folder or named_folder()
    if options.planner == "rules" or (options.planner == "auto" and not named):
        from .planner.rules import RulesPlanner

        return RulesPlanner()
    from .planner.choose import choose_planner

    found = find_planner(options.models, options.planner_folder, progress)
    return choose_planner(_planner_options(options), found, progress)


def _planner_options(options: argparse.Namespace) -> PlannerOptions:
    from .planner.choose import PlannerOptions

    return PlannerOptions(
        name=options.planner,
        lora=options.planner_lora,
        dtype=options.dtype,
        attention=options.attention,
        quantize=options.quantize,
        force_plan=options.force_plan,
        device=options.device,
    )


def _given(options: argparse.Namespace) -> dict[str, Path | None]:
    """Model files named one by one."""
    files = {key: getattr(options, key) for key in ("vace", "vae", "text_encoder", "projector")}
    return files | {"planner": options.planner_folder, "lora": options.planner_lora}


def _given_sources(options: argparse.Namespace) -> GivenSources:
    from .given_sources import GivenSources, parse_borders

    return GivenSources(
        mask=options.mask,
        mask_phrase=options.mask_phrase,
        control_file=options.control,
        control=options.control_kind,
        references=tuple(options.reference),
        first_frame=options.first_frame,
        last_frame=options.last_frame,
        outpaint=None if options.outpaint is None else parse_borders(options.outpaint),
    )


def _source_options(options: argparse.Namespace) -> SourceOptions:
    from .annotators.standalone import AnnotatorPaths, annotators
    from .engine_diffusers import pick_device
    from .masks import MaskOptions
    from .models import named_folder
    from .pipeline import SourceOptions

    paths = AnnotatorPaths(options.detector, options.segmenter, tuple(options.control_model), options.threshold)
    return SourceOptions(
        composite=options.composite,
        feather=options.feather,
        mask=MaskOptions(options.mask_fill, options.mask_grow, options.mask_blur),
        keep=options.keep_sources,
        annotators=annotators(paths.completed(options.models or named_folder()), pick_device(options.device)),
    )


def _merge(options: argparse.Namespace) -> int:
    from .planner.merging import merge
    from .terminal import Bar

    with Bar() as progress:
        merge(options.base, options.lora, options.out, dtype=options.dtype, progress=progress)
    _say(str(options.out))
    return DONE


def _doctor(options: argparse.Namespace) -> int:
    from .doctor import report

    lines, healthy = report(options.models)
    _say("\n".join(lines))
    return DONE if healthy else FAILED


def _prompt(text: str | None) -> Any:
    from .prompt import parse_paths

    if text is None:
        raise InputError("no instruction: write it behind the command, in quotes")
    return parse_paths(sys.stdin.read() if text == "-" else text)


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    from .overrides import parse_settings

    return parse_settings([part for group in options.set for part in group])


def _take_text_from_set(options: argparse.Namespace) -> None:
    """`--set width=64 "Draw a fox"`: what follows the settings and is none of them is the instruction."""
    groups = getattr(options, "set", [])
    if groups and options.text is None and "=" not in groups[-1][-1]:
        options.text = groups[-1].pop()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _note(text: str) -> None:
    sys.stderr.write(text + "\n")


def _complain(text: str) -> None:
    sys.stderr.write(f"unison: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
