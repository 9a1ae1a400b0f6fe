"""The command line of training: `unison data`, `unison train`, `unison eval`.

Options only; each command imports what it takes when it runs, so that `--help` stays without torch.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from . import common, embedded, evaluating, watching
from .values import models_folder, number, whole

if TYPE_CHECKING:
    from ..training.schedule import Schedule

DONE = 0


def _follows() -> bool:
    """Whether this is one of several processes, and not the first."""
    return os.environ.get("RANK", "0") != "0"


def say(text: str) -> None:
    """A line of the result; of several processes the first one says it."""
    if not _follows():
        common.say(text)


def add(commands: Any) -> None:
    """Add the three commands to the parser's sub-commands."""
    data = commands.add_parser("data", help="make data for training").add_subparsers(required=True, metavar="KIND")
    _add_data(data.add_parser("planning", help="instructions with the plans they mean"))
    train = commands.add_parser("train", help="train planner, projector, intent model, embedded models")
    kinds = train.add_subparsers(required=True, metavar="WHAT")
    _add_planner(kinds.add_parser("planner", help="a planning LoRA for a Qwen2.5-VL folder"))
    _add_projector(kinds.add_parser("projector", help="a projector for your own pictures and videos"))
    embedded.add_train(kinds.add_parser("demo", help="the embedded models, from nothing"))
    _add_intent(kinds.add_parser("intent", help="the rules planner's models, from the pack's sentences"))
    evaluate = commands.add_parser("eval", help="measure models").add_subparsers(required=True, metavar="WHAT")
    evaluating.add(evaluate.add_parser("planner", help="exact plans of planners on held-out instructions"))
    embedded.add_eval(evaluate.add_parser("demo", help="what the embedded models get right, by their pixels"))


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=".jsonl, or .json for one list")
    parser.add_argument("--count", type=whole, default=12_000, help="records, the twelve tasks in turn")
    parser.add_argument("--seed", type=whole, default=0)
    parser.add_argument("--held-out", action="store_true", help="with the wordings that training never uses")
    parser.add_argument("--mix", type=Path, action="append", default=[], metavar="FILE", help="your own chat records")
    parser.add_argument("--reference-format", action="store_true",
                        help="leave out plans that the reference's own script cannot read")  # fmt: skip
    parser.set_defaults(command=_data)


def _data(options: argparse.Namespace) -> int:
    from ..training.cards import write_dataset_card
    from ..training.chats import read_messages
    from ..training.planning_sentences import has_sentences
    from ..training.planning_write import told, write
    from ..training.records.grammar import has_grammar
    from ..training.records.overlap import TRAINED, Vocabulary
    from ..training.records.stream import stream
    from .stopping import stop_signal
    from .terminal import Bar

    if options.count < 1:
        raise InputError(f"--count is {options.count}; it has to be at least 1")
    words = Vocabulary()
    records = stream(options.count, options.seed, held_out=options.held_out)
    own = [row for path in options.mix for row in read_messages(path)]
    with Bar() as progress, stop_signal() as cancel:
        drawn = told(words.heard(records) if options.held_out else records, options.count, progress, cancel)
        done = write(drawn, options.out, own, count=options.count, for_reference=options.reference_format)
    if not has_grammar():
        say("the grammar and the sentences are in the repository, not in this copy of the pack: all records are drawn "
            "from its templates, of which there are some 20,000 at most")  # fmt: skip
    elif not (options.held_out or has_sentences()):
        say("the sentences that people wrote are not in this copy of the pack: all records are drawn from the grammar")
    counts = ", ".join(f"{task} {count}" for task, count in done.tasks.items())
    card = write_dataset_card(
        options.out, done.tasks, own=done.own, seed=options.seed, held_out=options.held_out
    )  # fmt: skip
    say(f"{options.out}: {done.count} records ({counts}" + (f", your own {done.own})" if own else ")"))
    say(f"{card}: what is in it, as a dataset card")
    if options.reference_format:
        why = "; ".join(f"{reason} {count}" for reason, count in done.left_out.most_common())
        left = sum(done.left_out.values())
        say(f"{left} left out that the reference's own script cannot read" + (f" ({why})" if why else ""))
    if options.held_out:
        seen = words.known(stream(TRAINED, options.seed))
        say(
            f"of {len(words.words)} different words {seen.words:.1%} also stand in {TRAINED} training records, of "
            f"{len(words.runs)} runs of four words {seen.runs:.1%}; no wording does"
        )
    return DONE


def _add_intent(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sentences", type=Path, action="append", default=[], metavar="PATH",
                        help="your own sentences beside the pack's: a .jsonl file or a folder of them")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="DIR", help="(default: where the rules planner reads its models)")
    parser.set_defaults(command=_train_intent)


def _train_intent(options: argparse.Namespace) -> int:
    from ..planner.rules.intent_model import WEIGHTS
    from ..training.intent.fit import train_all
    from .stopping import stop_signal
    from .terminal import Bar

    with Bar() as progress, stop_signal() as cancel:
        count, files = train_all(options.sentences, options.out or WEIGHTS.parent, progress, cancel)
    say(f"{count} sentences: {', '.join(map(str, files))}")
    return DONE


