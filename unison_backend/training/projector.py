"""The projector, trained with planner, text encoder, VAE and video model frozen (paper, training of the projector).

Each sample goes through the pipeline's own steps once (plan, sources, latents, text rows, planner features) and is
kept on disk; training then needs the video model and the projector alone. The loss is the video model's own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from ..errors import InputError, WeightsError
from ..progress import Cancel, Progress, check, never, silent
from ..projector import Projector
from .flow import compact_text, draw_sigmas, flow_loss, recompute_blocks
from .loop import Fit, Schedule, generator_at
from .writing import write_tensors

SCHEDULE = Schedule(steps=5000, lr=1e-4, warmup=200, weight_decay=0.01, ema=0.999, seed=22)
SHIFT = 5.0  # the reference samples with it
EVALUATION_DRAWS = 8  # noise levels at which each held-out sample is looked at
KEYS = ("clean", "context", "rows", "features")


@dataclass(frozen=True)
class Pair:
    """One line of a manifest: an instruction (media as ###path###) and the picture or video that should come of it.

    folder: what paths in the instruction are relative to.
    """

    prompt: str
    target: Path
    folder: Path = Path()


@dataclass(frozen=True)
class Sample:
    """One encoded pair. clean [16, R + T', h, w], context [96, R + T', h, w], rows [n, 4096], features [S, D]."""

    clean: Tensor
    context: Tensor
    rows: Tensor
    features: Tensor


def read_manifest(path: Path) -> list[Pair]:
    """JSON lines of {"prompt": ..., "target": file}; files, also in prompts, are relative to the manifest's folder.

    Raises InputError naming the line that is wrong or whose target is not there.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    pairs = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            prompt, target = row["prompt"], row["target"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InputError(f'{path}, line {number} is not of the form {{"prompt": ..., "target": ...}}') from None
        if not isinstance(prompt, str) or not isinstance(target, str):
            raise InputError(f"{path}, line {number}: prompt and target have to be text")
        file = path.parent / target
        if not file.is_file():
            raise InputError(f"{path}, line {number}: its target {file} is not there")
        pairs.append(Pair(prompt, file, path.parent))
    if not pairs:
        raise InputError(f"{path} has no lines; each is one prompt with its target")
    return pairs


def encode_pairs(
    pairs: Sequence[Pair], out: Path, *, engine: Any, text_encoder: Any, planner: Any,
    progress: Progress = silent, cancel: Cancel = never,
) -> list[Path]:  # fmt: skip
    """Encode every pair into `out`/00000.safetensors and so on, skipping those that are there; returns the files.

    engine: `Engine`; text_encoder: `TextEncoder`; planner: `QwenPlanner`, whose features the projector reads.
    Raises InputError naming the pair when its instruction makes nothing or its target does not fit.
    """
    out.mkdir(parents=True, exist_ok=True)
    files = []
    for number, pair in enumerate(pairs):
        check(cancel, "encoding samples")
        path = out / f"{number:05d}.safetensors"
        if not path.is_file():
            save_sample(encode_pair(pair, engine, text_encoder, planner, cancel), path)
        files.append(path)
        progress("encoding samples", number + 1, len(pairs))
    return files


def encode_pair(pair: Pair, engine: Any, text_encoder: Any, planner: Any, cancel: Cancel = never) -> Sample:
    """One pair through the pipeline's own steps: plan by the rules, sources, latents, text rows, features."""
    from ..conditioning import clean_text
    from ..pipeline import SourceOptions, make_plan, prepare_sources
    from ..prompt import parse_paths
    from .latents import encode_example

    planned = make_plan(parse_paths(pair.prompt, pair.folder), cancel=cancel)
    if not planned.plan.task.is_generation:
        raise InputError(f"the instruction {pair.prompt[:80]!r} makes no picture or video ({planned.plan.task})")
    sources = prepare_sources(planned, SourceOptions(), silent, cancel)
    target = read_target(pair.target, sources.video.shape, planned.spec.fps)
    clean, context = encode_example(sources, target, engine.encode, cancel)
    return Sample(
        clean.cpu(),
        context.cpu(),
        text_encoder.encode(clean_text(planned.prompt.text)).cpu(),
        planner.features(planned.prompt, cancel=cancel)[0].cpu(),
    )


def read_target(path: Path, shape: Sequence[int], fps: Any) -> Tensor:
    """A picture or video as [T, H, W, 3] in 0..1, cropped to cover; raises InputError for a video that is too short."""
    from ..file_media import FileMedia
    from ..media_file import kind_of
    from ..pixels import cover
    from ..prompt import Medium

    frames, height, width = shape[:3]
    kind = kind_of(path)
    media = FileMedia((Medium(kind, path=str(path)),))
    if kind == "image":
        if frames != 1:
            raise InputError(f"{path} is a picture, but its instruction makes a video")
        return cover(media.picture(0), width, height)[None]
    if fps is None:
        raise InputError(f"{path} is a video, but its instruction makes a picture")
    info = media.info(0)
    rate = float(info.fps or fps)
    indices = [int(index * rate / float(fps or rate) + 1e-6) for index in range(frames)]
    if (info.num_frames or 0) <= indices[-1]:
        raise InputError(f"{path} has {info.num_frames} frames, its instruction asks for {frames} at {fps} a second")
    return torch.stack([cover(frame, width, height) for frame in media.frames(0, indices, never)])


def save_sample(sample: Sample, path: Path) -> None:
    """As float16 safetensors, whole or not at all."""
    write_tensors({name: getattr(sample, name).half() for name in KEYS}, path)


def load_sample(path: Path) -> Sample:
    """What `save_sample` wrote, as float32."""
    try:
        state = load_file(path)
        return Sample(*(state[name].float() for name in KEYS))
    except Exception as error:  # safetensors raises its own bare class
        raise WeightsError(f"{path} is no encoded sample ({error}); remove it, it is made again") from error


def train(
    projector: Projector, transformer: Any, files: Sequence[Path], out: Path, schedule: Schedule = SCHEDULE,
    *, batch: int = 1, mixed_precision: str = "no", progress: Progress = silent, cancel: Cancel = never,
) -> None:  # fmt: skip
    """Train `projector` in place with `transformer` frozen; resumes from `out` and ends with the averaged weights.

    batch: samples of one step and process; those of unequal size are done one after the other. mixed_precision: of
    accelerate ("no", "bf16"). Raises InputError without samples, ResourceError, Cancelled.
    """
    from accelerate import Accelerator

    if not files:
        raise InputError("there are no samples to train the projector on")
    accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision=mixed_precision)
    freeze(transformer.to(accelerator.device))
    projector.to(accelerator.device).train().requires_grad_(True)
    fit = Fit(projector, schedule, out, accelerator)

    def loss(generator: torch.Generator, step: int) -> dict[str, Tensor]:
        chosen = torch.randint(len(files), (batch,), generator=generator).tolist()
        samples = [load_sample(files[index]) for index in chosen]
        sigmas = draw_sigmas(batch, generator, SHIFT)
        noises = [torch.randn(sample.clean.shape, generator=generator) for sample in samples]
        terms = [
            sample_loss(fit.module, transformer, sample, sigma, noise, accelerator.device)
            for sample, sigma, noise in zip(samples, sigmas, noises, strict=True)
        ]
        return {"loss": torch.stack(terms).mean()}

    fit.run(loss, stage="training the projector", progress=progress, cancel=cancel)
    fit.use_averaged()
    projector.eval().requires_grad_(False)


@torch.no_grad()
def start_silent(projector: Projector) -> None:
    """Begin with projected tokens of zero: the video model then sees what it sees without a projector.

    Its context is padded with zero rows to the same count either way, so training starts from the untouched model.
    """
    projector.seq_adjust.weight.zero_()
    projector.seq_adjust.bias.zero_()


def freeze(transformer: Any) -> None:
    """Without gradients of its own, ready for compact texts; activations are recomputed, since it may be large."""
    transformer.eval().requires_grad_(False)
    compact_text(transformer)
    recompute_blocks(transformer)


def sample_loss(
    projector: Any, transformer: Any, sample: Sample, sigma: Tensor, noise: Tensor, device: Any = "cpu"
) -> Tensor:
    """The flow loss of one sample with its projected tokens behind its text rows. projector: None leaves them away."""
    rows = sample.rows.to(device)
    if projector is not None:
        rows = torch.cat([rows, projector(sample.features[None].to(device))[0]])
    dtype = next(transformer.parameters()).dtype
    clean, context = (part[None].to(device, dtype) for part in (sample.clean, sample.context))
    return flow_loss(transformer, clean, context, [rows.to(dtype)], sigma[None].to(device), noise[None].to(clean))


@torch.no_grad()
def evaluate(
    projector: Projector | None, transformer: Any, files: Sequence[Path], *, seed: int = 0, device: Any = "cpu",
    progress: Progress = silent, cancel: Cancel = never,
) -> float:  # fmt: skip
    """Mean loss over samples at evenly spread noise levels with fixed noise; the same for every projector."""
    if projector is not None:
        projector.eval()
    total = 0.0
    levels = (torch.arange(EVALUATION_DRAWS) + 0.5) / EVALUATION_DRAWS
    for number, file in enumerate(files):
        check(cancel, "evaluating the projector")
        sample = load_sample(file)
        generator = generator_at(seed, number)
        for u in levels:
            sigma = SHIFT * u / (1 + (SHIFT - 1) * u)
            noise = torch.randn(sample.clean.shape, generator=generator)
            total += sample_loss(projector, transformer, sample, sigma, noise, device).item()
        progress("evaluating the projector", number + 1, len(files))
    return total / (len(files) * EVALUATION_DRAWS)


def save_projector(projector: Projector, path: Path) -> None:
    """The projector as safetensors in its own dtype, under the names every loader knows."""
    write_tensors(projector.state_dict(), path)


@dataclass(frozen=True)
class ProjectorRun:
    """What `unison train projector` was asked for. held_out: share of the samples that only evaluate."""

    data: Path
    out: Path
    models: Path | None = None
    start: Path | None = None
    hidden: int = 2048
    held_out: float = 0.05
    device: str = "auto"

    def __post_init__(self) -> None:
        if not 0 <= self.held_out < 1:
            raise InputError(f"the held-out share is {self.held_out}; it has to be at least 0 and below 1")
        if self.hidden < 1:
            raise InputError(f"hidden is {self.hidden}; it has to be at least 1")


def train_from_manifest(
    run: ProjectorRun, schedule: Schedule, *, batch: int = 1, progress: Progress = silent, cancel: Cancel = never
) -> list[str]:
    """Encode the manifest's pairs, train, evaluate and write `out`/projector.safetensors; returns what to say.

    Raises InputError, WeightsError, ResourceError, Cancelled.
    """
    from ..engine_diffusers import Engine, pick_device
    from ..models import resolve_models
    from ..planner.loading import load_qwen
    from ..planner.qwen import QwenPlanner
    from ..projector import load_projector
    from ..wan import load_text_encoder

    pairs = read_manifest(run.data)
    device = pick_device(run.device)
    models = resolve_models(run.models, {}, progress)
    if models.planner is None or models.vace is None or models.vae is None or models.text_encoder is None:
        raise InputError("a projector takes planner, VACE, VAE and text encoder; `unison doctor` says what is missing")
    qwen = load_qwen(models.planner, models.lora, device=device, progress=progress)
    engine = Engine.load(models.vace, models.vae, device)
    encoder = load_text_encoder(models.text_encoder, dtype=torch.float32 if models.demo else None, device=device)
    files = encode_pairs(pairs, run.out / "samples", engine=engine, text_encoder=encoder, planner=QwenPlanner(qwen),
                         progress=progress, cancel=cancel)  # fmt: skip
    width, transformer = qwen.base.config.get_text_config().hidden_size, engine.transformer
    del qwen, encoder
    if run.start is not None:
        projector = load_projector(run.start)
    else:
        projector = Projector(width, run.hidden)
        start_silent(projector)
    count = min(len(files) - 1, round(len(files) * run.held_out))
    held_out, used = files[:count], files[count:]
    precision = "bf16" if device.type == "cuda" else "no"
    train(projector, transformer, used, run.out, schedule, batch=batch, mixed_precision=precision,
          progress=progress, cancel=cancel)  # fmt: skip
    path = run.out / "projector.safetensors"
    save_projector(projector, path)
    lines = [str(path)]
    if held_out:
        losses = [evaluate(p, transformer, held_out, device=device, progress=progress, cancel=cancel)
                  for p in (None, projector)]  # fmt: skip
        lines.append(f"loss on {len(held_out)} held-out samples: {losses[0]:.5f} without, {losses[1]:.5f} with it")
    return lines
