"""`unison train projector`: from a manifest of instructions and targets to a projector that a run can use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..conditioning.projector import Projector, load_projector
from ..defaults import CFG
from ..demo.set import CFG as DEMO_CFG
from ..engine.settings import SamplingSettings
from ..errors import InputError, WeightsError
from ..progress import Cancel, Progress, never, silent
from ..weights.adapter import planning_adapter
from ..weights.find import ModelPaths
from .cards import Card, model_name
from .feed import check_workers
from .grid import PICTURE_STEPS, Cell, Grid, choose_cells, negative_rows
from .held_out import held_out_count, hold_out
from .loop import Say, unsaid
from .manifest import make_ready, read_manifest
from .processes import joined
from .projector import PROJECTOR_FILE, evaluate, new_projector, train
from .projector_data import Encoded, encode_pairs
from .sample_keys import file_key, key_of
from .schedule import Schedule
from .watch import USUAL, Watching


@dataclass(frozen=True)
class ProjectorRun:
    """What `unison train projector` was asked for.

    held_out: share of the samples that only evaluate. pictures: how many of those each evaluation makes. workers:
    processes that decode and read ahead. models: a models folder. planner, lora: the Qwen2.5-VL and its planning LoRA,
    where they are not those found there.
    """

    data: Path
    out: Path
    models: Path | None = None
    planner: Path | None = None
    lora: Path | None = None
    start: Path | None = None
    hidden: int = 2048
    held_out: float = 0.05
    device: str = "auto"
    text_dropout: float = 0.0
    pictures: int = 0
    workers: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.held_out < 1:
            raise InputError(f"the held-out share is {self.held_out}; it has to be at least 0 and below 1")
        if not 0 <= self.text_dropout <= 1:
            raise InputError(f"--text-dropout is {self.text_dropout}; it is a share from 0 to 1")
        if self.hidden < 1:
            raise InputError(f"hidden is {self.hidden}; it has to be at least 1")
        check_workers(self.workers)


def train_from_manifest(
    run: ProjectorRun, schedule: Schedule, *, batch: int = 1, watching: Watching = USUAL, say: Say = unsaid,
    progress: Progress = silent, cancel: Cancel = never,
) -> list[str]:  # fmt: skip
    """Encode the manifest's pairs, train, evaluate and write `out`/projector.safetensors; returns what to say.

    Raises InputError, WeightsError, ResourceError, Cancelled.
    """
    from ..demo.fallback import limits_of
    from ..engine.device import pick_device

    pairs = read_manifest(run.data)
    processes = joined(run.device)
    device = pick_device(processes.device if processes.count > 1 else run.device)
    models = planning_models(run, progress)
    limits = limits_of(embedded=models.demo)
    ready, left_out = make_ready(pairs, limits, progress, cancel, processes)
    for line in left_out:
        say(line)
    held_out_count(len(ready), run.held_out)
    loaded = _load(models, device, progress)
    projector = _projector(run, loaded.width, schedule.seed)
    encoded = encode_pairs(ready, run.out / "samples", engine=loaded.engine, text_encoder=loaded.text_encoder,
                           planner=loaded.planner, models_key=loaded.key, limits=limits, workers=run.workers,
                           progress=progress, cancel=cancel, processes=processes)  # fmt: skip
    engine, width, negative = loaded.engine, loaded.width, negative_rows(loaded.text_encoder)
    del loaded  # what encodes is let go of
    files = list(dict.fromkeys(encoded.files))
    held = {encoded.files[index] for index in hold_out(encoded.groups, run.held_out, schedule.seed)}
    taught, chosen = [file for file in files if file not in held], [file for file in files if file in held]
    wanted = run.pictures if watching.eval_every else 0
    cells = choose_cells([one.pair for one in ready], encoded, held, wanted, limits)
    grid = _grid(engine, negative, cells, run.out, embedded=models.demo)
    transformer = engine.transformer
    del engine  # its VAE too, where nothing is made with it
    start_key = key_of([file_key(_needed(models.vace)), file_key(run.start) if run.start else f"{width} {run.hidden}"])
    precision = "bf16" if device.type == "cuda" else "no"
    train(projector, transformer, taught, run.out, schedule, batch=batch,
          text_dropout=run.text_dropout, mixed_precision=precision, start_key=start_key, watching=watching,
          held_out=chosen, card=projector_card(run, models, encoded, len(held)),
          grid=grid, workers=run.workers, say=say, progress=progress, cancel=cancel)  # fmt: skip
    if not processes.is_first:
        return []
    path = run.out / PROJECTOR_FILE
    new = len(encoded.files) - encoded.reused
    lines = [str(path), f"{new} samples were encoded, {encoded.reused} were there already and used again"]
    if chosen:
        losses = [evaluate(p, transformer, chosen, device=device, progress=progress, cancel=cancel)
                  for p in (None, projector)]  # fmt: skip
        lines += _held_out_lines(encoded, held, losses)
    return lines


def planning_models(run: ProjectorRun, progress: Progress = silent) -> ModelPaths:
    """The models of a training, found as those of a run are, with a planner that has learned to plan.

    Raises InputError where nothing of it has: the projector reads what such a planner makes of an instruction. It is
    looked at first, since encoding takes hours.
    """
    from ..demo.fallback import resolve_models

    for flag, path in (("--planner-folder", run.planner), ("--planner-lora", run.lora)):
        if path is not None and not path.exists():
            raise InputError(f"{flag}: {path} does not exist")
    models = resolve_models(run.models, {}, progress)
    if run.planner is not None:
        models = replace(models, planner=run.planner, lora=None)
    if run.lora is not None:
        models = replace(models, lora=run.lora)
    if models.planner is None:
        raise InputError("a projector is trained with a planner, and none was found; give --planner-folder")
    if models.lora is not None and not planning_adapter(models.lora, models.planner):
        raise InputError(
            f"{models.lora} is no planning LoRA for {models.planner}; give one that was trained on it "
            "(`unison train planner` makes one)"
        )
    if not models.plans:
        raise InputError(
            f"{models.planner} has no planning weights, which a projector is trained with: give --planner-lora "
            "(`unison train planner` makes one), or a merged folder as --planner-folder"
        )
    return models


@dataclass
class _Loaded:
    """What encodes. width: of the planner's states. key: of the weights and their dtypes."""

    engine: Any
    text_encoder: Any
    planner: Any
    width: int
    key: str


