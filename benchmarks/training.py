"""What the two recipes cost: seconds a step, samples a second, peak memory, and from that a plan for many samples.

Usage: python3 -m uv run python benchmarks/training.py [--full-size] [--steps 40] [--samples 500000] [--price 2.5]

--full-size: Qwen2.5-VL-3B's and Wan2.1-VACE-1.3B's own configurations with random weights (meant for a GPU; a video is
832x480 with 81 frames). Default is the embedded models at 64x64 and 9 frames. --price: of one device hour.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from planner import full_size, memory

from unison_backend.conditioning.projector import Projector
from unison_backend.demo import set as demo
from unison_backend.training import planning_lora as planner
from unison_backend.training import projector
from unison_backend.training.log import LOG_EVERY, LOG_FILE
from unison_backend.training.planning_data import draw
from unison_backend.weights.wan import load_transformer

# Wan2.1-VACE-1.3B's published configuration.
VACE = {
    "num_attention_heads": 12, "attention_head_dim": 128, "ffn_dim": 8960, "num_layers": 30, "text_dim": 4096,
    "vace_layers": [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28], "vace_in_channels": 96,
}  # fmt: skip
FULL = {"picture": (1, 60, 104), "video": (21, 60, 104)}  # latents of 832x480; of 81 frames
SMALL = {"picture": (1, 8, 8), "video": (3, 8, 8)}
TEXT_ROWS, FEATURE_ROWS = 64, 56


def planning(folder: Path, work: Path, options: argparse.Namespace) -> dict[str, float]:
    """The planning LoRA on `folder`, with the settings that it has by default."""
    settings = planner.LoraSettings(gradient_checkpointing=options.full_size)
    pairs = [(record.prompt, record.tokens) for record in draw(240, seed=0)]
    schedule = replace(planner.SCHEDULE, steps=options.steps, warmup=1)
    dtype = "bf16" if options.full_size else "fp32"
    return timed(
        lambda: planner.train(folder, pairs, work, schedule, settings, dtype=dtype), work, settings.batch, options
    )


def projecting(
    transformer: Any, shape: tuple[int, int, int], width: int, work: Path, options: argparse.Namespace
) -> dict[str, float]:
    """The projector over a frozen transformer on one random sample of that latent shape."""
    generator = torch.Generator().manual_seed(0)
    sample = projector.Sample(
        torch.randn(16, *shape, generator=generator),
        torch.randn(96, *shape, generator=generator),
        torch.randn(TEXT_ROWS, 4096, generator=generator),
        torch.randn(FEATURE_ROWS, width, generator=generator),
    )
    work.mkdir()
    projector.save_sample(sample, work / "sample.safetensors")
    network = Projector(width, 2048 if options.full_size else 128)
    projector.start_silent(network)
    precision = "bf16" if torch.cuda.is_available() else "no"
    schedule = replace(projector.SCHEDULE, steps=options.steps, warmup=1)
    return timed(
        lambda: projector.train(
            network, transformer, [work / "sample.safetensors"], work, schedule, mixed_precision=precision
        ),
        work,
        1,
        options,
    )


def timed(job: Callable[[], object], work: Path, batch: int, options: argparse.Namespace) -> dict[str, float]:
    """Figures of a training: from its own log, without the first steps."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    job()
    lines = [json.loads(line) for line in (work / LOG_FILE).read_text(encoding="utf-8").splitlines()]
    seconds = min(line["seconds_per_step"] for line in lines[1:])
    hours = options.samples / batch * seconds / 3600
    figures = {"seconds_a_step": seconds, "samples_a_second": batch / seconds, "hours": hours}
    if options.price:
        figures["cost"] = hours * options.price
    return figures | memory(torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def wan(full: bool) -> Any:
    """The frozen transformer: the embedded one, or VACE's configuration with random weights in bfloat16."""
    if not full:
        return load_transformer(demo.ensure().vace, dtype=torch.float32)
    from diffusers import WanVACETransformer3DModel

    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.device(device):
        return WanVACETransformer3DModel(**VACE).to(torch.bfloat16)


def main() -> None:
    """Measure and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full-size", action="store_true", help="the real configurations with random weights")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--samples", type=int, default=500_000, help="how many the plan is for")
    parser.add_argument("--price", type=float, default=0.0, help="of one device hour, in any currency")
    parser.add_argument("--only", choices=("planner", "projector"))
    options = parser.parse_args()
    if options.steps < 2 * LOG_EVERY:
        parser.error(f"--steps has to be at least {2 * LOG_EVERY}: the first {LOG_EVERY} warm up")
    figures: dict[str, Any] = {"samples": options.samples, "torch": torch.__version__}
    figures["device"] = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as temporary:
        work, folder = Path(temporary), demo.ensure().planner
        if options.full_size and options.only != "projector":
            folder = work / "qwen"
            full_size(folder, torch.bfloat16)
        if options.only != "projector":
            figures["planner"] = planning(folder, work / "planner", options)
        if options.only != "planner":
            width, shapes = (2048, FULL) if options.full_size else (demo_width(), SMALL)
            transformer = wan(options.full_size)
            for name, shape in shapes.items():
                figures[f"projector, {name}"] = projecting(transformer, shape, width, work / name, options)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


def demo_width() -> int:
    """Of the embedded planner's states."""
    config = json.loads((demo.ensure().planner / "config.json").read_text(encoding="utf-8"))
    return int(config["hidden_size"])


if __name__ == "__main__":
    main()
