"""`unison train projector`: from a manifest of instructions and targets to a projector that a run can use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import InputError
from ..progress import Cancel, Progress, never, silent
from ..weights.find import ModelPaths
from .held_out import held_out_count, hold_out
from .loop import Say, unsaid
from .projector import evaluate, new_projector, save_projector, train
from .projector_data import Encoded, Pair, encode_pairs, read_manifest
from .sample_keys import file_key, key_of
from .schedule import Schedule


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
    run: ProjectorRun, schedule: Schedule, *, batch: int = 1, say: Say = unsaid, progress: Progress = silent,
    cancel: Cancel = never,
) -> list[str]:  # fmt: skip
    """Encode the manifest's pairs, train, evaluate and write `out`/projector.safetensors; returns what to say.

    Raises InputError, WeightsError, ResourceError, Cancelled.
    """
    from ..conditioning.projector import load_projector
    from ..demo.fallback import resolve_models
    from ..engine.device import pick_device

    pairs = read_manifest(run.data)
    held_out_count(len(pairs), run.held_out)
    device = pick_device(run.device)
    models = resolve_models(run.models, {}, progress)
    encoded, width, transformer = _encode(pairs, run.out, models, device, progress, cancel)
    projector = load_projector(run.start) if run.start else new_projector(width, run.hidden, schedule.seed)
    files = list(dict.fromkeys(encoded.files))
    held = {encoded.files[index] for index in hold_out(encoded.groups, run.held_out, schedule.seed)}
    start_key = key_of([file_key(_needed(models.vace)), file_key(run.start) if run.start else f"{width} {run.hidden}"])
    precision = "bf16" if device.type == "cuda" else "no"
    train(projector, transformer, [file for file in files if file not in held], run.out, schedule, batch=batch,
          mixed_precision=precision, start_key=start_key, say=say, progress=progress, cancel=cancel)  # fmt: skip
    path = run.out / "projector.safetensors"
    save_projector(projector, path)
    new = len(encoded.files) - encoded.reused
    lines = [str(path), f"{new} samples were encoded, {encoded.reused} were there already and used again"]
    if held:
        chosen = [file for file in files if file in held]
        losses = [evaluate(p, transformer, chosen, device=device, progress=progress, cancel=cancel)
                  for p in (None, projector)]  # fmt: skip
        lines += _held_out_lines(encoded, held, losses)
    return lines


def _encode(
    pairs: Sequence[Pair], out: Path, models: ModelPaths, device: torch.device, progress: Progress, cancel: Cancel
) -> tuple[Encoded, int, Any]:
    """The samples, the planner's width and the video model; what encodes is let go of."""
    from ..conditioning.text_encoder import load_text_encoder
    from ..demo.fallback import limits_of
    from ..engine.engine import Engine
    from ..planner.qwen.loading import load_qwen
    from ..planner.qwen.planner import QwenPlanner

    planner, vae, text = (_needed(path) for path in (models.planner, models.vae, models.text_encoder))
    qwen = load_qwen(planner, models.lora, device=device, progress=progress)
    engine = Engine.load(_needed(models.vace), vae, device)
    encoder = load_text_encoder(text, dtype=torch.float32 if models.demo else None, device=device)
    weights = [vae, text, planner, *([models.lora] if models.lora else [])]
    dtypes = (engine.vae.dtype, next(encoder.model.parameters()).dtype, next(qwen.base.parameters()).dtype)
    encoded = encode_pairs(pairs, out / "samples", engine=engine, text_encoder=encoder, planner=QwenPlanner(qwen),
                           models_key=key_of([*map(file_key, weights), *map(str, dtypes)]),
                           limits=limits_of(embedded=models.demo), progress=progress, cancel=cancel)  # fmt: skip
    return encoded, qwen.base.config.get_text_config().hidden_size, engine.transformer


def _needed(path: Path | None) -> Path:
    if path is None:
        raise InputError("a projector takes planner, VACE, VAE and text encoder; `unison doctor` says what is missing")
    return path


def _held_out_lines(encoded: Encoded, held: set[Path], losses: Sequence[float]) -> list[str]:
    kinds = sorted({" ".join(group) for file, group in zip(encoded.files, encoded.groups, strict=True) if file in held})
    return [
        f"held out: {len(held)} of {len(set(encoded.files))} samples ({', '.join(kinds)})",
        f"loss on them: {losses[0]:.5f} without, {losses[1]:.5f} with the projector",
    ]
