"""What `--cache easy:THRESHOLD` leaves out on the embedded models, and how far its pictures are from those without.

Usage: python3 -m uv run python benchmarks/cache.py [--steps 50] [THRESHOLD ...]

Stills of 64x64, each against the same seed without a cache, in one process.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from unison_backend.demo.fallback import demo_models
from unison_backend.demo.set import CFG
from unison_backend.engine.settings import EngineOptions, SamplingSettings
from unison_backend.pipeline.planning import make_plan
from unison_backend.pipeline.run import run
from unison_backend.plan.prompt import parse_paths

PROMPTS = (
    "Draw a red circle, 64x64.",
    "Draw a blue square on a green background, 64x64.",
    "Draw a yellow star, 64x64.",
)


def picture(prompt: str, threshold: float, steps: int, folder: Path) -> tuple[np.ndarray, str]:
    """The picture [H, W, 3] as floats 0..255, and the run's last notice: how many steps were computed."""
    settings, options = SamplingSettings(steps=steps, cfg=CFG), EngineOptions(cache=threshold)
    planned = make_plan(parse_paths(prompt))
    made = run(planned, folder / "a.png", demo_models(), settings, engine_options=options)
    return np.asarray(Image.open(made.path)).astype(float), made.notices[-1]


def main() -> None:
    """Print one line for each prompt and threshold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("thresholds", nargs="*", type=float, default=[0.02, 0.05, 0.1, 0.2])
    parser.add_argument("--steps", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for prompt in PROMPTS:
            whole, _ = picture(prompt, 0.0, options.steps, Path(name))
            for threshold in options.thresholds:
                made, notice = picture(prompt, threshold, options.steps, Path(name))
                error = float(((made - whole) ** 2).mean())
                decibels = 10 * math.log10(255**2 / error) if error else math.inf
                sys.stdout.write(f"{prompt} {threshold:g}: {decibels:.1f} dB; {notice}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
