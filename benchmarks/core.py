"""What the core costs: planning by rules, starting up, one whole run of the embedded models with time by stage.

Usage: python3 -m uv run python benchmarks/core.py [--json FILE]

Every figure is a median of several repetitions in this one process or of fresh processes; a ratio compares two
things of the same run. Nothing here is a test: no figure can fail it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SENTENCES = ROOT / "tests" / "unit" / "planner" / "rules" / "sentences"
VIDEO_JOB = (
    "Please create a video with a width of 128 pixels and a height of 96 pixels, that is 1 seconds long, "
    "of a lion walking around in its habitat."
)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import torch

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        **{name: version(name) for name in ("torch", "transformers", "diffusers")},
    }


def planning(rounds: int = 5) -> dict[str, float]:
    """Milliseconds an instruction over the test sentences, after the languages are loaded, and the loading itself."""
    from unison_backend.plan.prompt import parse_pads
    from unison_backend.planner.rules.plan import plan

    lines = [line for file in sorted(SENTENCES.rglob("*.jsonl")) for line in file.read_text("utf-8").splitlines()]
    prompts = [parse_pads(json.loads(line)["prompt"]) for line in lines]
    start = perf_counter()
    for prompt in (prompts[0], prompts[-1]):
        plan(prompt)
    loading = perf_counter() - start
    times = sorted(_timed(plan, prompt) for _ in range(rounds) for prompt in prompts)
    return {
        "sentences": len(prompts),
        "median_ms": 1000 * statistics.median(times),
        "p99_ms": 1000 * times[int(0.99 * len(times))],
        "instructions_per_second": len(times) / sum(times),
        "first_use_of_both_languages_ms": 1000 * loading,
    }


def _timed(function: Any, argument: Any) -> float:
    start = perf_counter()
    function(argument)
    return perf_counter() - start


def start_up(rounds: int = 7) -> dict[str, float]:
    """Seconds of a fresh process: the bare interpreter, the package's import, a whole `unison plan`."""
    commands = {
        "python": [sys.executable, "-c", "pass"],
        "import unison_backend, unison_backend.cli": [
            sys.executable,
            "-c",
            "import unison_backend, unison_backend.cli",
        ],
        "unison plan": [sys.executable, "-m", "unison_backend.cli", "plan", VIDEO_JOB],
    }
    return {name: statistics.median(_process(command) for _ in range(rounds)) for name, command in commands.items()}


def _process(command: list[str]) -> float:
    start = perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return perf_counter() - start


def whole_run() -> dict[str, float]:
    """Seconds by stage of the README's main job; `imports` is what the first use of the libraries adds."""
    from unison_backend.pipeline.planning import make_plan
    from unison_backend.pipeline.run import run
    from unison_backend.pipeline.runnable import check_runnable
    from unison_backend.plan.prompt import parse_paths

    seconds: dict[str, float] = {}
    start = perf_counter()
    planned = make_plan(parse_paths(VIDEO_JOB))
    seconds["plan"] = perf_counter() - start
    start = perf_counter()
    import diffusers  # noqa: F401
    import torch  # noqa: F401
    import transformers  # noqa: F401

    from unison_backend.demo.fallback import demo_models
    from unison_backend.engine.settings import SamplingSettings

    seconds["imports"] = perf_counter() - start
    start = perf_counter()
    models = demo_models()
    seconds["demo models (built on first use)"] = perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        out = check_runnable(planned, Path(folder) / "lion.mp4")
        made = run(planned, out, models, SamplingSettings())
    return seconds | made.seconds


def report(figures: dict[str, Any], file: Path | None) -> None:
    """Write figures as JSON to standard output, and to a file where one is named."""
    text = json.dumps(figures, indent=2) + "\n"
    sys.stdout.write(text)
    if file is not None:
        file.write_text(text, encoding="utf-8")


def main() -> None:
    """Run everything and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    figures = {"start_up_s": start_up(), "planning": planning(), "whole_run_s": whole_run(), "machine": machine()}
    report(figures, options.json)


if __name__ == "__main__":
    main()
