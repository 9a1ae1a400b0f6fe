"""How well a long video's segments hold together: the seams, with the embedded models, on the CPU.

Usage: python3 -m uv run python benchmarks/seams.py [--kinds edit control] [--frames 13] [--seeds 4] [--steps 4]
       [--segment 9] [--overlap 5] [--host] [--json FILE]

For each kind and seed: the largest difference of neighbouring frames where two segments meet (from the last frame
before those that they share to the first one behind them), over the median difference of all neighbouring frames.
Beside it stands the largest difference anywhere else, over the same median. --host samples the same sources with the
same seeds in ComfyUI (COMFYUI_PATH, COMFYUI_PYTHON): ours, and at once with its own Wan Context Windows of the same
length and overlap. Nothing here is a test: no figure can fail it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
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

ROOT = Path(__file__).resolve().parents[1]
INSIDE = ROOT / "benchmarks" / "seams_inside.py"
OURS = "command line"


def steps_of(frames: Tensor, segments: tuple[Segment, ...]) -> tuple[float, float]:
    """Of `frames` [T, H, W, 3]: the largest step where segments meet, and anywhere else, over the median of all."""
    steps = (frames[1:] - frames[:-1]).abs().mean((1, 2, 3))
    is_seam = torch.zeros(len(steps), dtype=torch.bool)
    for before, after in pairwise(segments):
        is_seam[after.start - 1 : before.stop] = True
    seam, other = steps[is_seam].max() / steps.median(), steps[~is_seam].max() / steps.median()
    return float(seam), float(other)


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


def in_host(maker: Maker, kinds: list[str], frames: int, seeds: int, how: Segmenting) -> dict[str, Any]:
    """Frames by maker, kind and seed from the host's own process, and its version."""
    sys.path.insert(0, str(ROOT / "tests" / "host"))
    from comfy_host import run_inside
    from host_install import HostError, find_host
    from safetensors.torch import load_file, save_file

    install = find_host()
    if isinstance(install, str):
        raise HostError(install)
    with tempfile.TemporaryDirectory(prefix="seams-") as folder:
        base, given = Path(folder), {}
        for kind in kinds:
            for seed in range(seeds):
                one = case(kind, seed, frames)
                key = f"{kind}/{seed}"
                given |= {f"{key}/video": one.sources.video.contiguous(), f"{key}/mask": one.sources.mask.contiguous()}
                given |= {f"{key}/reference": picture for picture in one.sources.references}
                given[f"{key}/text"] = maker.text(one.instruction)
        given["negative"] = maker.text(negative_prompt())
        save_file(given, base / "cases.safetensors")
        settings = {
            "steps": maker.settings.steps,
            "cfg": maker.settings.cfg,
            "frames": how.frames,
            "overlap": how.overlap,
        }
        run_inside(install, str(INSIDE), str(base), kinds, seeds, settings, base=base, timeout=3600)
        return {"version": install.version, "frames": load_file(base / "made.safetensors")}


def figures_of(found: list[tuple[float, float]]) -> dict[str, Any]:
    """What is told of one row."""
    seams, others = [one for one, _ in found], [other for _, other in found]
    return {
        "median": statistics.median(seams),
        "worst": max(seams),
        "elsewhere": statistics.median(others),
        "each": [[round(one, 3) for one in pair] for pair in found],
    }


def table(figures: dict[str, dict[str, Any]]) -> str:
    """The figures for a person."""
    lines = ["| kind | made by | seam, median | seam, worst | elsewhere, median |", "|---|---|---|---|---|"]
    lines += [
        f"| {kind} | {name} | {one['median']:.2f} | {one['worst']:.2f} | {one['elsewhere']:.2f} |"
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
    parser.add_argument("--host", action="store_true", help="in ComfyUI too")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    how = Segmenting(options.segment, options.overlap)
    segments = segments_of(options.frames, how)
    maker = Maker(SamplingSettings(steps=options.steps, cfg=demo.CFG))
    hosted = in_host(maker, options.kinds, options.frames, options.seeds, how) if options.host else {"frames": {}}
    figures: dict[str, dict[str, Any]] = {}
    for kind in options.kinds:
        found: dict[str, list[tuple[float, float]]] = {OURS: []}
        for seed in range(options.seeds):
            one = case(kind, seed, options.frames)
            found[OURS].append(steps_of(maker.make(one, seed, segments), segments))
            for key, frames in hosted["frames"].items():
                name, *of = key.split("/")
                if of == [kind, str(seed)]:
                    found.setdefault(name, []).append(steps_of(finished(frames, one), segments))
        figures[kind] = {name: figures_of(seams) for name, seams in found.items()}
    made = {"job": {key: value for key, value in vars(options).items() if key != "json"}, "figures": figures}
    report(made | {"machine": machine() | {"comfyui": hosted.get("version")}}, options.json)
    sys.stdout.write(f"\n{table(figures)}\n")


if __name__ == "__main__":
    main()
