"""What sampling costs: ours, ours as it was before (every zero row, one guidance side after the other), diffusers'.

Usage: python3 -m uv run python benchmarks/engine.py [--full-size] [--device cuda] [--json FILE]

Default is the embedded models: a still of 64x64 and 9 frames, 50 steps. --full-size: Wan2.1-VACE-1.3B's own
configuration with random weights, a still and 81 frames of 832x480 (meant for a GPU), with the planner's tokens a
second beside it. --blocks, --size and --frames make that small enough to try it on a CPU.

All that is compared runs in turns in this one process; ratios are those of medians. FLOPs and, without a GPU, memory
are counted on meta tensors for one step. Nothing here is a test: no figure can fail it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any
from unittest import mock

import torch
from core import machine, report
from counting import PeakBytes
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from unison_backend.conditioning.text_context import text_context
from unison_backend.demo import set as demo
from unison_backend.engine.engine import Engine, initial_noise
from unison_backend.engine.settings import SamplingSettings
from unison_backend.engine.vace_context import encode_context
from unison_backend.sources.prepare import Sources
from unison_backend.weights.wan import load_transformer, load_vae

OURS, WHOLE, BEFORE, THEIRS = "ours", "ours, 2048 rows", "ours, 2048 rows, sides apart", "diffusers, 512 rows"
TEXT_ROWS, NEGATIVE_ROWS, THEIR_ROWS = 61, 126, 512  # an instruction of two sentences; Wan's own negative prompt
# Wan2.1-VACE-1.3B's published configuration.
HEADS, FFN, BLOCKS = 12, 8960, 30


@dataclass(frozen=True)
class Job:
    """What is made: frames of a size, in so many steps."""

    frames: int
    width: int
    height: int
    steps: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (1, 16, (self.frames - 1) // 4 + 1, self.height // 8, self.width // 8)

    def sources(self) -> Sources:
        """A grey clip that is all made anew: text to picture or video."""
        return Sources(
            torch.full((self.frames, self.height, self.width, 3), 0.5),
            torch.ones(self.frames, self.height, self.width),
            (),
        )


def contexts(rows: int = 2048) -> tuple[Tensor, Tensor]:
    """Both sides' text, the positive one with projected tokens behind it."""
    generator = torch.Generator().manual_seed(5)
    drawn = [torch.randn(count, 4096, generator=generator) / 8 for count in (TEXT_ROWS, 4, NEGATIVE_ROWS)]
    return text_context(drawn[0], drawn[1][None], rows), text_context(drawn[2], None, rows)


@contextmanager
def set_up(engine: Engine, name: str) -> Iterator[None]:
    """The engine as the contestant `name` has it."""
    engine.collapse_padding = name == OURS
    apart = mock.patch("unison_backend.engine.room.free_bytes", lambda device: 0.0)
    try:
        with apart if name == BEFORE else nullcontext():
            yield
    finally:
        engine.collapse_padding = True


def sample(engine: Engine, job: Job, name: str) -> Tensor:
    """From sources to latents."""
    if name == THEIRS:
        return theirs(engine, job)
    settings = SamplingSettings(steps=job.steps, seed=1)
    with set_up(engine, name):
        context = encode_context(job.sources(), engine.encode)
        return engine.sample(initial_noise(job.shape, 1), context, *contexts(), settings)


def theirs(engine: Engine, job: Job) -> Tensor:
    """The same by diffusers' own pipeline and scheduler, with as many text rows as it takes itself."""
    from diffusers import WanVACEPipeline
    from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0, solver_type="bh2"
    )
    pipeline = WanVACEPipeline(
        tokenizer=None, text_encoder=None, vae=engine.vae, scheduler=scheduler, transformer=engine.transformer
    )
    pipeline.set_progress_bar_config(disable=True)
    sources, (positive, negative) = job.sources(), contexts(THEIR_ROWS)
    latents: Tensor = pipeline(
        video=sources.video.permute(0, 3, 1, 2)[None],
        mask=sources.mask[:, None].expand(-1, 3, -1, -1)[None],
        height=job.height,
        width=job.width,
        num_frames=job.frames,
        num_inference_steps=job.steps,
        prompt_embeds=positive.to(engine.device),
        negative_prompt_embeds=negative.to(engine.device),
        latents=initial_noise(job.shape, 1).to(engine.device),
        output_type="latent",
    ).frames
    return latents


def counted(engine: Engine, job: Job, name: str) -> dict[str, float]:
    """FLOPs of one step with both sides, and the most bytes of activations, on a meta engine."""

    zero, texts = torch.zeros(1, 1, 1, 1, 1), contexts(THEIR_ROWS if name == THEIRS else 2048)
    noise, control = zero.expand(job.shape), zero.expand(1, 96, *job.shape[2:])

    def step() -> None:
        if name == THEIRS:
            # What the pipeline does in a step: each side by itself.
            for text in texts:
                engine.transformer(
                    hidden_states=noise.to(engine.device, engine.dtype),
                    timestep=torch.zeros(1, device=engine.device),
                    encoder_hidden_states=text.to(engine.device, engine.dtype),
                    control_hidden_states=control.to(engine.device, engine.dtype),
                )
        else:
            with set_up(engine, name):
                engine.sample(noise, control, *texts, SamplingSettings(steps=1))

    with torch.no_grad(), FlopCounterMode(display=False) as flops:
        step()
    with torch.no_grad(), PeakBytes() as memory:
        step()
    return {"tflop_a_step": flops.get_total_flops() / 1e12, "activations_mb": memory.peak / 2**20}


