"""The projector, trained with planner, text encoder, VAE and video model frozen (paper, training of the projector).

Each sample goes through the pipeline's own steps once (plan, sources, latents, text rows, planner features) and is
kept on disk; training then needs the video model and the projector alone. The loss is the video model's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..conditioning.projector import Projector
from ..defaults import SHIFT
from ..engine.unipc import shifted
from ..errors import InputError
from ..progress import Cancel, Progress, check, never, silent
from ..weights.write import write_tensors
from .cards import Card, write_card
from .feed import Feed
from .flow import compact_text, draw_sigmas, flow_loss, recompute_blocks
from .grid import Grid
from .loop import Fit, Say, unsaid
from .projector_data import Sample, load_sample
from .sample_keys import key_of
from .schedule import MadeWith, Schedule
from .seeding import generator_at, own_randomness
from .watch import USUAL, Watch, Watched, Watching

SCHEDULE = Schedule(steps=5000, lr=1e-4, warmup=200, weight_decay=0.01, ema=0.999, seed=22)
PROJECTOR_FILE = "projector.safetensors"
EVALUATION_DRAWS = 8  # noise levels at which each held-out sample is looked at


def train(
    projector: Projector, transformer: Any, files: Sequence[Path], out: Path, schedule: Schedule = SCHEDULE,
    *, batch: int = 1, text_dropout: float = 0.0, mixed_precision: str = "no", start_key: str = "",
    watching: Watching = USUAL, held_out: Sequence[Path] = (), card: Card | None = None, grid: Grid | None = None,
    workers: int = 0, say: Say = unsaid, progress: Progress = silent, cancel: Cancel = never,
) -> None:  # fmt: skip
    """Train `projector` in place with `transformer` frozen; resumes from `out` and ends with the averaged weights,
    which are written as `out`/projector.safetensors.

    batch: samples of one step and process; those of one shape are one pass of the video model. text_dropout: how
    often a sample's text rows are left out, so that the projected tokens alone say it. mixed_precision: of accelerate
    ("no", "bf16"). start_key: of what `projector` and `transformer` are; a state of others is not gone on from.
    watching: what is done beside the steps. held_out: samples whose loss is measured on the way. card: of the result,
    where it is to have one. grid: makes pictures at each evaluation. workers: processes that read samples ahead. say
    hears what is said of a state. Raises InputError without samples, ResourceError, Cancelled.
    """
    from accelerate import Accelerator
    from accelerate.utils import gather_object

    if not files:
        raise InputError("there are no samples to train the projector on")
    if not 0 <= text_dropout <= 1:
        raise InputError(f"text dropout is {text_dropout}; it is a share from 0 to 1")
    accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision=mixed_precision)
    freeze(transformer.to(accelerator.device))
    projector.to(accelerator.device).train().requires_grad_(True)
    made_with: MadeWith = {
        "samples": key_of(file.name for file in files),
        "projector or video model to begin with": start_key,
        "batch": batch,
        "mixed precision": mixed_precision,
        **({"text dropout": text_dropout} if text_dropout else {}),
    }

    def measure() -> dict[str, float]:
        mine = held_out[accelerator.process_index :: accelerator.num_processes]
        lost = evaluate(projector, transformer, mine, device=accelerator.device, progress=progress, cancel=cancel)
        projector.train()
        shares = gather_object([(lost, len(mine))])
        return {"loss": sum(lost * count for lost, count in shares) / len(held_out)}

    def write(folder: Path) -> None:
        save_projector(projector, folder / PROJECTOR_FILE)
        if card:
            write_card(folder, card.text(out, fit.step, fit.made_with))

    def picture(step: int) -> Path:
        assert grid
        return grid.draw(projector, step, progress, cancel)

    watched = Watched(write, measure if held_out else None, picture=picture if grid else None)
    fit = Fit(projector, schedule, out, accelerator, made_with=made_with, say=say, watch=Watch(watching, watched))

    def loss(generator: torch.Generator, step: int) -> dict[str, Tensor]:
        chosen = feed.take(choose(len(files), batch, generator))
        samples, sigmas, noises = draw_noise(chosen, text_dropout, generator)
        return {"loss": batch_loss(fit.module, transformer, samples, sigmas, noises, accelerator.device)}

    feed = Feed(Files(files), workers)
    with feed.made_ahead(lambda: (choose(len(files), batch, each) for each in fit.generators())):
        fit.run(loss, stage="training the projector", progress=progress, cancel=cancel)
    fit.use_averaged()
    if accelerator.is_main_process:
        write(out)
    projector.eval().requires_grad_(False)


class Files:
    """Samples on disk, by their numbers."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)

    def __getitem__(self, index: int) -> Sample:
        """Raises WeightsError."""
        return load_sample(self._files[index])


