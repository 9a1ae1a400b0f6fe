"""The options of what a training does beside its steps: where figures go, evaluations, what is kept."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .values import whole

if TYPE_CHECKING:
    from ..training.planning_record import Record
    from ..training.watch import Watching

COUNT = 120  # held-out instructions where neither a number nor a file is given


def add(parser: argparse.ArgumentParser) -> Any:
    """Add them to a training's parser; the group that they are in."""
    group = parser.add_argument_group("while it trains (log.jsonl and its plot log.png are always written)")
    group.add_argument(
        "--log-with",
        action="append",
        default=[],
        metavar="TRACKER",
        help="csv, tensorboard, or another of accelerate's trackers, such as wandb, which may use the network; "
        "several are possible",
    )
    group.add_argument("--eval-every", type=whole, default=0, metavar="STEPS",
                       help="measure on what is held out, and keep the best result in OUT/best")  # fmt: skip
    group.add_argument("--early-stop", type=whole, default=0, metavar="N",
                       help="end after N evaluations that brought nothing better")  # fmt: skip
    group.add_argument("--keep-last", type=whole, default=2, metavar="N",
                       help="results written into OUT/checkpoints at each save, the last N; 0: none")  # fmt: skip
    return group


def add_planners(group: Any) -> None:
    """What a planner is evaluated on."""
    group.add_argument("--eval-data", type=Path, action="append", metavar="FILE",
                       help="records as `eval planner` takes them (default: drawn held-out ones)")  # fmt: skip
    group.add_argument("--eval-count", type=whole, metavar="N",
                       help=f"drawn over tasks and languages (default: {COUNT}, or all of --eval-data)")  # fmt: skip


def add_pictures(group: Any) -> None:
    """What a projector makes at each evaluation."""
    group.add_argument("--eval-pictures", type=whole, default=4, metavar="N",
                       help="held-out samples made at each evaluation, a sheet in OUT/pictures; 0: none")  # fmt: skip


def asked(options: argparse.Namespace) -> Watching:
    """What was asked for. Raises InputError and UnsupportedError for a tracker that is not there."""
    from ..training.trackers import check_trackers
    from ..training.watch import Watching

    log_with = tuple(dict.fromkeys(options.log_with))
    if log_with:
        check_trackers(log_with)
    return Watching(log_with, options.eval_every, options.early_stop, options.keep_last)


def records(options: argparse.Namespace) -> list[Record]:
    """The instructions a planner is evaluated on; none where it is not. Raises InputError."""
    from . import evaluating

    if not options.eval_every:
        return []
    return evaluating.records(options.eval_data, options.eval_count, COUNT, seed=0, name="--eval-count")
