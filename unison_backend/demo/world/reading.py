"""What is to be seen in a picture of the shape world: background, colour, shape and place, by its pixels alone.

Nothing is learned here: pixels get the name of the nearest colour, and the thing's outline is laid over each shape.
There are two ways to see an outline. By threshold a pixel belongs to the thing or does not, and one that it covers a
fifth of does: antialiased things are read too large, the smaller the more. By coverage a pixel belongs to the thing as
far as its colour stands between the background's and the thing's: antialiased things are read as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from .shapes import COLOURS, SAMPLES, SHAPES, Thing, bounds, silhouette

Judge = Literal["threshold", "coverage"]
JUDGES: tuple[Judge, ...] = ("threshold", "coverage")

FAR = 0.25  # from the background (Euclidean, RGB in 0..1): such a pixel belongs to a thing
NAMED = 0.3  # a colour further than this from every name has none
SMALLEST = 12  # pixels; less is no thing
EDGE = 3  # pixels at the border that show the background
BLUR = 2  # pixels around a thing that may be partly its own; further out a little colour is noise
_REFINED = (1.0, 0.5, 0.25)  # pixels that a fitted thing is moved and sized by, in turn, three times over


@dataclass(frozen=True)
class Seen:
    """One frame as it was read. x, y: centre in widths and heights; area in pixels.

    outline: [H, W], which pixels are the thing's (bool), or by coverage how much of each is (float32 in 0..1).
    background, colour: None where it is none of the world's. Where no thing is, colour and shape are None.
    """

    background: str | None
    colour: str | None
    shape: str | None
    x: float
    y: float
    area: float
    outline: Tensor


def read_frame(frame: Tensor, within: Tensor | None = None, by: Judge = "threshold") -> Seen:
    """The thing in a frame [H, W, 3] in 0..1, looked for only where `within` [H, W] is above 0.5."""
    height, width = frame.shape[:2]
    behind = _background(frame)
    background = name_of(behind)
    inside = torch.ones_like(frame[..., 0], dtype=torch.bool) if within is None else within > 0.5
    outline = ((frame - behind).norm(dim=-1) > FAR) & inside
    if int(outline.sum()) < SMALLEST:
        area = float(outline.sum())
        return Seen(background=background, colour=None, shape=None, x=math.nan, y=math.nan, area=area, outline=outline)
    colour = frame[outline].median(0).values
    seen = outline if by == "threshold" else _coverage(frame, behind, colour, outline) * inside
    weights = seen.float()
    area = float(weights.sum())
    x = float((weights.sum(0) * (torch.arange(width) + 0.5)).sum()) / area / width
    y = float((weights.sum(1) * (torch.arange(height) + 0.5)).sum()) / area / height
    return Seen(background=background, colour=name_of(colour), shape=_shape(seen), x=x, y=y, area=area, outline=seen)


def _coverage(frame: Tensor, behind: Tensor, colour: Tensor, outline: Tensor) -> Tensor:
    """How far each pixel stands from the background's colour to the thing's, [H, W] in 0..1; 0 far from the thing."""
    way = colour - behind
    if way.norm() < FAR / 2:  # pixels of many colours, whose middle is no colour of any
        return outline.float()
    covered = ((frame - behind) @ way / way.square().sum()).clamp(0, 1)
    reach = 2 * BLUR + 1
    near = functional.max_pool2d(outline[None, None].float(), reach, 1, BLUR)[0, 0]
    return covered * near


def name_of(colour: Tensor) -> str | None:
    """The name of a colour [3], None when it has none."""
    distances = (torch.tensor(list(COLOURS.values())) - colour).norm(dim=-1)
    return list(COLOURS)[int(distances.argmin())] if distances.min() < NAMED else None


def overlap(one: Tensor, other: Tensor) -> float:
    """Intersection over union of two masks [..., H, W]."""
    one, other = one > 0.5, other > 0.5
    union = (one | other).sum().item()
    return (one & other).sum().item() / union if union else 1.0


def soft_overlap(one: Tensor, other: Tensor) -> float:
    """Intersection over union of two coverages [..., H, W] in 0..1, each pixel by its share."""
    union = torch.maximum(one, other).sum().item()
    return torch.minimum(one, other).sum().item() / union if union else 1.0


def alike(one: Tensor, other: Tensor, by: Judge) -> float:
    """How far two outlines are the same, in 0..1, as the judge sees them."""
    return overlap(one, other) if by == "threshold" else soft_overlap(one.float(), other.float())


def fitted(outline: Tensor, shape: str) -> tuple[Thing, float]:
    """The thing of `shape` that lies best on an outline [H, W] with something in it, and their soft overlap.

    From the best of the places where a shape is looked for, moved and sized as long as that helps.
    """
    outline = outline.float()
    height, width = outline.shape
    most, best = max(
        ((_covers(outline, thing), thing) for thing in (_laid(outline, shape, *one) for one in _tries(outline))),
        key=lambda found: found[0],
    )
    for step in _REFINED * 3:
        x, y, part = step / width, step / height, step / min(height, width)
        moves = ((x, 0.0, 0.0), (-x, 0.0, 0.0), (0.0, y, 0.0), (0.0, -y, 0.0), (0.0, 0.0, part), (0.0, 0.0, -part))
        for dx, dy, larger in moves:
            tried = replace(best, x=best.x + dx, y=best.y + dy, radius=max(part, best.radius + larger))
            if (found := _covers(outline, tried)) > most:
                most, best = found, tried
    return best, _covers(outline, best, SAMPLES)


def _background(frame: Tensor) -> Tensor:
    """The median colour along the border."""
    inside = torch.zeros(frame.shape[:2], dtype=torch.bool)
    inside[EDGE:-EDGE, EDGE:-EDGE] = True
    median: Tensor = frame[~inside].median(0).values
    return median


def _shape(outline: Tensor) -> str:
    """The shape that fits the outline best: laid into its box, and a little larger, smaller and further out."""
    tries = _tries(outline)
    return max(SHAPES, key=lambda shape: max(_lies(outline, _laid(outline, shape, *one)) for one in tries))


def _tries(outline: Tensor) -> list[tuple[float, tuple[float, float]]]:
    """How many times as large as its box a thing is tried, and pushed aside by how much of its size."""
    left, top, right, bottom = _box(outline)
    height, width = outline.shape
    pushes = [(0.0, 0.0)]
    if left == 0 or right == width:  # cut off by the border: the middle may lie further out
        pushes += [(-0.12 if left == 0 else 0.12, 0.0)]
    if top == 0 or bottom == height:
        pushes += [(0.0, -0.12 if top == 0 else 0.12)]
    scales = (0.92, 1.0, 1.08) if len(pushes) == 1 else (0.92, 1.0, 1.08, 1.16, 1.24)
    return [(scale, push) for scale in scales for push in pushes]


def _box(outline: Tensor) -> tuple[float, float, float, float]:
    """Left, top, right and bottom edge in pixels."""
    rows, columns = (outline > 0.5 * outline.max()).nonzero(as_tuple=True)
    return float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)


def _laid(outline: Tensor, shape: str, scale: float, push: tuple[float, float]) -> Thing:
    """`shape` in the box of an outline, `scale` times as large and pushed aside by so much of its size."""
    height, width = outline.shape
    box = _box(outline)
    left, top, right, bottom = bounds(shape)
    radius = scale * math.sqrt((box[2] - box[0]) * (box[3] - box[1]) / ((right - left) * (bottom - top)))
    x = ((box[0] + box[2]) - radius * (left + right)) / 2 + push[0] * radius
    y = ((box[1] + box[3]) - radius * (top + bottom)) / 2 + push[1] * radius
    return Thing(shape, "", x / width, y / height, radius / min(height, width))


def _lies(outline: Tensor, thing: Thing) -> float:
    """Overlap of an outline with a thing: by threshold where it is one of whole pixels, else by coverage."""
    if outline.dtype == torch.bool:
        height, width = outline.shape
        return overlap(outline, silhouette(thing, 1, height, width)[0])
    return _covers(outline, thing, SAMPLES)


def _covers(outline: Tensor, thing: Thing, samples: int = 1) -> float:
    height, width = outline.shape
    return soft_overlap(outline, silhouette(thing, 1, height, width, samples)[0])
