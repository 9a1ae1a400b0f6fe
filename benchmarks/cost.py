"""What a list will take and cost: computed from a rate that somebody measured and a price that you give.

Usage: python3 -m uv run python benchmarks/cost.py --price 2.50 [--gpus 8] [--tflops 118 | --picture-s S --video-s S]
    [--start-s 60] [--pictures 10000] [--videos 1000]

Nothing is measured here. --picture-s and --video-s are seconds of one result on one GPU, of your own: the sums of
`benchmarks/engine.py --full-size --device cuda`, say. Without them they are computed from counted work and --tflops,
what a GPU keeps up: by default that of Wan's own page, a 5-second 480p video of T2V-1.3B in about 4 minutes on an RTX
4090. Work is counted on meta tensors at 832x480 (docs/performance.md): Wan2.1-VACE-1.3B, 50 steps, both sides of
guidance, a still and 81 frames. --start-s is a worker's time until it can begin: by default 15 s of libraries, which
`benchmarks/batch.py` measured, and 23 GB of weights from a disk of 0.5 GB/s, which is assumed.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass

FORWARDS = 50 * 2
# TFLOP of one forward, and of VAE encoding and decoding, for a still and for 81 frames.
PICTURE_FORWARD, VIDEO_FORWARD = 6.70, 422.8
PICTURE_VAE, VIDEO_VAE = 2.72 + 4.35, 163.7 + 275.4
# Of a VACE forward without its VACE blocks, which are 34 % of it: text to video alone, as Wan's page has it.
PLAIN_SHARE = 0.66
WAN_SECONDS = 240.0
RTX_4090_TFLOPS = VIDEO_FORWARD * PLAIN_SHARE * FORWARDS / WAN_SECONDS
START_SECONDS = 60.0


@dataclass(frozen=True)
class Rates:
    """Seconds of one picture, one video, and of a worker's start, on one GPU."""

    picture: float
    video: float
    start: float = START_SECONDS

    @classmethod
    def of(cls, tflops: float, start: float = START_SECONDS) -> Rates:
        """From the TFLOP/s that a GPU keeps up."""
        work = (PICTURE_FORWARD * FORWARDS + PICTURE_VAE, VIDEO_FORWARD * FORWARDS + VIDEO_VAE)
        return cls(work[0] / tflops, work[1] / tflops, start)


@dataclass(frozen=True)
class Cost:
    """hours: until the last one is there; gpu_hours: of all GPUs, which are paid until then; price: in your money."""

    hours: float
    gpu_hours: float
    price: float


def resident(count: int, seconds: float, start: float, gpus: int, price: float) -> Cost:
    """Workers that stay, by `--ray`, a batch for each GPU, or ComfyUI servers. price: of a GPU and hour."""
    return _cost(start + math.ceil(count / gpus) * seconds, gpus, price)


def process_a_line(count: int, seconds: float, start: float, gpus: int, price: float) -> Cost:
    """`unison run` for each line, each with its start."""
    return _cost(math.ceil(count / gpus) * (start + seconds), gpus, price)


def _cost(seconds: float, gpus: int, price: float) -> Cost:
    hours = seconds / 3600
    return Cost(hours, hours * gpus, hours * gpus * price)


def table(rates: Rates, pictures: int, videos: int, gpus: int, price: float) -> str:
    """A row for each way, as Markdown."""
    lines = [
        f"| | {pictures:,} pictures: h, GPU-h, cost | {videos:,} videos: h, GPU-h, cost |",
        "|---|---|---|",
    ]
    ways = {"`unison run` a line, 1 GPU": (process_a_line, 1), "`unison batch`, 1 GPU": (resident, 1)}
    if gpus > 1:
        ways[f"resident workers, {gpus} GPUs"] = (resident, gpus)
    for name, (way, used) in ways.items():
        cells = []
        for count, seconds in ((pictures, rates.picture), (videos, rates.video)):
            cost = way(count, seconds, rates.start, used, price)
            cells.append(f"{cost.hours:,.1f}, {cost.gpu_hours:,.1f}, {cost.price:,.2f}")
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def main() -> None:
    """Compute and print, with what it was computed from."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--price", type=float, required=True, help="of one GPU and hour, in your money")
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument("--tflops", type=float, default=RTX_4090_TFLOPS, help="that one GPU keeps up")
    parser.add_argument("--picture-s", type=float, help="seconds of a picture, in place of --tflops")
    parser.add_argument("--video-s", type=float, help="seconds of a video, in place of --tflops")
    parser.add_argument("--start-s", type=float, default=START_SECONDS, help="seconds of a worker's start")
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--videos", type=int, default=1_000)
    options = parser.parse_args()
    computed = Rates.of(options.tflops, options.start_s)
    rates = Rates(options.picture_s or computed.picture, options.video_s or computed.video, options.start_s)
    sys.stdout.write(
        f"computed, not measured: {rates.picture:.2f} s a picture, {rates.video:.1f} s a video, {rates.start:.0f} s a "
        f"start, {options.price} a GPU and hour\n\n"
        f"{table(rates, options.pictures, options.videos, options.gpus, options.price)}\n"
    )


if __name__ == "__main__":
    main()
