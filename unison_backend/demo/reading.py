"""What is to be seen in a picture of the shape world: background, colour, shape and place, by its pixels alone.

Nothing is learned here: pixels get the name of the nearest colour, and the thing's outline is laid over each shape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .shapes import COLOURS, SHAPES, Thing, bounds, silhouette

FAR = 0.25  # from the background's colour (Euclidean, RGB in 0..1): such a pixel belongs to a thing
SMALLEST = 12  # pixels; less is no thing
EDGE = 3  # pixels at the border that show the background


@dataclass(frozen=True)
class Seen:
    """One frame as it was read. x, y: centre in widths and heights; outline [H, W] bool; nothing there: colour None."""

    background: str
    colour: str | None
    shape: str | None
    x: float
    y: float
    area: int
    outline: Tensor


def read_frame(frame: Tensor, within: Tensor | None = None) -> Seen:
    """The thing in a frame [H, W, 3] in 0..1, looked for only where `within` [H, W] is above 0.5."""
    height, width = frame.shape[:2]
    background = _background(frame)
    outline = (frame - torch.tensor(COLOURS[background])).norm(dim=-1) > FAR
    if within is not None:
        outline &= within > 0.5
    area = int(outline.sum())
    if area < SMALLEST:
        return Seen(background, None, None, math.nan, math.nan, area, outline)
    rows, columns = outline.nonzero(as_tuple=True)
    y, x = (rows.float().mean() + 0.5) / height, (columns.float().mean() + 0.5) / width
    inner = frame[outline]
    names = nearest_colours(inner)
    other = [name for name in COLOURS if name != background]
    colour = max(other, key=lambda name: int((names == list(COLOURS).index(name)).sum()))
    return Seen(background, colour, _shape(outline), float(x), float(y), area, outline)


def nearest_colours(pixels: Tensor) -> Tensor:
    """[N, 3] to the index of the nearest of `COLOURS` [N]."""
    palette = torch.tensor(list(COLOURS.values()))
    return torch.cdist(pixels, palette).argmin(1)


def overlap(one: Tensor, other: Tensor) -> float:
    """Intersection over union of two masks [..., H, W]."""
    one, other = one > 0.5, other > 0.5
    union = (one | other).sum().item()
    return (one & other).sum().item() / union if union else 1.0


def _background(frame: Tensor) -> str:
    """The commonest colour along the border."""
    inside = torch.zeros(frame.shape[:2], dtype=torch.bool)
    inside[EDGE:-EDGE, EDGE:-EDGE] = True
    names = nearest_colours(frame[~inside])
    return list(COLOURS)[int(names.mode().values)]


def _shape(outline: Tensor) -> str:
    """The shape that fits the outline best: each is laid into its box, and a little larger and smaller."""
    return max(SHAPES, key=lambda shape: max(_fit(outline, shape, scale) for scale in (0.92, 1.0, 1.08)))


def _fit(outline: Tensor, shape: str, scale: float) -> float:
    height, width = outline.shape
    rows, columns = outline.nonzero(as_tuple=True)
    box = (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
    left, top, right, bottom = bounds(shape)
    radius = scale * math.sqrt((box[2] - box[0]) * (box[3] - box[1]) / ((right - left) * (bottom - top)))
    x = ((box[0] + box[2]) - radius * (left + right)) / 2 / width
    y = ((box[1] + box[3]) - radius * (top + bottom)) / 2 / height
    return overlap(outline, silhouette(Thing(shape, "", x, y, radius / min(height, width)), 1, height, width)[0])
