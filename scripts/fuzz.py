"""Mutated input of every kind: each case ends well or with one of the pack's own errors, soon and in little memory.

    python scripts/fuzz.py                                     # 2,000 cases of each parser, 100 of each kind of file
    python scripts/fuzz.py --kind media --cases 5000 --part 2/10
    python scripts/fuzz.py --kind media --case 1234            # one case again, with its traceback

A child process makes the cases of a kind; one that crashes, takes over 10 s of a processor or over 600 MB more than
before ends it, and the next child goes on behind it. The numbers of finds say how to see them again; status 1 when
there are any.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import logging
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from fuzz_cases import FILES, KINDS  # noqa: E402

from unison_backend.errors import UnisonError  # noqa: E402

SECONDS, MEGABYTES = 10, 600
PARSER_CASES, FILE_CASES = 2000, 100


def attempt(kind: str, seed: int, number: int, folder: Path) -> str | None:
    """What went wrong in one case; None when nothing did."""
    place = folder / "case"
    place.mkdir(exist_ok=True)
    try:
        KINDS[kind](Random(f"{seed}:{kind}:{number}"), place)
    except UnisonError as error:
        if len(str(error)) > 3000:
            return f"a message of {len(str(error))} characters"
        with contextlib.suppress(UnicodeEncodeError):
            str(error).encode()
            return None
        return "a message with half a character"
    except BaseException as error:
        if number_of_one:
            traceback.print_exc()
        return f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        _empty(place)
    return None


number_of_one = False


def _empty(place: Path) -> None:
    for path in sorted(place.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def child(kind: str, seed: int, numbers: Iterator[int]) -> None:
    """Make cases and say of each that it begins and what went wrong. A signal or the system ends a bad one."""
    faulthandler.disable()
    warnings.simplefilter("ignore")
    logging.disable()
    for name in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(name, signal.SIG_DFL)
    with tempfile.TemporaryDirectory() as folder:
        most = None
        for number in numbers:
            # Of this process's own work, whatever else the machine does; the first case imports libraries, too.
            signal.setitimer(signal.ITIMER_PROF, SECONDS if most is not None else 6 * SECONDS)
            signal.alarm(12 * SECONDS)
            sys.stdout.write(f"begin {number}\n")
            sys.stdout.flush()
            problem = attempt(kind, seed, number, Path(folder))
            taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            if most is not None and taken > most + MEGABYTES:
                problem = f"{taken - most:.0f} MB"
            most = taken if most is None else max(most, taken)
            if problem:
                sys.stdout.write(f"find {number} {problem!a}\n")
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
    sys.stdout.write("end\n")


def run(kind: str, seed: int, first: int, behind: int) -> Iterator[tuple[int, str]]:
    """(number, what went wrong) of the cases from `first` to before `behind`."""
    while first < behind:
        command = [sys.executable, __file__, "--kind", kind, "--seed", str(seed), "--child", f"{first}:{behind}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        last, ended = first - 1, False
        for line in done.stdout.splitlines():
            word, _, rest = line.partition(" ")
            ended = ended or word == "end"
            if word == "begin":
                last = int(rest)
            elif word == "find":
                number, _, problem = rest.partition(" ")
                yield int(number), problem
        if ended:
            return
        why = (
            "took too long"
            if -done.returncode in (signal.SIGALRM, signal.SIGPROF)
            else f"ended with status {done.returncode}"
        )
        yield last, why
        first = max(last, first) + 1


def main() -> int:
    global number_of_one

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=tuple(KINDS), action="append")
    parser.add_argument("--cases", type=int, help=f"of each kind (default: {PARSER_CASES}, of files {FILE_CASES})")
    parser.add_argument("--part", default="1/1", help="of the cases, as in 2/10")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="one case of a kind, with its traceback")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    kinds = options.kind or list(KINDS)
    if options.child:
        first, behind = map(int, options.child.split(":"))
        child(kinds[0], options.seed, iter(range(first, behind)))
        return 0
    if options.case is not None:
        number_of_one = True
        with tempfile.TemporaryDirectory() as folder:
            return int(attempt(kinds[0], options.seed, options.case, Path(folder)) is not None)
    part, parts = map(int, options.part.split("/"))
    found = 0
    for kind in kinds:
        cases = options.cases or (FILE_CASES if kind in FILES else PARSER_CASES)
        first, behind = cases * (part - 1) // parts, cases * part // parts
        start = time.monotonic()
        finds = list(run(kind, options.seed, first, behind))
        found += len(finds)
        sys.stdout.write(f"{kind}: {behind - first} cases, {time.monotonic() - start:.0f} s, {len(finds)} finds\n")
        for number, problem in finds:
            sys.stdout.write(f"  --kind {kind} --seed {options.seed} --case {number}: {problem}\n")
        sys.stdout.flush()
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