def timed(engine: Engine, job: Job, rounds: int) -> tuple[dict[str, dict[str, float]], dict[str, Tensor]]:
    """Medians of seconds by contestant, in turns after one round that warms up, and what each made."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in (OURS, WHOLE, BEFORE, THEIRS)}
    peaks, made = dict.fromkeys(times, 0.0), {}
    for turn in range(rounds + 1):
        for name, taken in times.items():
            _settle(engine.device, reset=True)
            cpu, wall = process_time(), perf_counter()
            made[name] = sample(engine, job, name)
            peaks[name] = _settle(engine.device)
            if turn:
                taken.append((process_time() - cpu, perf_counter() - wall))
    figures: dict[str, dict[str, float]] = {}
    for name, taken in times.items():
        cpus, walls = zip(*taken, strict=True)
        figures[name] = {"cpu_s": statistics.median(cpus), "wall_s": statistics.median(walls)}
        figures[name]["wall_s_a_step"] = figures[name]["wall_s"] / job.steps
        if engine.device.type == "cuda":
            figures[name]["peak_device_mb"] = peaks[name]
    return figures, made


def _settle(device: torch.device, reset: bool = False) -> float:
    """Wait for the device; its peak memory in MB since the last reset."""
    if device.type != "cuda":
        return 0.0
    torch.cuda.synchronize(device)
    peak = torch.cuda.max_memory_allocated(device) / 2**20
    if reset:
        torch.cuda.reset_peak_memory_stats(device)
    return peak


def compare(engine: Engine, meta: Engine, job: Job, rounds: int) -> dict[str, Any]:
    """Everything about one job: figures by contestant, ratios to what ours was before, and how far results differ."""
    figures, made = timed(engine, job, rounds)
    for name, known in figures.items():
        known |= counted(meta, job, name)
    ratios = {
        f"{name} / {other}": {key: round(value / figures[other][key], 3) for key, value in figures[name].items()}
        for name, other in ((OURS, BEFORE), (OURS, WHOLE), (OURS, THEIRS), (BEFORE, THEIRS))
    }
    pixels = {name: engine.decode(made[name]) for name in (OURS, WHOLE, BEFORE)}
    furthest = {f"{OURS} - {name}": 255 * float((pixels[OURS] - pixels[name]).abs().max()) for name in (WHOLE, BEFORE)}
    return {"job": vars(job), "figures": figures, "ratios": ratios, "largest_pixel_difference_of_255": furthest}


def embedded(device: torch.device) -> tuple[Engine, Engine]:
    """The embedded models, and their shapes."""
    built = demo.ensure()
    shapes = (load_transformer(built.vace, dtype=torch.float32, device="meta"), load_vae(built.vae, device="meta"))
    return Engine.load(built.vace, built.vae, device), Engine(*shapes, torch.device("meta"))


def full_size(device: torch.device, blocks: int) -> tuple[Engine, Engine]:
    """The real configuration with random weights, bfloat16 where `Engine.load` has it, and its shapes."""
    from diffusers import AutoencoderKLWan, WanVACETransformer3DModel

    def build(place: torch.device) -> Engine:
        torch.manual_seed(0)
        with place:
            transformer = WanVACETransformer3DModel(
                num_attention_heads=HEADS, ffn_dim=FFN, num_layers=blocks, vace_layers=list(range(0, blocks, 2))
            )
            vae = AutoencoderKLWan()
        if device.type == "cuda":
            for name, parameter in transformer.named_parameters():
                if set(name.split(".")).isdisjoint(transformer._keep_in_fp32_modules):
                    parameter.data = parameter.data.to(torch.bfloat16)
        return Engine(transformer.eval().requires_grad_(False), vae.eval().requires_grad_(False), place)

    return build(device), build(torch.device("meta"))


def planner_figures(device: torch.device) -> dict[str, Any]:
    """Tokens a second of Qwen2.5-VL-3B's configuration with random weights."""
    import planner

    options = argparse.Namespace(device=str(device), dtype="auto", rounds=3)
    with tempfile.TemporaryDirectory() as folder:
        planner.full_size(Path(folder) / "full", torch.bfloat16)
        figures = planner.measure(Path(folder) / "full", options)
    return figures | {"tokens_a_second": 1 / figures["constrained_token_s"]}


def jobs(options: argparse.Namespace) -> list[Job]:
    """A still and a video; --steps for both, else the reference's 50, and few for a long video."""
    width, height = map(int, (options.size or ("832x480" if options.full_size else "64x64")).split("x"))
    frames = options.frames or (81 if options.full_size else 9)
    video_steps = options.steps or (6 if options.full_size else 50)
    return [Job(1, width, height, options.steps or 50), Job(frames, width, height, video_steps)]


def main() -> None:
    """Measure and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full-size", action="store_true", help="the real configuration with random weights")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=3, help="after one that warms up")
    parser.add_argument("--steps", type=int, help="default: 50; 6 for the full-size video")
    parser.add_argument("--size", metavar="WxH")
    parser.add_argument("--frames", type=int)
    parser.add_argument("--blocks", type=int, default=BLOCKS, help="main blocks of --full-size")
    parser.add_argument("--no-planner", action="store_true", help="leave the planner's tokens out of --full-size")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    device = torch.device(options.device)
    engine, meta = full_size(device, options.blocks) if options.full_size else embedded(device)
    figures: dict[str, Any] = {"machine": machine(), "device": str(device), "threads": torch.get_num_threads()}
    figures["command"] = " ".join(["python", "benchmarks/engine.py", *sys.argv[1:]])
    figures["runs"] = [compare(engine, meta, job, options.rounds) for job in jobs(options)]
    if options.full_size and not options.no_planner:
        del engine
        figures["planner"] = planner_figures(device)
    report(figures, options.json)


if __name__ == "__main__":
    main()
