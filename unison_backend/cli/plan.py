"""`unison plan`: what an instruction means, one or a file of them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from ..errors import InputError
from ..files import limited_lines
from ..plan.spec import DEFAULTS, resolve
from .common import (
    BAD_INPUT,
    DONE,
    given_sources,
    make_of,
    planner_of,
    prompt_of,
    reading_of,
    say,
    segmenting_of,
    settings_of,
)


def plan_command(options: argparse.Namespace) -> int:
    """What the instruction, or each line of a file, means; the exit status."""

    from .stopping import stop_signal
    from .terminal import Bar

    if options.jsonl is not None:
        return _plan_lines(options)
    from ..pipeline.planning import make_plan
    from ..planner.rules.explain import as_json as explained
    from ..planner.rules.explain import as_lines as explained_lines
    from ..planner.rules.fired import recording

    with Bar(quiet=True) as progress, stop_signal() as cancel, recording() as trace:
        planner = planner_of(options, progress)
        planned = make_plan(
            prompt_of(options.text),
            settings_of(options),
            planner,
            progress,
            cancel,
            given=given_sources(options),
            make=make_of(options),
            length=options.length,
            segmenting=segmenting_of(options, DEFAULTS),  # as real models would make it
        )
    if options.json:
        from ..plan.report import as_json

        made = as_json(planned.plan, planned.spec, reading_of(planned))
        made |= {"explained": explained(trace)} if options.explain else {}
        say(json.dumps(made, ensure_ascii=False, indent=2))
    else:
        from ..plan.report import as_lines

        lines = [*as_lines(planned.plan, planned.spec, reading_of(planned), planned.media.labels)]
        say("\n".join([*lines, *(explained_lines(trace) if options.explain else ())]))
    return DONE


def _plan_lines(options: argparse.Namespace) -> int:
    """One object a line, in order; a line that cannot be planned gets {"error": ...} and makes the status 2."""
    from ..plan.overrides import apply
    from ..plan.prompt import parse_pads
    from ..plan.report import as_json
    from ..planner.rules.explain import as_json as explained
    from ..planner.rules.fired import recording

    settings, segmenting, status = settings_of(options), segmenting_of(options, DEFAULTS), DONE
    planner = planner_of(options)
    for number, line in enumerate(_lines(options.jsonl), 1):
        try:
            with recording() as trace:
                read = planner.plan(parse_pads(_prompt_of(line, number)), make=make_of(options))
            plan = apply(read.plan, settings)
            spec = resolve(plan, fps=settings.get("fps"), segmenting=segmenting)
            result = as_json(plan, replace(spec, reasons=(*read.notices, *spec.reasons)))
            result |= {"explained": explained(trace)} if options.explain else {}
        except InputError as error:
            result, status = {"error": str(error)}, BAD_INPUT
        say(json.dumps(result, ensure_ascii=False, separators=(",", ":")))
    return status


def _lines(name: str) -> Iterator[str]:
    """The lines one by one, empty ones left out: a file of any size takes the memory of a line."""
    try:
        with nullcontext(sys.stdin) if name == "-" else Path(name).open(encoding="utf-8-sig", newline="\n") as file:
            yield from (line for _, line in limited_lines(file, f"--jsonl {name}"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--jsonl {name} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _prompt_of(line: str, number: int) -> str:
    try:
        prompt = json.loads(line)["prompt"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f'line {number} is not of the form {{"prompt": "..."}}') from None
    if not isinstance(prompt, str):
        raise InputError(f"line {number}: prompt is {type(prompt).__name__}, not text")
    return prompt
