"""What a list costs: thirty lines by `unison batch` here, by Ray, and by `unison run`, a process a line.

Usage: python3 -m uv run python benchmarks/batch.py [--workers 2] [--alone 3] [--steps 4] [--json FILE]

The embedded models on the CPU, pictures of 64x64. What a batch saves is the start of a process, which is the same for
any picture; so that pictures do not hide it, they have few steps. `unison run` makes --alone of the lines, before,
between and behind the two batches; its seconds a line are the median of these. A row is timed when the command tells
it. Every file is compared byte for byte; one that differs ends this with status 1. CPU seconds are those of all
processes of a command, so they hold on a machine that does other work too; of Ray they include Ray's own.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil
from core import ROOT, machine

COLOURS = ("red", "green", "blue", "yellow", "purple")
SHAPES = ("circle", "square", "triangle")
GROUNDS = ("white", "black")
UNISON = (sys.executable, "-m", "unison_backend.cli")
_ROW = re.compile(r"\d+/\d+  \S+")


@dataclass
class Alone:
    """`unison run`, a process a line: (wall, CPU) seconds of each, and the bytes it made by line."""

    seconds: list[tuple[float, float]] = field(default_factory=list)
    made: dict[int, bytes] = field(default_factory=dict)


def lines() -> list[dict[str, Any]]:
    """Thirty instructions of the embedded models' world, each with its own seed."""
    prompts = [
        f"Create a 64x64 image of a {colour} {shape} on a {ground} background."
        for colour in COLOURS
        for shape in SHAPES
        for ground in GROUNDS
    ]
    return [{"prompt": prompt, "seed": number} for number, prompt in enumerate(prompts)]


def batch(file: Path, out: Path, options: Sequence[str]) -> dict[str, float]:
    """Seconds of one `unison batch`: until its first picture, of each further one, whole. Raises RuntimeError."""
    command = [*UNISON, "batch", str(file), "--out", str(out), *options]
    start, heard, last = perf_counter(), [], ""
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for last in process.stderr:
            if _ROW.match(last):
                heard.append((perf_counter() - start, _cpu(psutil.Process(process.pid))))
    if process.returncode or len(heard) < 2:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode} and {len(heard)} rows: {last}")
    (first, first_cpu), (end, end_cpu) = heard[0], heard[-1]
    further = len(heard) - 1
    return {
        "pictures": len(heard),
        "first_s": first,
        "each_further_s": (end - first) / further,
        "each_further_cpu_s": (end_cpu - first_cpu) / further,
        "whole_s": perf_counter() - start,
    }


def _cpu(process: psutil.Process) -> float:
    """CPU seconds of a process and all that it started, as far as they live."""
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


def alone(known: Alone, number: int, line: dict[str, Any], folder: Path, options: Sequence[str]) -> None:
    """Make one line by `unison run` and remember what it took and made."""
    out = folder / f"alone_{number}.png"
    command = [*UNISON, "run", line["prompt"], "--seed", str(line["seed"]), "--out", str(out), *options]
    start, cpu = perf_counter(), _children()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    known.seconds.append((perf_counter() - start, _children() - cpu))
    known.made[number] = out.read_bytes()


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def made_by(out: Path) -> dict[int, bytes]:
    """The bytes of each line's picture, by the batch's own rows."""
    rows = map(json.loads, (out / "results.jsonl").read_text(encoding="utf-8").splitlines())
    return {row["line"] - 1: (out / row["path"]).read_bytes() for row in rows}


def differences(known: dict[str, dict[int, bytes]]) -> Iterator[str]:
    """What is not the same bytes in every way that made it."""
    for number in sorted(set().union(*known.values())):
        kinds = {name: made[number] for name, made in known.items() if number in made}
        if len(set(kinds.values())) > 1:
            yield f"line {number + 1} differs between {', '.join(kinds)}"


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Every figure, and what differs between the ways."""
    jobs, more = lines(), ("--device", "cpu", "--steps", str(options.steps))
    file = folder / "lines.jsonl"
    file.write_text("".join(json.dumps(job) + "\n" for job in jobs), encoding="utf-8")
    ways = {"here": (), "ray": ("--ray", "--workers", str(options.workers))}
    turns = [number * (len(jobs) - 1) // max(1, options.alone - 1) for number in range(options.alone)]
    known, figures = Alone(), dict[str, Any]()
    for place, (name, way) in enumerate(ways.items()):
        for number in turns[place :: len(ways) + 1]:
            alone(known, number, jobs[number], folder, more)
        figures[name] = batch(file, folder / name, [*way, *more])
    for number in turns[len(ways) :: len(ways) + 1]:
        alone(known, number, jobs[number], folder, more)
    wall, cpu = (statistics.median(times) for times in zip(*known.seconds, strict=True))
    figures["run"] = {"pictures": len(turns), "each_s": wall, "each_cpu_s": cpu}
    for name in ways:
        figures[name]["times_faster"] = wall / figures[name]["each_further_s"]
        figures[name]["times_less_cpu"] = cpu / figures[name]["each_further_cpu_s"]
        figures[name]["whole_to_run"] = figures[name]["whole_s"] / (wall * len(jobs))
    made = {"run": known.made} | {name: made_by(folder / name) for name in ways}
    return figures | {"compared": {name: len(kinds) for name, kinds in made.items()}, "differs": [*differences(made)]}


def table(figures: dict[str, Any], workers: int) -> str:
    """The figures as Markdown."""
    run = figures["run"]
    rows = [
        "| | first picture, s | each further one, s | of which CPU, s | a further one against `unison run` |",
        "|---|---|---|---|---|",
        f"| `unison run`, {run['pictures']} of the lines | {run['each_s']:.1f} | {run['each_s']:.1f} "
        f"| {run['each_cpu_s']:.1f} | 1 |",
    ]
    for name, title in (("here", "`unison batch`"), ("ray", f"`unison batch` with `--ray --workers {workers}`")):
        one = figures[name]
        rows.append(
            f"| {title}, {one['pictures']} lines | {one['first_s']:.1f} | {one['each_further_s']:.2f} "
            f"| {one['each_further_cpu_s']:.2f} | {one['times_faster']:.0f} times faster, "
            f"{one['times_less_cpu']:.0f} times less CPU |"
        )
    return "\n".join(rows)


def main() -> int:
    """Measure, print the table and the machine, and say what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2, help="Ray's")
    parser.add_argument("--alone", type=int, default=3, help="lines that `unison run` makes too")
    parser.add_argument("--steps", type=int, default=4, help="of each picture")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(options, Path(folder))
    figures["machine"] = machine() | {"ray": version("ray"), "threads": os.environ.get("OMP_NUM_THREADS")}
    figures["command"] = " ".join(["python", "benchmarks/batch.py", *sys.argv[1:]])
    same = "; ".join(figures["differs"]) or "every picture is the same bytes from all that made it"
    sys.stdout.write(f"{table(figures, options.workers)}\n\n{same}\n\n{json.dumps(figures, indent=2)}\n")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 1 if figures["differs"] else 0


if __name__ == "__main__":
    sys.exit(main())