def _load(models: ModelPaths, device: torch.device, progress: Progress) -> _Loaded:
    from ..conditioning.text_encoder import load_text_encoder
    from ..engine.engine import Engine
    from ..planner.qwen.loading import load_qwen
    from ..planner.qwen.planner import QwenPlanner

    planner, vae, text = (_needed(path) for path in (models.planner, models.vae, models.text_encoder))
    qwen = load_qwen(planner, models.lora, device=device, progress=progress)
    engine = Engine.load(_needed(models.vace), vae, device)
    encoder = load_text_encoder(text, dtype=torch.float32 if models.demo else None, device=device)
    weights = [vae, text, planner, *([models.lora] if models.lora else [])]
    dtypes = (engine.vae.dtype, next(encoder.model.parameters()).dtype, next(qwen.base.parameters()).dtype)
    key = key_of([*map(file_key, weights), *map(str, dtypes)])
    return _Loaded(engine, encoder, QwenPlanner(qwen), qwen.base.config.get_text_config().hidden_size, key)


def _projector(run: ProjectorRun, width: int, seed: int) -> Projector:
    """The one to go on from, or a new one. Raises WeightsError for one of another planner."""
    if run.start is None:
        return new_projector(width, run.hidden, seed)
    projector = load_projector(run.start)
    if projector.input_dim != width:
        raise WeightsError(
            f"--start {run.start} reads a planner of width {projector.input_dim}, this one's is {width}; give the "
            "planner that it was trained with, or no --start"
        )
    return projector


def _grid(engine: Any, negative: Tensor, cells: Sequence[Cell], out: Path, *, embedded: bool) -> Grid | None:
    """What makes the sheets of these cells; None where there is none."""
    settings = SamplingSettings(PICTURE_STEPS, DEMO_CFG if embedded else CFG)
    return Grid(engine, negative, cells, settings, out) if cells else None


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


def projector_card(run: ProjectorRun, models: ModelPaths, encoded: Encoded, held: int) -> Card:
    """What is known of a projector before it is trained."""
    kinds = Counter(task for task, _ in encoded.groups)
    data = {
        "pairs": len(encoded.groups),
        "different samples": len(set(encoded.files)),
        "of these held out": held,
        "file": run.data.name,
        **dict(sorted(kinds.items())),
        "planning LoRA": model_name(models.lora) if models.lora else "",
        "gone on from": run.start.name if run.start else "",
    }
    return Card(
        title="Unison projector",
        about="Four tokens of text context for Wan VACE, made from what the planner makes of an instruction. Trained "
        "with planner, text encoder, VAE and video model frozen; the loss is flow matching.",
        base=[model_name(_needed(models.vace)), model_name(_needed(models.planner))],
        data=data,
        use=[f'unison run "..." --projector {PROJECTOR_FILE} --models ...'],
        front={"tags": ["projector", "text-to-video"]},
    )
