"""What many samples take on disk, and how long encoding and training them take at rates that were measured.

Usage: python3 -m uv run python benchmarks/training_disk.py [--samples 500000] [--videos 0.5] [--encode S] [--step S]
           [--processes 8]

Sizes are those of files and tensors of the real models' shapes: a sample as `train projector` writes it (832x480, a
picture and a video of 81 frames), and a planning LoRA's state for Qwen2.5-VL-3B by its parameters. --videos: their
share. --encode, --step: seconds a sample and process; `benchmarks/training.py` measures steps, a short `train
projector` encoding. Without them only sizes are told.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from training import FEATURE_ROWS, FULL, TEXT_ROWS

from unison_backend.training.planning_lora import LoraSettings
from unison_backend.training.projector_data import Sample, save_sample

WIDTH, INNER, LAYERS, VALUES, VOCABULARY = 2048, 11008, 36, 256, 151936
"""Qwen2.5-VL-3B's published configuration: of a hidden state, of the MLP, of keys and values."""
MOMENTS = 2  # that AdamW keeps of each value


def sample_bytes(shape: tuple[int, int, int]) -> int:
    """Of a sample's file."""
    sample = Sample(
        torch.zeros(16, *shape), torch.zeros(96, *shape), torch.zeros(TEXT_ROWS, 4096), torch.zeros(FEATURE_ROWS, WIDTH)
    )
    with tempfile.TemporaryDirectory() as folder:
        save_sample(sample, Path(folder) / "sample.safetensors")
        return (Path(folder) / "sample.safetensors").stat().st_size


def planner_values(rank: int) -> dict[str, int]:
    """How many values a planning LoRA trains: its layers, and embedding and head."""
    sides = [(WIDTH, WIDTH), (WIDTH, VALUES), (WIDTH, VALUES), (WIDTH, WIDTH)]  # q, k, v, o
    sides += [(WIDTH, INNER), (WIDTH, INNER), (INNER, WIDTH)]  # gate, up, down
    return {"layers": LAYERS * rank * sum(map(sum, sides)), "embedding and head": 2 * VOCABULARY * WIDTH}


def figures(options: argparse.Namespace) -> dict[str, Any]:
    """All that is asked for."""
    sizes = {name: sample_bytes(shape) for name, shape in FULL.items()}
    videos = round(options.samples * options.videos)
    total = videos * sizes["video"] + (options.samples - videos) * sizes["picture"]
    values = sum(planner_values(LoraSettings().rank).values())
    found: dict[str, Any] = {
        "samples": options.samples,
        "of them videos": videos,
        "MB a picture": round(sizes["picture"] / 1e6, 2),
        "MB a video": round(sizes["video"] / 1e6, 2),
        "TB in all": round(total / 1e12, 2),
        "planner's state, GB": round(values * 4 * (1 + MOMENTS) / 1e9, 1),
        "with an average, GB": round(values * 4 * (2 + MOMENTS) / 1e9, 1),
        "planner's adapter, GB": round(values * 4 / 1e9, 1),
    }
    for name in ("encode", "step"):
        if seconds := getattr(options, name):
            found[f"hours to {name} on {options.processes}"] = round(
                options.samples * seconds / options.processes / 3600, 1
            )
    return found


def main() -> None:
    """Compute and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=500_000)
    parser.add_argument("--videos", type=float, default=0.5, help="share of the samples")
    parser.add_argument("--encode", type=float, default=0.0, help="seconds to encode a sample, measured")
    parser.add_argument("--step", type=float, default=0.0, help="seconds to train on a sample, measured")
    parser.add_argument("--processes", type=int, default=1)
    sys.stdout.write(json.dumps(figures(parser.parse_args()), indent=2) + "\n")


if __name__ == "__main__":
    main()
