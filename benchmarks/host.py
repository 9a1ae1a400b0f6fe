"""What a picture costs in ComfyUI: our graph against the native one, with the embedded models, on the CPU.

Usage: COMFYUI_PATH=... COMFYUI_PYTHON=... python3 -m uv run python benchmarks/host.py [--steps 50] [--frames 1]
       [--rounds 5] [--json FILE]

The native graph is ComfyUI's own (CLIPTextEncode, WanVaceToVideo, KSampler); ours plans, projects and prepares sources
in front of the same KSampler (uni_pc_bh2, simple), through Exact Padding. Beside them stand ours with all 2048 rows, as
without Exact Padding, and ours with UniPC Sampler. Whole graphs, from words to pictures, with the models
loaded; in turns in one process of the host, with the same number of forwards. FLOPs are counted with PyTorch's counter
over one run. Memory is what a run adds to the most that its process ever held, each in a process of its own. Nothing
here is a test: no figure can fail it.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

from core import report

ROOT = Path(__file__).resolve().parents[1]
INSIDE = ROOT / "benchmarks" / "host_inside.py"
NATIVE = "native"
NAMES = (NATIVE, "ours, all 2048 rows", "ours", "ours, UniPC Sampler")


def compare(frames: int, steps: int, rounds: int) -> dict[str, Any]:
    """Figures by contestant, each with its ratios to the native graph. Raises HostError without a host."""
    sys.path.insert(0, str(ROOT / "tests" / "host"))
    from comfy_host import run_inside
    from host_install import HostError, find_host

    install = find_host()
    if isinstance(install, str):
        raise HostError(install)
    with tempfile.TemporaryDirectory(prefix="host-benchmark-") as folder:
        base = Path(folder)

        def inside(mode: str, *names: str) -> Any:
            return run_inside(install, str(INSIDE), mode, list(names), frames, steps, rounds, base=base, timeout=3600)

        made = inside("time", *NAMES)
        for name, figures in made["figures"].items():
            figures |= inside("memory", name)
    native = made["figures"][NATIVE]
    for figures in made["figures"].values():
        for key in ("flops", "cpu_s", "peak_mb"):
            figures[f"{key}_ratio"] = round(figures[key] / native[key], 3)
        forwards = figures.pop("forwards")
        figures["forwards"] = {kind: forwards.count(kind) for kind in dict.fromkeys(forwards)}
    job = {"size": "64x64", "frames": frames, "steps": steps, "rounds": rounds}
    machine = {"system": f"{platform.system()} {platform.machine()}", "cpus": os.cpu_count(), "gpu": None}
    machine |= {"comfyui": install.version, **made["versions"]}
    return {"job": job, "figures": made["figures"], "machine": machine}


def table(figures: dict[str, dict[str, Any]]) -> str:
    """The figures for a person."""
    lines = ["| graph | forwards (batch x rows of text) | GFLOP | ratio | CPU s | ratio | memory MB | ratio |",
             "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, one in figures.items():
        forwards = ", ".join(f"{count} of {kind}" for kind, count in one["forwards"].items())
        lines.append(
            f"| {name} | {forwards} | {one['flops'] / 1e9:.1f} | {one['flops_ratio']:.2f} | {one['cpu_s']:.2f} "
            f"| {one['cpu_s_ratio']:.2f} | {one['peak_mb']:.0f} | {one['peak_mb_ratio']:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run everything and write a table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--frames", type=int, default=1, help="1, 5 or 9: what the embedded models know")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    made = compare(options.frames, options.steps, options.rounds)
    report(made, options.json)
    sys.stdout.write(f"\n{table(made['figures'])}\n")


if __name__ == "__main__":
    main()
