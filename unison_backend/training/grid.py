"""Pictures that a projector makes while it is trained: the same held-out samples and seeds each time, in one sheet.

A row is a sample: what should come of it, what the video model makes without a projector, and what it makes with the
projector as it is now. The sheet of every evaluation shows the same noise, so what changes is the projector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..conditioning.text_context import clean_text, negative_prompt, text_context
from ..engine.engine import initial_noise
from ..engine.settings import SamplingSettings
from ..engine.vace_context import latent_frames
from ..errors import MediaError, ResourceError
from ..files import replacing
from ..plan.spec import Limits
from ..progress import Cancel, Progress
from .held_out import spread
from .manifest import Pair, plan_pair
from .projector_data import Encoded, load_sample

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..conditioning.projector import Projector

FOLDER = "pictures"
PROMPTS_FILE = "prompts.txt"
COLUMNS = ("target", "without projector", "with projector")
MOST_SIDE = 320  # of a picture in a sheet
GAP, TITLE = 8, 26
PICTURE_STEPS = 20  # of sampling: what a sheet compares shows long before a run's 50
_STAGE = "making pictures"


@dataclass(frozen=True)
class Cell:
    """A held-out sample to make. frames: of what is made; latents before those are references."""

    file: Path
    prompt: str
    frames: int


def choose_cells(pairs: Sequence[Pair], encoded: Encoded, held: set[Path], count: int, limits: Limits) -> list[Cell]:
    """`count` different held-out samples, spread over tasks and languages. pairs: in the order of `encoded.files`."""
    first = {file: index for index, file in reversed(list(enumerate(encoded.files))) if file in held}
    places = sorted(first.values())
    chosen = [places[n] for n in spread([encoded.groups[place] for place in places], count)] if count else []
    cells = []
    for place in chosen:
        planned = plan_pair(pairs[place], limits)
        cells.append(Cell(encoded.files[place], planned.prompt.text, planned.spec.num_frames or 1))
    return cells


class Grid:
    """Makes the sheets of `cells` in `folder`/pictures.

    engine: with the video model that is trained on, and its VAE. negative: text rows [n, D] of what the guidance goes
    away from (`negative_rows`). settings: the seed is each row's own.
    """

    def __init__(
        self, engine: Any, negative: Tensor, cells: Sequence[Cell], settings: SamplingSettings, folder: Path
    ) -> None:
        self.engine, self.cells, self.settings, self.folder = engine, cells, settings, folder / FOLDER
        self.negative = text_context(negative)
        self._fixed: list[list[Tensor]] = []  # target and without, by row: they never change

    def draw(self, projector: Projector, step: int, progress: Progress, cancel: Cancel) -> Path:
        """The sheet of a step, `step-000500.png`. The projector is left in the mode it is in. Raises ResourceError."""
        was_training = projector.training
        projector.eval()
        rows = []
        try:
            for number, cell in enumerate(self.cells):
                if number == len(self._fixed):
                    target = self._shown(load_sample(cell.file).clean[None], cell)
                    self._fixed.append([target, self._made(cell, number, None, cancel)])
                rows.append([*self._fixed[number], self._made(cell, number, projector, cancel)])
                progress(_STAGE, number + 1, len(self.cells))
        finally:
            projector.train(was_training)
        path = self.folder / f"step-{step:06d}.png"
        try:
            with replacing(path) as temporary, temporary.open("wb") as file:
                sheet(rows).save(file, "PNG")
            prompts = "".join(f"{number}: {cell.prompt}\n" for number, cell in enumerate(self.cells, 1))
            (self.folder / PROMPTS_FILE).write_text(prompts, encoding="utf-8")
        except (OSError, MediaError) as error:
            raise ResourceError(f"{path} cannot be written ({error}); make room there") from error
        return path

    @torch.no_grad()
    def _made(self, cell: Cell, number: int, projector: Projector | None, cancel: Cancel) -> Tensor:
        sample = load_sample(cell.file)
        projected = None
        if projector is not None:
            device = next(projector.parameters()).device
            projected = projector(sample.features[None].to(device)).float().cpu()
        positive = text_context(sample.rows, projected)
        settings = replace(self.settings, seed=number)
        noise = initial_noise((1, *sample.clean.shape), settings.seed)
        latents = self.engine.sample(noise, sample.context[None], positive, self.negative, settings, cancel=cancel)
        return self._shown(latents, cell)

    @torch.no_grad()
    def _shown(self, latents: Tensor, cell: Cell) -> Tensor:
        """The first, the middle and the last frame of latents [1, 16, references + T', h, w]; a picture's only one."""
        leading = latents.shape[2] - latent_frames(cell.frames)
        frames: Tensor = self.engine.decode(latents[:, :, leading:].to(self.engine.device))
        last = len(frames) - 1
        return frames[sorted({0, last // 2, last})]


def negative_rows(text_encoder: Any) -> Tensor:
    """Text rows of the negative prompt that a run uses where none is given."""
    rows: Tensor = text_encoder.encode(clean_text(negative_prompt())).cpu()
    return rows


def sheet(rows: Sequence[Sequence[Tensor]]) -> Image:
    """Rows of cells, each some frames [n, H, W, 3] in 0..1 side by side, under the columns' titles."""
    from PIL import Image as images
    from PIL import ImageDraw
    from PIL.ImageFont import load_default

    strips = [[_strip(frames) for frames in row] for row in rows]
    widths = [max(row[place].width for row in strips) for place in range(len(COLUMNS))]
    widths = [max(width, 150) for width in widths]
    heights = [max(strip.height for strip in row) for row in strips]
    size = (sum(widths) + GAP * (len(widths) + 1) + TITLE, sum(heights) + GAP * len(heights) + TITLE + GAP)
    canvas = images.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(canvas), load_default(13)
    y = TITLE
    for number, row in enumerate(strips):
        draw.text((GAP, y), str(number + 1), "black", font)
        x = TITLE
        for place, strip in enumerate(row):
            canvas.paste(strip, (x, y))
            if number == 0:
                draw.text((x, 6), COLUMNS[place], "black", font)
            x += widths[place] + GAP
        y += heights[number] + GAP
    return canvas


def _strip(frames: Tensor) -> Image:
    """Frames beside each other, made smaller where they are larger than a sheet has room for."""
    from PIL import Image as images

    pixels = (frames.clamp(0, 1) * 255).round().byte().cpu()
    whole = images.fromarray(torch.cat(list(pixels), dim=1).numpy())
    side = max(frames.shape[1:3])
    if side <= MOST_SIDE:
        return whole
    part = MOST_SIDE / side
    size = (max(1, round(whole.width * part)), max(1, round(whole.height * part)))
    return whole.resize(size, images.Resampling.LANCZOS)
