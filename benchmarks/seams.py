"""How well a long video's segments hold together: the seams, with the embedded models, on the CPU.

Usage: python3 -m uv run python benchmarks/seams.py [--kinds edit control] [--frames 13] [--seeds 4] [--steps 4]
       [--segment 9] [--overlap 5] [--json FILE]

For each kind and seed: the largest difference of neighbouring frames where two segments meet (from the last frame
before those that they share to the first one behind them), over the median difference of all neighbouring frames.
Nothing here is a test: no figure can fail it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from core import machine, report
from seam_cases import KINDS, Case, case
from torch import Tensor

from unison_backend.conditioning.text_context import negative_prompt, text_context
from unison_backend.conditioning.text_encoder import load_text_encoder
from unison_backend.demo import set as demo
from unison_backend.engine.engine import Engine
from unison_backend.engine.segments import generate
from unison_backend.engine.settings import SamplingSettings
from unison_backend.plan.segments import Segment, Segmenting, segments_of
from unison_backend.sources.composite import composite

OURS = "command line"


def seam(frames: Tensor, segments: tuple[Segment, ...]) -> float:
    """The largest step where one segment meets the next, over the median of all steps of `frames` [T, H, W, 3]."""
    steps = (frames[1:] - frames[:-1]).abs().mean((1, 2, 3))
    meeting = (steps[after.start - 1 : before.stop] for before, after in pairwise(segments))
    return float(torch.cat(list(meeting)).max() / steps.median())


class Maker:
    """The embedded models, and the texts that they read."""

    def __init__(self, settings: SamplingSettings) -> None:
        files, cpu = demo.shipped(), torch.device("cpu")
        self.settings = settings
        self.engine = Engine.load(files.vace, files.vae, cpu)
        self.encoder = load_text_encoder(files.text_encoder, dtype=torch.float32, device=cpu)

    def text(self, words: str) -> Tensor:
        """A context, [1, 2048, D]."""
        return text_context(self.encoder.encode(words).cpu())

    def make(self, one: Case, seed: int, segments: tuple[Segment, ...]) -> Tensor:
        """Frames [T, H, W, 3] as a run writes them."""
        settings = SamplingSettings(steps=self.settings.steps, cfg=self.settings.cfg, seed=seed)
        texts = self.text(one.instruction), self.text(negative_prompt())
        return finished(generate(self.engine, one.sources, *texts, settings, segments), one)


def finished(frames: Tensor, one: Case) -> Tensor:
    """With what an edit does not change put back."""
    return frames if one.source is None else composite(frames, one.source, one.sources.mask)


def figures_of(seams: list[float]) -> dict[str, Any]:
    """What is told of one row."""
    return {"median": statistics.median(seams), "worst": max(seams), "each": [round(one, 3) for one in seams]}


def table(figures: dict[str, dict[str, Any]]) -> str:
    """The figures for a person."""
    lines = ["| kind | made by | median | worst |", "|---|---|---|---|"]
    lines += [
        f"| {kind} | {name} | {one['median']:.2f} | {one['worst']:.2f} |"
        for kind, makers in figures.items()
        for name, one in makers.items()
    ]
    return "\n".join(lines)


def main() -> None:
    """Run everything and write a table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--frames", type=int, default=13, help="4k+1")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--segment", type=int, default=demo.FRAMES)
    parser.add_argument("--overlap", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    how = Segmenting(options.segment, options.overlap)
    segments = segments_of(options.frames, how)
    maker = Maker(SamplingSettings(steps=options.steps, cfg=demo.CFG))
    figures: dict[str, dict[str, Any]] = {}
    for kind in options.kinds:
        found: dict[str, list[float]] = {OURS: []}
        for seed in range(options.seeds):
            one = case(kind, seed, options.frames)
            found[OURS].append(seam(maker.make(one, seed, segments), segments))
        figures[kind] = {name: figures_of(seams) for name, seams in found.items()}
    made = {"job": {key: value for key, value in vars(options).items() if key != "json"}, "figures": figures}
    report(made | {"machine": machine()}, options.json)
    sys.stdout.write(f"\n{table(figures)}\n")


if __name__ == "__main__":
    main()
