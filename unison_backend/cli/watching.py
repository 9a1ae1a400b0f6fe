"""The options of what a training writes beside its state while it runs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..training.watch import Watching


def add(parser: argparse.ArgumentParser) -> None:
    """Add them to a training's parser."""
    group = parser.add_argument_group("while it trains (log.jsonl and its plot log.png are always written)")
    group.add_argument(
        "--log-with",
        action="append",
        default=[],
        metavar="TRACKER",
        help="csv, tensorboard, or another of accelerate's trackers, such as wandb, which may use the network; "
        "several are possible",
    )


def asked(options: argparse.Namespace) -> Watching:
    """What was asked for. Raises InputError and UnsupportedError for a tracker that is not there."""
    from ..training.trackers import check_trackers
    from ..training.watch import Watching

    log_with = tuple(dict.fromkeys(options.log_with))
    if log_with:
        check_trackers(log_with)
    return Watching(log_with)
