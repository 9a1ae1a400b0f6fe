"""What a start imports: how many CPU seconds, and which library each share of them belongs to.

Usage: OMP_NUM_THREADS=1 python3 -m uv run python benchmarks/imports.py [--rounds 3] [--against FOLDER]

For `unison plan`, `unison run` of a picture of the embedded models in one step, and, with COMFYUI_PATH and
COMFYUI_PYTHON, the import of the node pack and the schemas of its nodes. Shares are of the import time that
`python -X importtime` writes, each module's own, by library (what a library loads lazily by name is not written, but
all that this asks for is); "asked for by" is the time of everything that a library
was first imported for, by the module of ours or of another library that did it. CPU seconds are medians of whole
processes. --against: FOLDER is another checkout (`git worktree add FOLDER COMMIT`), whose processes run in turns with
ours, and the ratio.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core import machine, report

ROOT = Path(__file__).resolve().parents[1]
WORDS = "Draw a red circle, 64x64."
LINE = re.compile(r"import time:\s*(\d+) \|\s*(\d+) \|( *)(\S+)$")
MOST = 14
STDLIB = sys.stdlib_module_names
PACK = (
    "import asyncio, importlib.util, sys, time; sys.argv = ['main.py', '--cpu']; sys.path.insert(0, {host!r});"
    "import comfy.options; comfy.options.enable_args_parsing(); import nodes;"
    "before, count = time.process_time(), len(sys.modules);"
    "spec = importlib.util.spec_from_file_location('unison_pack', {init!r}, submodule_search_locations=[{root!r}]);"
    "pack = importlib.util.module_from_spec(spec); sys.modules['unison_pack'] = pack; spec.loader.exec_module(pack);"
    "nodes = asyncio.run(asyncio.run(pack.comfy_entrypoint()).get_node_list()); [node.GET_SCHEMA() for node in nodes];"
    "print(time.process_time() - before, len(sys.modules) - count)"
)


@dataclass
class Module:
    """One line of `-X importtime`: microseconds of its own and with all it asked for, which are `below`."""

    name: str
    own: int
    whole: int
    depth: int
    below: list[Module] = field(default_factory=list)

    @property
    def library(self) -> str:
        return "ours" if self.name.startswith("unison") else self.name.partition(".")[0]


def parsed(text: str) -> list[Module]:
    """The modules that were imported first, with what each asked for. Python writes a module after those."""
    waiting: list[Module] = []
    for match in filter(None, map(LINE.match, text.splitlines())):
        module = Module(match[4], int(match[1]), int(match[2]), len(match[3]))
        while waiting and waiting[-1].depth > module.depth:
            module.below.insert(0, waiting.pop())
        waiting.append(module)
    return waiting


def flat(modules: list[Module]) -> list[Module]:
    """All of them."""
    return [inner for module in modules for inner in (module, *flat(module.below))]


def by_library(modules: list[Module]) -> dict[str, str]:
    """The largest shares, with the number of modules; Python's own are one."""
    own: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for module in flat(modules):
        name = "Python" if module.library in STDLIB else module.library
        own[name] += module.own
        count[name] += 1
    total = sum(own.values())
    return {name: f"{time / total:.1%} of {count[name]} modules" for name, time in own.most_common(MOST)}


def by_asker(modules: list[Module]) -> dict[str, str]:
    """Where one library first asked for another, and the share of all time that this brought."""
    total = sum(module.whole for module in modules)
    seen: Counter[str] = Counter()

    def walk(module: Module, asker: str) -> None:
        if asker.partition(".")[0] != module.name.partition(".")[0] and module.library not in STDLIB:
            seen[f"{module.name} for {asker or 'the command'}"] += module.whole
        for inner in module.below:
            walk(inner, module.name)

    for module in modules:
        walk(module, "")
    return {name: f"{time / total:.1%}" for name, time in seen.most_common(MOST)}


def command(what: str, folder: str) -> list[str]:
    """A process of the command line."""
    more = ["--out", f"{folder}/a.png", "--steps", "1", "--quiet", "--device", "cpu"] if what == "run" else []
    return ["-m", "unison_backend.cli", what, WORDS, *more]


def cpu_seconds(arguments: list[str], checkout: Path) -> float:
    """Of a whole process of this interpreter."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=checkout, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def start(what: str, rounds: int, other: Path | None) -> dict[str, Any]:
    """Seconds, and shares by library, of a command."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = command(what, folder)
        places = {"now": ROOT} | ({"before": other.resolve()} if other else {})
        for place in places.values():
            cpu_seconds(arguments, place)  # writes what Python keeps compiled
        runs = [{name: cpu_seconds(arguments, place) for name, place in places.items()} for _ in range(rounds)]
        seconds = {name: round(statistics.median(run[name] for run in runs), 2) for name in places}
        timed = subprocess.run(
            [sys.executable, "-X", "importtime", *arguments], cwd=ROOT, check=True, capture_output=True, text=True
        )
    modules = parsed(timed.stderr)
    figures = {"cpu_seconds": seconds, "modules": len(flat(modules))}
    if other:
        figures["now / before"] = round(seconds["now"] / seconds["before"], 3)
    return figures | {"share": by_library(modules), "asked for by": by_asker(modules)}


def in_host(rounds: int) -> dict[str, Any]:
    """What the pack adds to a host that has imported its own nodes."""
    host, python = os.environ["COMFYUI_PATH"], os.environ.get("COMFYUI_PYTHON", sys.executable)
    code = PACK.format(host=host, init=str(ROOT / "__init__.py"), root=str(ROOT))
    made = []
    for _ in range(rounds):
        run = subprocess.run([python, "-c", code], cwd=host, check=True, capture_output=True, text=True)
        made.append(run.stdout.split()[-2:])
    return {"cpu_seconds": statistics.median(float(one[0]) for one in made), "modules": int(made[-1][1])}


def main() -> None:
    """Run everything and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path, metavar="FOLDER")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    figures: dict[str, Any] = {
        f"unison {what}": start(what, options.rounds, options.against) for what in ("plan", "run")
    }
    if "COMFYUI_PATH" in os.environ:
        figures["the node pack in ComfyUI"] = in_host(options.rounds)
    report(figures | {"machine": machine()}, options.json)


if __name__ == "__main__":
    main()
