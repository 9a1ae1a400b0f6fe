"""The demo Qwen's vision tower, trained first to tell what is where.

Answers alone teach a tower from nothing too little: it finds colours, but no shapes and places. So its tokens learn
first what they show together and, each for itself, how much of its cell the thing covers. The heads of that are thrown
away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...demo.world.questions import Subject, draw_thing
from ...demo.world.shapes import COLOURS, MOTIONS, SHAPES, SIZES, Scene, render, silhouette
from ...demo.world.tasks import FRAMES, IMAGE_PAD, SIDE, VIDEO_PAD, size_of
from ...plan.prompt import parse_pads
from ...planner.qwen.loading import Qwen
from ...planner.qwen.vision import FRAMES_PER_TOKEN, frame_budget, vision_inputs
from ...progress import Cancel, Progress, check, never, silent
from ..loop import Fit
from ..schedule import Schedule
from ..shown import as_media

COUNTS: dict[Subject, int] = {"image": 6000, "video": 4000}
BATCH = 48
SCHEDULE = Schedule(steps=1800, lr=2e-3, warmup=100, betas=(0.9, 0.95), ema=0.99, seed=26)
FIELDS: dict[str, tuple[str, ...]] = {
    "colour": tuple(COLOURS),
    "shape": SHAPES,
    "background": tuple(COLOURS),
    "size": tuple(SIZES),
    "motion": tuple(MOTIONS),
}
COVERED_WEIGHT = 4.0


@dataclass(frozen=True)
class View:
    """A picture or clip as the tower gets it (pixels in bfloat16, grid [1, 3]), and what is right.

    labels: an index for each of `FIELDS`; covered [tokens, 2]: share of each token's cell that the thing covers in the
    first and in the last frame that it shows.
    """

    pixels: Tensor
    grid: Tensor
    labels: Tensor
    covered: Tensor


def draw(
    qwen: Qwen, seed: int, counts: dict[Subject, int] = COUNTS, *, progress: Progress = silent, cancel: Cancel = never
) -> list[View]:
    """Views of both kinds."""
    views: list[View] = []
    for subject, count in counts.items():
        for index in range(count):
            check(cancel, "drawing pictures")
            views.append(view(qwen, subject, Random(f"view {subject} {seed} {index}")))
            progress("drawing pictures", len(views), sum(counts.values()))
    return views


def view(qwen: Qwen, subject: Subject, random: Random) -> View:
    """One picture or clip, made ready by what makes a question's ready."""
    thing, background, _, motion = draw_thing(subject, random)
    frames = 1 if subject == "image" else FRAMES
    clip = render(Scene(background, (thing,)), frames, SIDE, SIDE)
    media = as_media(clip)
    shown = vision_inputs(qwen.processor, qwen.tokenizer, parse_pads(IMAGE_PAD if frames == 1 else VIDEO_PAD), media)
    pixels = shown.tensors["pixel_values" if frames == 1 else "pixel_values_videos"]
    grid = shown.tensors[f"{subject}_grid_thw"]
    values = (thing.colour, thing.shape, background, size_of(thing), "still" if frames == 1 else motion)
    labels = torch.tensor([names.index(value) for names, value in zip(FIELDS.values(), values, strict=True)])
    indices = (0, 0) if frames == 1 else frame_budget(media.infos[0])[0][:FRAMES_PER_TOKEN]
    cover = silhouette(thing, frames, SIDE, SIDE)[list(indices)]
    cells = functional.adaptive_avg_pool2d(cover[None], (int(grid[0, 1]) // 2, int(grid[0, 2]) // 2))[0]
    return View(pixels.bfloat16(), grid, labels, cells.flatten(1).T)


class Looking(nn.Module):
    """The tower, what its tokens show together (one score for each value of each field), and what each covers."""

    def __init__(self, tower: nn.Module, width: int) -> None:
        super().__init__()
        self.tower = tower
        self.together = nn.Sequential(nn.Linear(width, width), nn.GELU())
        self.heads = nn.ModuleList(nn.Linear(width, len(values)) for values in FIELDS.values())
        self.covered = nn.Linear(width, 2)

    def forward(self, pixels: Tensor, grid: Tensor) -> tuple[list[Tensor], Tensor]:
        """Pixels and grids of B views of one size: scores [B, values] for each field, and [B, tokens, 2]."""
        out: Any = self.tower(pixels, grid_thw=grid)
        tokens = getattr(out, "pooler_output", out).unflatten(0, (len(grid), -1))
        seen = self.together(tokens).mean(1)
        return [head(seen) for head in self.heads], self.covered(tokens)


def train(
    qwen: Qwen, folder: Path, schedule: Schedule = SCHEDULE, *, counts: dict[Subject, int] = COUNTS,
    progress: Progress = silent, cancel: Cancel = never,
) -> Looking:  # fmt: skip
    """Train the vision tower of `qwen` (float32) in place, resuming from `folder`; returns it with its heads."""
    torch.manual_seed(schedule.seed)
    looking = Looking(qwen.base.model.visual, qwen.base.config.get_text_config().hidden_size)
    looking.to(qwen.device).train().requires_grad_(True)
    fit = Fit(looking, schedule, folder)
    views = [] if fit.is_done else draw(qwen, schedule.seed, counts, progress=progress, cancel=cancel)

    def loss(generator: torch.Generator, step: int) -> dict[str, Tensor]:
        chosen = [views[index] for index in torch.randint(len(views), (BATCH,), generator=generator).tolist()]
        pixels, grid, labels, covered = to_batch(chosen, qwen.device)
        scores, cells = looking(pixels, grid)
        terms = {
            name: functional.cross_entropy(score, labels[:, column])
            for column, (name, score) in enumerate(zip(FIELDS, scores, strict=True))
        }
        return terms | {"covered": COVERED_WEIGHT * functional.binary_cross_entropy_with_logits(cells, covered)}

    fit.run(loss, stage="training the vision tower", progress=progress, cancel=cancel)
    fit.use_averaged()
    return looking.eval().requires_grad_(False)


def to_batch(views: Sequence[View], device: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pixels (float32), grids, labels [B, fields] and covered [B, tokens, 2] of some views."""
    return (
        torch.cat([one.pixels for one in views]).float().to(device),
        torch.cat([one.grid for one in views]).to(device),
        torch.stack([one.labels for one in views]).to(device),
        torch.stack([one.covered for one in views]).to(device),
    )
