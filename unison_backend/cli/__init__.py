"""The command line: `unison plan`, `run`, `batch`, `merge`, `doctor`; a file each for `download` and for training.

Exit status: 0 done, 2 bad input (one clear line on stderr), 128 + the signal that stopped it (130 for Ctrl-C), 1
anything else.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ..errors import Cancelled, InputError, UnisonError
from .common import BAD_INPUT, DONE, FAILED, complain, note, put, say
from .parser import make_parser
from .plan import plan_command
from .run import run_command
from .stopping import leave, stop_signal, stop_status
from .streams import open_streams, without_output


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status. Without arguments they, and the process's end, are the program's."""
    open_streams()
    try:
        try:
            return _run(arguments)
        finally:
            put("")  # what argparse wrote
    except (Cancelled, KeyboardInterrupt) as error:
        status = complain(str(error) or "cancelled", stop_status())
        if arguments is None:
            leave(status)
        return status
    except BrokenPipeError:
        return without_output(FAILED)
    except Exception as error:
        from ..errors import broken_library  # only now: what it imports is not needed by a run that goes well

        told = broken_library(error) or error
        if not isinstance(told, UnisonError):
            raise
        status = complain(str(told), BAD_INPUT if isinstance(told, InputError) else FAILED)
        return status if status == BAD_INPUT else without_output(status)


def _run(arguments: Sequence[str] | None) -> int:
    options = make_parser(plan_command, run_command, _batch, _merge, _doctor).parse_args(arguments)
    _take_text_from_set(options)
    options.arguments = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        # Instructions are in any language, whatever the terminal's own encoding is.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    return int(options.command(options))


def _batch(options: argparse.Namespace) -> int:
    from .batch import batch_command

    return batch_command(options)


def _merge(options: argparse.Namespace) -> int:
    from ..planner.qwen.merging import merge
    from ..training.cards import merged_card, write_card
    from .terminal import Bar

    with Bar() as progress, stop_signal():
        missing = merge(options.base, options.lora, options.out, dtype=options.dtype, progress=progress)
        write_card(options.out, merged_card(options.base, options.lora, as_base=not missing))
    if missing:
        note(missing)
    say(str(options.out))
    return DONE


def _doctor(options: argparse.Namespace) -> int:
    from .doctor import report

    lines, healthy = report(options.models)
    say("\n".join(lines))
    return DONE if healthy else FAILED


def _take_text_from_set(options: argparse.Namespace) -> None:
    """`--set width=64 "Draw a fox"`: what follows the settings and is none of them is the instruction."""
    groups = getattr(options, "set", [])
    if groups and getattr(options, "text", "") is None and "=" not in groups[-1][-1]:
        options.text = groups[-1].pop()
