"""What the VAE's precision and tiles cost and change: seconds, memory, and how far pixels are from fp32 as a whole.

Usage: OMP_NUM_THREADS=1 python3 -m uv run python benchmarks/vae.py [--size 272] [--half-sizes 64 32] [--frames 1]

Two models: the embedded one on one of its own pictures scaled up, and one of Wan's full size with random weights on the
same picture. Each cell encodes the picture and decodes the latents that fp32 made of it as a whole, in a child process
of its own, all in turns; its memory is what the process held at most over what it held before. Tiles are compared at
--size, 16 bits at --half-sizes, the embedded model's and that of Wan's size: most CPUs spell those out.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from diffusers import AutoencoderKLWan

from benchmarks.core import machine
from unison_backend.engine.coder import DTYPES, Coder
from unison_backend.engine.vace_context import to_unit

CPU = torch.device("cpu")
TILED = [("fp32", False), ("fp32", True)]
HALF = [("fp32", False), ("bf16", False), ("fp16", False)]


def embedded(dtype: torch.dtype) -> Any:
    """The VAE of the embedded set."""
    from unison_backend.demo.set import shipped
    from unison_backend.weights.wan import load_vae

    return load_vae(shipped().vae, dtype=dtype)


def full_size(dtype: torch.dtype) -> Any:
    """Wan's sizes, random weights that keep the spread of what goes through."""
    torch.manual_seed(0)
    vae = AutoencoderKLWan().eval().requires_grad_(False)
    for parameter in vae.parameters():
        if parameter.dim() > 1:
            torch.nn.init.kaiming_normal_(parameter, nonlinearity="linear")
    return vae.to(dtype)


def picture(size: int, frames: int) -> torch.Tensor:
    """A sample picture of the repository, [1, 3, T, size, size] in -1..1, which moves by a pixel a frame."""
    from PIL import Image

    file = min((Path(__file__).resolve().parents[1] / "unison_backend" / "demo" / "samples").rglob("*.png"))
    drawn = Image.open(file).convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
    values = torch.frombuffer(bytearray(drawn.tobytes()), dtype=torch.uint8).view(size, size, 3).permute(2, 0, 1)
    return torch.stack([values.roll(step, 2) for step in range(frames)], 1)[None] / 127.5 - 1


def apart(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `work` gives in a child process, with its CPU seconds and its peak memory in MB over what was there."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        before = resident()
        made = work()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        os.write(writer, json.dumps(made | {"peak_mb": round(peak - before)}).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    made: dict[str, Any] = json.loads(text)
    return made


def resident() -> float:
    """MB in memory now. A child's ru_maxrss begins with what its parent shares with it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def timed(work: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, float]:
    """What it gives, and its CPU seconds."""
    start = resource.getrusage(resource.RUSAGE_SELF)
    made = work()
    end = resource.getrusage(resource.RUSAGE_SELF)
    return made, end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime


def compared(
    make: Callable[[torch.dtype], Any], clip: torch.Tensor, ways: list[tuple[str, bool]]
) -> dict[str, dict[str, Any]]:
    """Each way against fp32 as a whole."""
    plain = Coder(make(torch.float32), CPU, tiled=False)
    latents = plain.encode(clip)
    decoded = to_unit(plain.decode(latents))
    del plain
    rows: dict[str, dict[str, Any]] = {}
    for name, tiled in ways:
        coder = Coder(make(DTYPES[name]), CPU, tiled=tiled)

        def work(coder: Coder = coder) -> dict[str, Any]:
            again, encoding = timed(lambda: coder.encode(clip))
            frames, decoding = timed(lambda: to_unit(coder.decode(latents)))
            off, apart = (frames - decoded).abs() * 255, (again - latents).abs()
            return {
                "encode_cpu_s": round(encoding, 2),
                "decode_cpu_s": round(decoding, 2),
                "decoded_max": round(float(off.max()), 2),
                "decoded_mean": round(float(off.mean()), 3),
                "latents_max": round(float(apart.max()), 4),
                "latents_mean": round(float(apart.mean()), 5),
            }

        way = f"{name} {'tiles' if tiled else 'whole'}"
        rows[way] = apart(work)
        sys.stderr.write(f"{way}: {rows[way]}\n")
    rows["spread of pixels, of 255, and of latents"] = {
        "pixels": round(255 * float(decoded.std()), 1), "latents": round(float(latents.std()), 3)
    }  # fmt: skip
    return rows


def main() -> None:
    """Run everything and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=272)
    parser.add_argument("--half-sizes", type=int, nargs=2, default=(64, 32))
    parser.add_argument("--frames", type=int, default=1)
    options = parser.parse_args()
    figures: dict[str, Any] = {"machine": machine(), "frames": options.frames}
    models = ("embedded", embedded), ("full_size_random", full_size)
    for (model, make), half_size in zip(models, options.half_sizes, strict=True):
        for size, ways in ((options.size, TILED), (half_size, HALF)):
            figures[f"{model} {size}x{size}"] = compared(make, picture(size, options.frames), ways)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
