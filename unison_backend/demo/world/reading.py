"""What is to be seen in a picture of the shape world: background, colour, shape and place, by its pixels alone.

Nothing is learned here: pixels get the name of the nearest colour, and the thing's outline is laid over each shape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .shapes import COLOURS, SHAPES, Thing, bounds, silhouette

FAR = 0.25  # from the background (Euclidean, RGB in 0..1): such a pixel belongs to a thing
NAMED = 0.3  # a colour further than this from every name has none
SMALLEST = 12  # pixels; less is no thing
EDGE = 3  # pixels at the border that show the background


@dataclass(frozen=True)
class Seen:
    """One frame as it was read. x, y: centre in widths and heights; outline [H, W] bool.

    background, colour: None where it is none of the world's. Where no thing is, colour and shape are None.
    """

    background: str | None
    colour: str | None
    shape: str | None
    x: float
    y: float
    area: int
    outline: Tensor


def read_frame(frame: Tensor, within: Tensor | None = None) -> Seen:
    """The thing in a frame [H, W, 3] in 0..1, looked for only where `within` [H, W] is above 0.5."""
    height, width = frame.shape[:2]
    behind = _background(frame)
    background = name_of(behind)
    outline = (frame - behind).norm(dim=-1) > FAR
    if within is not None:
        outline &= within > 0.5
    area = int(outline.sum())
    if area < SMALLEST:
        return Seen(background=background, colour=None, shape=None, x=math.nan, y=math.nan, area=area, outline=outline)
    rows, columns = outline.nonzero(as_tuple=True)
    y, x = (rows.float().mean() + 0.5) / height, (columns.float().mean() + 0.5) / width
    colour = name_of(frame[outline].median(0).values)
    return Seen(
        background=background, colour=colour, shape=_shape(outline), x=float(x), y=float(y), area=area, outline=outline
    )


def name_of(colour: Tensor) -> str | None:
    """The name of a colour [3], None when it has none."""
    distances = (torch.tensor(list(COLOURS.values())) - colour).norm(dim=-1)
    return list(COLOURS)[int(distances.argmin())] if distances.min() < NAMED else None


def overlap(one: Tensor, other: Tensor) -> float:
    """Intersection over union of two masks [..., H, W]."""
    one, other = one > 0.5, other > 0.5
    union = (one | other).sum().item()
    return (one & other).sum().item() / union if union else 1.0


def _background(frame: Tensor) -> Tensor:
    """The median colour along the border."""
    inside = torch.zeros(frame.shape[:2], dtype=torch.bool)
    inside[EDGE:-EDGE, EDGE:-EDGE] = True
    median: Tensor = frame[~inside].median(0).values
    return median


def _shape(outline: Tensor) -> str:
    """The shape that fits the outline best: laid into its box, and a little larger, smaller and further out."""
    box = _box(outline)
    height, width = outline.shape
    pushes = [(0.0, 0.0)]
    if box[0] == 0 or box[2] == width:  # cut off by the border: the middle may lie further out
        pushes += [(-0.12 if box[0] == 0 else 0.12, 0.0)]
    if box[1] == 0 or box[3] == height:
        pushes += [(0.0, -0.12 if box[1] == 0 else 0.12)]
    scales = (0.92, 1.0, 1.08) if len(pushes) == 1 else (0.92, 1.0, 1.08, 1.16, 1.24)
    tries = [(scale, push) for scale in scales for push in pushes]
    return max(SHAPES, key=lambda shape: max(_fit(outline, box, shape, *one) for one in tries))


def _box(outline: Tensor) -> tuple[float, float, float, float]:
    """Left, top, right and bottom edge in pixels."""
    rows, columns = outline.nonzero(as_tuple=True)
    return float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)


def _fit(
    outline: Tensor, box: tuple[float, float, float, float], shape: str, scale: float, push: tuple[float, float]
) -> float:
    """Overlap with `shape` in `box`, `scale` times as large and pushed aside by so much of its size."""
    height, width = outline.shape
    left, top, right, bottom = bounds(shape)
    radius = scale * math.sqrt((box[2] - box[0]) * (box[3] - box[1]) / ((right - left) * (bottom - top)))
    x = ((box[0] + box[2]) - radius * (left + right)) / 2 + push[0] * radius
    y = ((box[1] + box[3]) - radius * (top + bottom)) / 2 + push[1] * radius
    thing = Thing(shape, "", x / width, y / height, radius / min(height, width))
    return overlap(outline, silhouette(thing, 1, height, width)[0])
