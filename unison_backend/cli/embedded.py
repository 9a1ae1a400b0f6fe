"""The command line of the embedded models' own training and measuring: `unison train demo`, `unison eval demo`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..demo.set import CFG as DEMO_CFG
from ..demo.set import FRAMES, SIDE
from .common import DONE, note, say
from .values import number, whole

STAGES = ("vae", "text", "vace", "qwen", "planner", "projector")  # a test holds that these are training's own
JUDGES = ("threshold", "coverage")  # and that these are the world's


def add_train(parser: argparse.ArgumentParser) -> None:
    """The options of `unison train demo`."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for states and the finished set")
    parser.add_argument("--stage", choices=STAGES, help="this one only")
    parser.add_argument("--share", type=number, default=1.0, help="of steps and examples, for a quick look")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--from", dest="begin", type=Path, metavar="DIR",
                        help="a trained set to go on from: its video model learns on, the rest stays as it is "
                        "(default: from nothing)")  # fmt: skip
    parser.add_argument("--with-vae", action="store_true",
                        help="with --from: its VAE learns on first, made wider")  # fmt: skip
    parser.add_argument("--plots", type=Path, metavar="DIR", help="a picture of the losses of each stage there")
    parser.set_defaults(command=_train)


def _train(options: argparse.Namespace) -> int:
    from ..training.demo.stages import train
    from .stopping import stop_signal
    from .terminal import Bar

    with Bar() as progress, stop_signal(patient=True) as cancel:
        finished = train(
            options.out,
            share=options.share,
            only=options.stage,
            device=options.device,
            begin=options.begin,
            with_vae=options.with_vae,
            plots=options.plots,
            say=note,
            progress=progress,
            cancel=cancel,
        )
    say(str(finished))
    return DONE


def add_eval(parser: argparse.ArgumentParser) -> None:
    """The options of `unison eval demo`."""
    parser.add_argument(
        "--set", dest="trained", type=Path, metavar="DIR", help="a trained set (default: the embedded one)"
    )
    parser.add_argument("--count", type=whole, default=20, help="examples of each kind")
    parser.add_argument("--steps", type=whole, default=20)
    parser.add_argument("--cfg", type=number, default=DEMO_CFG, help="guidance; 1 turns it off")
    parser.add_argument("--seed", type=whole, default=0)
    parser.add_argument("--width", type=whole, default=SIDE, help="of what is asked for, in pixels")
    parser.add_argument("--height", type=whole, default=SIDE, help="of what is asked for, in pixels")
    parser.add_argument("--frames", type=whole, default=FRAMES, help="of videos")
    parser.add_argument("--judge", choices=JUDGES, default="threshold",
                        help="how outlines are read: whole pixels, or coverage, on antialiased drawings")  # fmt: skip
    parser.add_argument("--report", "--pictures", type=Path, metavar="DIR",
                        help="write a page to look at there (index.html), and a sheet of every kind")  # fmt: skip
    parser.add_argument("--only", action="append", default=[], metavar="KIND", help="of these kinds alone")
    parser.set_defaults(command=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    from ..demo.world.canvas import Canvas
    from ..demo.world.shapes import SAMPLES
    from ..training.demo.evaluate import EvaluationSettings, evaluate, table
    from ..training.demo.report import write_report
    from .stopping import stop_signal
    from .terminal import Bar

    settings = EvaluationSettings(
        count=options.count,
        steps=options.steps,
        cfg=options.cfg,
        seed=options.seed,
        only=tuple(options.only),
        canvas=Canvas(options.height, options.width, options.frames, SAMPLES if options.judge == "coverage" else 1),
        judge=options.judge,
    )
    with Bar() as progress, stop_signal() as cancel:
        result = evaluate(options.trained, settings, progress=progress, cancel=cancel)
        page = options.report and write_report(options.report, result, settings, progress=progress, cancel=cancel)
    say("\n".join([*table(result), "", f"Outlines judged by {settings.judge}."]))
    if page:
        note(f"wrote {page}; open it in a browser")
    return DONE
