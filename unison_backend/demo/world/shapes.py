"""The shape world: coloured shapes on plain backgrounds, still or moving, drawn exactly from their description.

The demo models are trained on it and measured with it. A scene is a value: the same scene gives the same pixels at
any size and length, so what is asked for, what is drawn and what is found in a picture can be compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.90, 0.10, 0.10),
    "green": (0.10, 0.65, 0.15),
    "blue": (0.10, 0.20, 0.90),
    "yellow": (0.98, 0.90, 0.10),
    "orange": (1.00, 0.55, 0.05),
    "purple": (0.55, 0.15, 0.75),
    "white": (0.97, 0.97, 0.97),
    "black": (0.04, 0.04, 0.04),
}
SHAPES = ("circle", "square", "triangle", "star")
SIZES = {"small": 0.16, "medium": 0.23, "large": 0.32}  # radius, in shorter sides
PLACES = {  # centre, in widths and heights
    "centre": (0.5, 0.5),
    "left": (0.28, 0.5),
    "right": (0.72, 0.5),
    "top": (0.5, 0.28),
    "bottom": (0.5, 0.72),
}
MOTIONS = {"still": (0, 0), "left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
SAMPLES = 3  # of a row and column of a pixel: no pixel is wrong by over 0.04 then (0.3 at a point of a star with one)
TRAVEL = 0.4  # how far a moving thing goes in a clip, in widths or heights


def _ring(corners: int, start: float = -math.pi / 2, inner: float | None = None) -> tuple[tuple[float, float], ...]:
    """The corners of a regular polygon of radius 1, first one up; with `inner`, of a star with that inner radius."""
    count = corners if inner is None else 2 * corners
    radii = [1.0 if inner is None or index % 2 == 0 else inner for index in range(count)]
    angles = [start + 2 * math.pi * index / count for index in range(count)]
    return tuple(
        (radius * math.cos(angle), radius * math.sin(angle)) for radius, angle in zip(radii, angles, strict=True)
    )


_POLYGONS = {"square": _ring(4, -math.pi / 4), "triangle": _ring(3), "star": _ring(5, inner=0.45)}
_SCALE = {"circle": 0.9, "square": 1.1, "triangle": 1.2, "star": 1.25}  # to about the same area


@dataclass(frozen=True)
class Thing:
    """One shape. x, y: centre in widths and heights; radius in shorter sides; dx, dy: way over the whole clip."""

    shape: str
    colour: str
    x: float = 0.5
    y: float = 0.5
    radius: float = SIZES["medium"]
    dx: float = 0.0
    dy: float = 0.0

    def moving(self, motion: str) -> Thing:
        """The same thing going `motion`, its centre now that of its way."""
        dx, dy = (TRAVEL * part for part in MOTIONS[motion])
        return replace(self, dx=dx, dy=dy, x=self.x - dx / 2, y=self.y - dy / 2)


@dataclass(frozen=True)
class Scene:
    """A background colour and things from back to front."""

    background: str
    things: tuple[Thing, ...]


def render(scene: Scene, frames: int, height: int, width: int, samples: int = 1) -> Tensor:
    """The scene as [T, H, W, 3] float32 in 0..1, edges smooth over one pixel. samples: as `silhouette` takes it."""
    picture = torch.tensor(COLOURS[scene.background]).expand(frames, height, width, 3)
    for thing in scene.things:
        cover = silhouette(thing, frames, height, width, samples)[..., None]
        picture = picture * (1 - cover) + torch.tensor(COLOURS[thing.colour]) * cover
    return picture.contiguous()


def silhouette(thing: Thing, frames: int, height: int, width: int, samples: int = 1) -> Tensor:
    """How much of each pixel `thing` covers: [T, H, W] float32 in 0..1.

    samples: places a pixel's row and column are looked at. With one, a pixel's share follows from how far its middle is
    from the outline, which rounds corners; `SAMPLES` of them show points as sharp as pixels can.
    """
    time = torch.linspace(0, 1, frames) if frames > 1 else torch.full((1,), 0.5 if _moves(thing) else 0.0)
    x = (thing.x + thing.dx * time)[:, None, None] * width
    y = (thing.y + thing.dy * time)[:, None, None] * height
    right = (torch.arange(width * samples) + 0.5)[None, None, :] / samples - x
    down = (torch.arange(height * samples) + 0.5)[None, :, None] / samples - y
    radius = thing.radius * _SCALE[thing.shape] * min(height, width)
    distance = _distance(thing.shape, right / radius, down / radius) * radius * samples
    cover = (0.5 - distance).clamp(0, 1)
    return cover if samples == 1 else functional.avg_pool2d(cover, samples)


def bounds(shape: str) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a thing of radius 1 around its centre."""
    corners = _POLYGONS.get(shape, ((-1.0, -1.0), (1.0, 1.0)))
    columns, rows = zip(*corners, strict=True)
    left, top, right, bottom = (_SCALE[shape] * edge for edge in (min(columns), min(rows), max(columns), max(rows)))
    return left, top, right, bottom


def _moves(thing: Thing) -> bool:
    return bool(thing.dx or thing.dy)


def _distance(shape: str, x: Tensor, y: Tensor) -> Tensor:
    """Signed distance to the outline of the shape of radius 1 (inside is negative)."""
    if shape == "circle":
        return torch.hypot(x, y) - 1
    corners = _POLYGONS[shape]
    shortest = torch.full((), math.inf)
    crossings = torch.zeros((), dtype=torch.bool)
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        ex, ey, px, py = bx - ax, by - ay, x - ax, y - ay
        along = ((px * ex + py * ey) / (ex * ex + ey * ey)).clamp(0, 1)
        shortest = torch.minimum(shortest, torch.hypot(px - along * ex, py - along * ey))
        if ay != by:  # even-odd rule: does a ray to the right of the pixel cross this edge?
            crossings = crossings ^ (((ay > y) != (by > y)) & (x < ex * (y - ay) / (by - ay) + ax))
    return torch.where(crossings, -shortest, shortest)
