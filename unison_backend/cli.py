"""The command line: `unison plan`, `unison run`, `unison doctor`.

Exit status: 0 done, 2 bad input (one clear line on stderr), 130 cancelled, 1 anything else.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import __version__
from .errors import Cancelled, InputError, UnisonError

DONE, FAILED, BAD_INPUT, CANCELLED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
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
    except InputError as error:
        _complain(str(error))
        return BAD_INPUT
    except UnisonError as error:
        _complain(str(error))
        return FAILED
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED


def _plan(options: argparse.Namespace) -> int:
    if options.jsonl is not None:
        return _plan_lines(options)
    from .pipeline import make_plan

    planned = make_plan(_prompt(options.text), _settings(options))
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
    from .planner.rules import plan as plan_by_rules
    from .prompt import parse_pads
    from .report import as_json

    settings, status = _settings(options), DONE
    for number, line in enumerate(_lines(options.jsonl), 1):
        try:
            plan = apply(plan_by_rules(parse_pads(_prompt_of(line, number))), settings)
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
    from .models import resolve_models
    from .pipeline import check_runnable, make_plan, run
    from .report import as_lines
    from .terminal import Bar, stop_signal

    planned = make_plan(_prompt(options.text), _settings(options))
    out = check_runnable(planned, options.out)
    from .engine_diffusers import SamplingSettings  # imports torch, so it waits until the plan is known to be good

    settings = SamplingSettings(options.steps, options.cfg, options.shift, options.seed)
    _note("\n".join(as_lines(planned.plan, planned.spec)))
    with Bar(quiet=options.quiet) as progress, stop_signal() as cancel:
        given = {key: getattr(options, key) for key in ("vace", "vae", "text_encoder", "projector")}
        models = resolve_models(options.models, given, progress)
        for notice in models.notices:
            _note(f"note: {notice}")
        made = run(planned, out, models, settings, negative=options.negative, device=options.device,
                   progress=progress, cancel=cancel)  # fmt: skip
    for notice in made.notices[len(models.notices) :]:
        _note(f"note: {notice}")
    _say(str(made.path))
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="unison", description="Unison: one instruction, planned and made into a picture or video."
    )
    parser.add_argument("--version", action="version", version=f"unison {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_plan(commands.add_parser("plan", help="show what an instruction means, without making anything"))
    _add_run(commands.add_parser("run", help="make the picture or video that an instruction asks for"))
    doctor = commands.add_parser("doctor", help="say what is installed, found and missing")
    doctor.add_argument(
        "--models", type=Path, metavar="DIR", help="a models folder to look into (default: UNISON_MODELS)"
    )
    doctor.set_defaults(command=_doctor)
    return parser


def _add_planning(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--planner", choices=("auto", "rules"), default="auto", help="who plans; auto takes the best one available"
    )
    parser.add_argument("--set", action="append", nargs="+", default=[], metavar="FIELD=VALUE",
                        help="put your own value over the plan's: --set width=640 height=384 seconds=2")  # fmt: skip


def _add_plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "text", nargs="?", metavar="TEXT", help="the instruction, media as ###path###; - reads it from stdin"
    )
    _add_planning(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--jsonl",
        metavar="FILE",
        help='plan every line {"prompt": ...} of FILE (- is stdin), media as <IMGPAD> / <VIDPAD>',
    )
    parser.set_defaults(command=_plan)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", nargs="?", metavar="TEXT", help="the instruction, media as ###path###; - reads stdin")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE_OR_DIR", help="where the result goes")
    _add_planning(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--cfg", type=float, default=5.0, help="guidance scale; 1 turns guidance off")
    parser.add_argument("--shift", type=float, default=5.0, help="flow shift of the schedule")
    parser.add_argument("--negative", metavar="TEXT", help="negative prompt (default: Wan's own)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument(
        "--models",
        type=Path,
        metavar="DIR",
        help="a models folder as ComfyUI's (default: UNISON_MODELS, else the embedded demo models)",
    )
    for name, what in (
        ("vace", "Wan VACE transformer"),
        ("vae", "Wan VAE"),
        ("text-encoder", "UMT5-XXL"),
        ("projector", "projector"),
    ):
        parser.add_argument(f"--{name}", type=Path, metavar="PATH", help=f"{what}: a file or a diffusers folder")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.set_defaults(command=_run)


if __name__ == "__main__":
    sys.exit(main())
