"""What `unison train demo` costs: CPU hours of each stage, from two short runs of the whole command.

Usage: python3 -m uv run python benchmarks/demo_training.py [--shares 0.004 0.012] [--device cpu] [--count]

Each run does every stage from nothing with that share of its steps and examples. What does not grow with the share is
fixed (tokenizers, loading), what grows is scaled up to the whole. Seconds are CPU seconds on a CPU (one thread), and
seconds by the clock on a GPU. --count also counts operations and floating point operations, and *computes* from them
what a GPU would take: nothing is measured there.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from unison_backend.training.demo.stages import STAGES, train

LAUNCH = 6e-6  # seconds to start an operation on a GPU, of which small models take nothing but
RATE = 50e12  # floating point operations a second that kernels this small reach there in bfloat16, at most
COMPILED = 0.4  # share of operations that are left where torch.compile joins them


class Operations(TorchDispatchMode):
    """Counts what is computed, views apart."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


def one_run(folder: Path, share: float, device: str, count: bool) -> dict[str, dict[str, float]]:
    """Figures of each stage at a share."""
    clock: Callable[[], float] = time.process_time if device == "cpu" else time.monotonic
    found = {}
    for stage in STAGES:
        operations, flops = Operations(), FlopCounterMode(display=False)
        began = clock()
        with contextlib.ExitStack() as stack:
            if count:
                stack.enter_context(flops)
                stack.enter_context(operations)
            train(folder, share=share, only=stage, device=device)
        found[stage] = {"seconds": clock() - began}
        if count:
            found[stage] |= {"operations": float(operations.count), "flops": float(flops.get_total_flops())}
        sys.stderr.write(f"{share:g} {stage}: {found[stage]['seconds']:.1f} s\n")
    return found


def whole(small: dict[str, float], large: dict[str, float], shares: tuple[float, float]) -> dict[str, float]:
    """Each figure at a share of 1."""
    made = {}
    for name in small:
        slope = max(0.0, (large[name] - small[name]) / (shares[1] - shares[0]))
        made[name] = large[name] + slope * (1 - shares[1])
    return made


def computed_gpu(figures: dict[str, float], left: float = 1.0) -> float:
    """Seconds on a GPU, computed. left: share of the operations that are started."""
    return max(figures["operations"] * left * LAUNCH, figures["flops"] / RATE)


def told(stage: str, figures: dict[str, float]) -> str:
    """A line of the table."""
    line = f"{stage:10} {figures['seconds'] / 3600:6.2f} h"
    if "operations" not in figures:
        return line
    eager, compiled = computed_gpu(figures) / 60, computed_gpu(figures, COMPILED) / 60
    line += f"   {figures['operations'] / 1e6:8.1f} M operations {figures['flops'] / 1e15:8.2f} PF"
    return f"{line}   GPU, computed: {eager:5.1f} min, compiled {compiled:5.1f}"


def main() -> int:
    """Measure, print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shares", type=float, nargs=2, default=(0.004, 0.012))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--count", action="store_true", help="also count operations (slower; the seconds are off then)")
    options = parser.parse_args()
    shares = min(options.shares), max(options.shares)
    torch.set_num_threads(1)
    runs = []
    for share in shares:
        with tempfile.TemporaryDirectory() as folder:
            runs.append(one_run(Path(folder), share, options.device, options.count))
    table = {stage: whole(runs[0][stage], runs[1][stage], shares) for stage in STAGES}
    lines = [told(stage, figures) for stage, figures in table.items()]
    lines.append(f"{'together':10} {sum(one['seconds'] for one in table.values()) / 3600:6.2f} h")
    lines.append(json.dumps({"torch": torch.__version__, "device": options.device, "shares": shares, "whole": table}))
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
