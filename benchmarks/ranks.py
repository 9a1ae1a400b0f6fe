"""What each of several processes of one result computes: FLOPs of a step on meta tensors, and what it sends.

Usage: python3 -m uv run python benchmarks/ranks.py [--model 1.3b|14b] [--counts 1,2,4,8] [--json FILE]

The engine's own path with the published configuration at 832x480, a still and 81 frames. The
process group is PyTorch's fake one: collectives do nothing, so that one process counts for all. Nothing is run and
nothing is timed: what a GPU and its links make of it is not in these figures.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from core import machine, report
from diffusers import AutoencoderKLWan, WanVACETransformer3DModel
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from unison_backend.conditioning.text_context import text_context
from unison_backend.engine import ranks as engine_ranks
from unison_backend.engine.engine import Engine
from unison_backend.engine.ranks import Ranks
from unison_backend.engine.settings import SamplingSettings

# (heads, width of the feed-forward part, blocks, every how many a VACE block): the published configurations.
MODELS = {"1.3b": (12, 8960, 30, 2), "14b": (40, 13824, 40, 5)}
FRAMES = (1, 81)
WIDTH, HEIGHT = 832, 480


class Exchanged(TorchDispatchMode):
    """Inside, `bytes` is what collectives take from this process, counted as bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(name in str(function) for name in ("all_to_all_single", "allgather_")):
            self.bytes += sum(2 * tensor.numel() for tensor in _given(str(function), args))
        return function(*args, **(kwargs or {}))


def _given(name: str, args: Any) -> list[torch.Tensor]:
    """What a collective is given, not where its result goes."""
    given = args[1] if "allgather" in name else args[0]
    return torch.utils._pytree.tree_leaves(given)


@contextmanager
def processes(count: int) -> Iterator[Ranks]:
    """The first of `count` processes of which only this one is there."""
    dist.init_process_group("fake", rank=0, world_size=count, store=FakeStore())
    try:
        yield Ranks(0, count)
    finally:
        engine_ranks._mesh.cache_clear()
        dist.destroy_process_group()


def engine_of(model: str) -> Engine:
    """The shapes of a published model."""
    heads, width, blocks, every = MODELS[model]
    with torch.device("meta"):
        transformer = WanVACETransformer3DModel(
            num_attention_heads=heads, ffn_dim=width, num_layers=blocks, vace_layers=list(range(0, blocks, every))
        )
        vae = AutoencoderKLWan()
    return Engine(transformer.eval().requires_grad_(False), vae, torch.device("meta"))


def counted(engine: Engine, frames: int, count: int, cfg: float) -> dict[str, float]:
    """TFLOP and megabytes of one step of one process."""
    shape = (1, 16, (frames - 1) // 4 + 1, HEIGHT // 8, WIDTH // 8)
    zero = torch.zeros(1, 1, 1, 1, 1)
    texts = [text_context(torch.ones(61, 4096), torch.ones(1, 4, 4096), 2048) for _ in range(2)]
    with (
        processes(count) as engine.ranks,
        torch.no_grad(),
        FlopCounterMode(display=False) as flops,
        Exchanged() as sent,
    ):
        control = zero.expand(1, 96, *shape[2:])
        engine.sample(zero.expand(shape), control, *texts, SamplingSettings(steps=1, cfg=cfg))
    return {"tflop": round(flops.get_total_flops() / 1e12, 3), "exchanged_mb": round(sent.bytes / 2**20, 1)}


def main() -> None:
    """Count and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, default="1.3b")
    parser.add_argument("--counts", default="1,2,4,8")
    parser.add_argument("--cfg", type=float, default=5.0, help="1: one guidance side")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    figures: dict[str, Any] = {"machine": machine(), "model": options.model}
    figures["command"] = " ".join(["python", "benchmarks/ranks.py", *sys.argv[1:]])
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    engine = engine_of(options.model)
    figures["runs"] = [
        {"frames": frames, "gpus": count} | counted(engine, frames, count, options.cfg)
        for frames in FRAMES
        for count in map(int, options.counts.split(","))
    ]
    report(figures, options.json)


if __name__ == "__main__":
    main()