def _add_schedule(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("schedule (default: the recipe's own)")
    group.add_argument("--steps", type=whole)
    group.add_argument("--lr", type=number, help="peak learning rate")
    group.add_argument("--batch", type=whole, help="samples of one step and process")
    group.add_argument("--accumulate", type=whole, help="batches whose gradients make one step")
    group.add_argument("--save-every", type=whole, metavar="STEPS")
    group.add_argument("--warmup", type=whole, metavar="STEPS", help="in which the rate rises to its peak")
    group.add_argument("--weight-decay", type=number)
    group.add_argument("--ema", type=number, metavar="DECAY",
                       help="of the averaged weights, which become the result; 0 averages none")  # fmt: skip
    group.add_argument("--seed", type=whole, help="of weights, batches and noise: the same seed, the same result")
    group.add_argument("--workers", type=whole, default=0, metavar="N",
                       help="processes that read and decode ahead while a step is computed")  # fmt: skip
    group.add_argument("--allow-change", action="store_true",
                       help="go on from a state of other data, seed, rate or batch; what differs is said")  # fmt: skip


def _schedule(options: argparse.Namespace, recipe: Schedule) -> Schedule:
    import dataclasses

    if options.steps is not None and options.warmup is None:
        scaled = recipe.of_steps(options.steps)
        if scaled.warmup < recipe.warmup:
            say(f"the warm-up is {scaled.warmup} steps, a tenth of --steps; the recipe's is {recipe.warmup} (--warmup)")
        recipe = scaled
    names = ("steps", "lr", "accumulate", "save_every", "warmup", "weight_decay", "ema", "seed", "allow_change")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return dataclasses.replace(recipe, **given)


def _add_planner(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--base", type=Path, required=True, metavar="DIR", help="the Qwen2.5-VL folder")
    parser.add_argument(
        "--data", type=Path, action="append", required=True, metavar="FILE", help="chat records, as `unison data` has"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for state, log and adapter")
    parser.add_argument("--start", type=Path, metavar="DIR", help="an adapter to go on from")
    parser.add_argument("--rank", type=whole, default=64)
    parser.add_argument("--alpha", type=whole, default=128)
    parser.add_argument("--dropout", type=number, default=0.0)
    parser.add_argument("--keep", type=whole, default=4, metavar="N",
                        help="questions of a step whose answers are held to the base's own; 0: none")  # fmt: skip
    parser.add_argument("--token-rows", action="store_true",
                        help="train the signal tokens' rows alone, not embedding and head whole")  # fmt: skip
    parser.add_argument("--pack", type=whole, default=0, metavar="N",
                        help="put N records of a batch into one row, where none sees another: no padding")  # fmt: skip
    parser.add_argument("--gradient-checkpointing", action="store_true", help="less memory, about a third slower")
    parser.add_argument("--dtype", choices=("auto", "bf16", "fp32"), default="auto", help="of the frozen base")
    _add_schedule(parser)
    watching.add_planners(watching.add(parser))
    parser.set_defaults(command=_train_planner)


def _train_planner(options: argparse.Namespace) -> int:
    from ..training import planning_lora as recipe
    from ..training.record_files import RecordFiles
    from .stopping import stop_signal
    from .terminal import Bar

    watched = watching.asked(options)
    settings = recipe.LoraSettings(
        options.rank,
        options.alpha,
        options.dropout,
        options.batch or 16,
        options.gradient_checkpointing,
        options.keep,
        options.token_rows,
        options.pack,
    )
    with Bar(quiet=_follows()) as progress, stop_signal(patient=True) as cancel:
        adapter = recipe.train(
            options.base,
            RecordFiles(options.data, progress, cancel),
            options.out,
            _schedule(options, recipe.SCHEDULE),
            settings,
            start=options.start,
            dtype=options.dtype,
            watching=watched,
            held_out=watching.records(options),
            data_name=", ".join(path.name for path in options.data),
            workers=options.workers,
            say=say,
            progress=progress,
            cancel=cancel,
        )
    say(str(adapter))
    return DONE


def _add_projector(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="FILE",
        help='lines of {"prompt": a caption, or an instruction with media as ###path###, "target": what should come of '
        'it}, and "task" where it is said',
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for samples, state, log and projector")
    parser.add_argument("--models", type=models_folder, metavar="DIR",
                        help="a models folder (default: as `run` looks for models)")  # fmt: skip
    parser.add_argument(
        "--planner-folder", type=Path, metavar="PATH", help="a Qwen2.5-VL (default: the one among the models)"
    )
    parser.add_argument("--planner-lora", type=Path, metavar="DIR", help="its planning LoRA, as `train planner` has it")
    parser.add_argument("--start", type=Path, metavar="FILE", help="a projector to go on from")
    parser.add_argument("--hidden", type=whole, default=2048, help="width of a new projector")
    parser.add_argument("--held-out", type=number, default=0.05, metavar="SHARE", help="of the samples, for evaluation")
    parser.add_argument("--text-dropout", type=number, default=0.0, metavar="SHARE",
                        help="how often a sample's text is left out, so that the projector alone says it")  # fmt: skip
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    _add_schedule(parser)
    watching.add_pictures(watching.add(parser))
    parser.set_defaults(command=_train_projector)


def _train_projector(options: argparse.Namespace) -> int:
    from ..training.projector import SCHEDULE
    from ..training.projector_run import ProjectorRun, train_from_manifest
    from .stopping import stop_signal
    from .terminal import Bar

    run = ProjectorRun(
        data=options.data,
        out=options.out,
        models=options.models,
        planner=options.planner_folder,
        lora=options.planner_lora,
        start=options.start,
        hidden=options.hidden,
        held_out=options.held_out,
        device=options.device,
        text_dropout=options.text_dropout,
        pictures=options.eval_pictures,
        workers=options.workers,
    )
    watched = watching.asked(options)
    with Bar(quiet=_follows()) as progress, stop_signal(patient=True) as cancel:
        lines = train_from_manifest(
            run,
            _schedule(options, SCHEDULE),
            batch=options.batch or 1,
            watching=watched,
            say=say,
            progress=progress,
            cancel=cancel,
        )
    say("\n".join(lines))
    return DONE
