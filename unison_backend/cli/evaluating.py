"""`unison eval planner`: planners measured on the same instructions, side by side."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from . import server
from .common import DONE, say
from .values import whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..planner.base import Planner
    from ..progress import Progress
    from ..training.planning_record import Record
    from ..training.planning_score import Score

PLANNERS = ("rules", "qwen", "prompt", "server")
COUNT = 600  # held-out instructions where neither a number nor a file is given


def add(parser: argparse.ArgumentParser) -> None:
    """The options of `unison eval planner`."""
    parser.add_argument(
        "--base",
        type=Path,
        metavar="DIR",
        help="the Qwen2.5-VL folder (default: the embedded one); for prompt any model's",
    )
    parser.add_argument(
        "--lora", type=Path, action="append", metavar="DIR", help="the planning LoRA; with several each is a planner"
    )
    parser.add_argument(
        "--planner",
        choices=PLANNERS,
        action="append",
        help="which are measured, one or several side by side (default: qwen)",
    )
    parser.add_argument("--rules", action="store_const", const=["rules"], dest="planner", help="only the rules")
    parser.add_argument(
        "--data",
        type=Path,
        action="append",
        metavar="FILE",
        help="chat records or lines of prompt and tokens (default: drawn held-out ones)",
    )
    parser.add_argument(
        "--sentences",
        type=Path,
        action="append",
        metavar="PATH",
        help="a set of sentences with what they mean (docs/planner.md), or a folder of sets",
    )
    parser.add_argument(
        "--count",
        type=whole,
        help=f"drawn over tasks and languages (default: {COUNT}, or all of --data or --sentences)",
    )
    parser.add_argument("--seed", type=whole, default=0)
    parser.add_argument("--wrong", type=whole, default=0, metavar="N", help="show N plans of each that differ")
    server.add(parser)
    parser.set_defaults(command=_eval_planner)


def _eval_planner(options: argparse.Namespace) -> int:
    from ..training.planning_score import as_table
    from .stopping import stop_signal
    from .terminal import Bar

    measure, scores = _measure(options), {}
    with Bar() as progress, stop_signal() as cancel:
        for name, planner in planners(options, progress):
            scores[name] = measure(planner, progress=progress, cancel=cancel)
            del planner  # before the next one is loaded
    say("\n".join(as_table(scores)))
    for name, score in scores.items():
        for prompt, expected, made in score.wrong[: options.wrong]:
            say(f"{name}: {prompt}\n  expected {expected or '(an answer)'}\n  made     {made or '(an answer)'}")
    return DONE


def _measure(options: argparse.Namespace) -> Callable[..., Score]:
    """What a planner is measured by: sentences and what they mean, or instructions with their tokens."""
    if not options.sentences:
        from ..training.planning_score import evaluate

        rows = records(options.data, options.count, COUNT, options.seed)
        return lambda planner, **how: evaluate(planner, rows, **how)
    if options.data:
        raise InputError("--data and --sentences: planners are measured by the one or the other")
    from ..training.sentence_score import evaluate_sentences, read_sets

    sentences = read_sets(options.sentences, options.count, options.seed)
    return lambda planner, **how: evaluate_sentences(planner, sentences, **how)


def records(files: list[Path] | None, count: int | None, usual: int, seed: int, name: str = "--count") -> list[Record]:
    """Those of the files, or `usual` many drawn ones; `count` of them. Raises InputError where there is none."""
    from ..training.planning_data import draw
    from ..training.planning_read import read_records, some

    if count is not None and count < 1:
        raise InputError(f"{name} is {count}; it has to be at least 1")
    if not files:
        return draw(count or usual, seed, held_out=True)
    found = [record for path in files for record in read_records(path)]
    return some(found, count or len(found), seed)


def planners(options: argparse.Namespace, progress: Progress) -> Iterator[tuple[str, Planner]]:
    """The planners to measure by name, each loaded when it is asked for."""
    for kind in dict.fromkeys(options.planner or ["qwen"]):
        if kind == "rules":
            from ..planner.rules.plan import RulesPlanner

            yield kind, RulesPlanner()
        elif kind in ("prompt", "server"):
            from ..planner.choose import PlannerOptions, prompt_planner

            # By itself: where it fails no other plans in its place.
            named = server.named(options) if kind == "server" else None
            chosen = PlannerOptions(kind, server=named, folder=options.base)
            yield kind, prompt_planner(chosen, progress, by_rules=False)
        else:
            yield from _qwens(options, progress)


def _qwens(options: argparse.Namespace, progress: Progress) -> Iterator[tuple[str, Planner]]:
    """The base, with each LoRA alone."""
    from ..demo.fallback import find_planner
    from ..planner.qwen.loading import load_qwen
    from ..planner.qwen.planner import QwenPlanner

    found = find_planner(None, options.base, progress)
    if found.planner is None:
        raise InputError("no Qwen2.5-VL folder: give --base")
    for lora in options.lora or [found.lora]:
        name = str(lora) if len(options.lora or ()) > 1 else "qwen"
        yield name, QwenPlanner(load_qwen(found.planner, lora, progress=progress))