def choose(count: int, batch: int, generator: torch.Generator) -> list[int]:
    """The numbers of `batch` samples out of `count`."""
    chosen: list[int] = torch.randint(count, (batch,), generator=generator).tolist()
    return chosen


def draw_noise(
    samples: Sequence[Sample], text_dropout: float, generator: torch.Generator
) -> tuple[list[Sample], Tensor, list[Tensor]]:
    """The samples, their noise levels [batch] and their noises; a share of them without their text rows."""
    batch = len(samples)
    sigmas = draw_sigmas(batch, generator, SHIFT)
    noises = [torch.randn(sample.clean.shape, generator=generator) for sample in samples]
    if text_dropout:
        left_out = (torch.rand(batch, generator=generator) < text_dropout).tolist()
        samples = [replace(sample, rows=sample.rows[:0]) if without else sample
                   for sample, without in zip(samples, left_out, strict=True)]  # fmt: skip
    return list(samples), sigmas, noises


@torch.no_grad()
def start_silent(projector: Projector) -> None:
    """Begin with projected tokens of zero: the video model then sees what it sees without a projector.

    Its context is padded with zero rows to the same count either way, so training starts from the untouched model.
    """
    projector.seq_adjust.weight.zero_()
    projector.seq_adjust.bias.zero_()


def new_projector(width: int, hidden: int, seed: int) -> Projector:
    """A projector for a planner of `width`, silent, with the weights that `seed` draws."""
    with own_randomness():
        torch.manual_seed(seed)
        projector = Projector(width, hidden)
    start_silent(projector)
    return projector


def freeze(transformer: Any) -> None:
    """Without gradients of its own, ready for compact texts; activations are recomputed, since it may be large."""
    transformer.eval().requires_grad_(False)
    compact_text(transformer)
    recompute_blocks(transformer)


def batch_loss(
    projector: Any, transformer: Any, samples: Sequence[Sample], sigmas: Tensor, noises: Sequence[Tensor],
    device: Any = "cpu",
) -> Tensor:  # fmt: skip
    """The mean flow loss of samples with their projected tokens behind their text rows; one pass for each shape.

    sigmas [B] in 0..1; noises: of the samples' `clean`. projector: None leaves its tokens away.
    """
    shapes: dict[torch.Size, list[int]] = {}
    for index, sample in enumerate(samples):
        shapes.setdefault(sample.clean.shape, []).append(index)
    dtype = next(transformer.parameters()).dtype
    terms = []
    for alike in shapes.values():
        chosen = [samples[index] for index in alike]
        rows = [_rows(projector, sample, device).to(dtype) for sample in chosen]
        clean, context = (
            torch.stack([getattr(sample, name) for sample in chosen]).to(device, dtype) for name in ("clean", "context")
        )
        noise = torch.stack([noises[index] for index in alike]).to(clean)
        terms.append(flow_loss(transformer, clean, context, rows, sigmas[alike].to(device), noise) * len(alike))
    return torch.stack(terms).sum() / len(samples)


def _rows(projector: Any, sample: Sample, device: Any) -> Tensor:
    rows = sample.rows.to(device)
    return rows if projector is None else torch.cat([rows, projector(sample.features[None].to(device))[0]])


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
            sigma = shifted(u, SHIFT)
            noise = torch.randn(sample.clean.shape, generator=generator)
            total += batch_loss(projector, transformer, [sample], sigma[None], [noise], device).item()
        progress("evaluating the projector", number + 1, len(files))
    return total / max(1, len(files) * EVALUATION_DRAWS)


def save_projector(projector: Projector, path: Path) -> None:
    """The projector as safetensors in its own dtype, under the names every loader knows."""
    write_tensors(projector.state_dict(), path)
