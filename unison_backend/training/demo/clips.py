"""The clips that the demo set's VAE learns from: small things that move, and all that VACE shows a VAE besides.

A VAE of convolutions learns an outline from the pixels around it, so most clips are a crop with one thing or two, as
large and as fast in pixels as the tasks have them, and little of the plain background, which costs as much and says
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from einops import rearrange
from torch import Tensor

from ...annotators.maps.canny import make as canny
from ...demo.world.shapes import COLOURS, MOTIONS, SAMPLES, SHAPES, TRAVEL, Scene, Thing, render, silhouette

SIDE = 64  # pixels of the tasks' shorter side, of which a thing's radius is a share
SMALLEST, LARGEST = 5.5, 23.0  # radius in pixels; small ones are drawn more often
TASK_FRAMES = 9  # in which a thing goes its whole way
GREY = 0.5

Value = TypeVar("Value")
Size = tuple[int, int]
"""Height and width in pixels."""


def batch(
    generator: torch.Generator, lengths: Sequence[int], sizes: Sequence[Size], pixels: int, *, plain: float = 0.7
) -> Tensor:
    """Random clips [B, 3, T, H, W] in -1..1 of one length and size: as many as `pixels` (T x H x W) allow.

    lengths, sizes: drawn equally often. plain: share of scenes as they are; the others are masked scenes, frames among
    grey ones, edge maps, things on white, and colours that have no name.
    """
    length, (height, width) = _choice(generator, lengths), _choice(generator, sizes)
    count = max(1, pixels // (length * height * width))
    clips = [_clip(generator, length, height, width, plain) for _ in range(count)]
    return rearrange(clips, "b t h w c -> b c t h w") * 2 - 1


def _clip(generator: torch.Generator, length: int, height: int, width: int, plain: float) -> Tensor:
    extent = (length, height, width)
    kind = (_uniform(generator) - plain) / max(1e-6, 1 - plain)  # below 0: plain; else 0..1
    things = tuple(_thing(generator, *extent) for _ in range(1 + (_uniform(generator) < 0.35)))
    background = "white" if 0 <= kind < 0.1 else _choice(generator, tuple(COLOURS))
    clip = render(Scene(background, things), *extent, SAMPLES)
    if kind < 0.1:
        return clip
    if kind < 0.5:
        return _masked(generator, clip)
    if kind < 0.65:
        return _among_grey(generator, clip)
    if kind < 0.9:
        return canny(render(Scene("black", (things[0],)), *extent, SAMPLES))
    # Any colours at all, with light falling across: those between the named ones are nothing new then.
    light = torch.linspace(_uniform(generator), _uniform(generator), width)[None, None, :, None]
    return (clip * torch.rand(3, generator=generator) * 0.7 + 0.3 * light).clamp(0, 1)


def _masked(generator: torch.Generator, clip: Tensor) -> Tensor:
    """Grey where a thing lies, or everywhere else, as VACE parts a source by its mask; the mask may be a box."""
    length, height, width = clip.shape[:3]
    hole = silhouette(_thing(generator, length, height, width), length, height, width, SAMPLES) > 0.5
    if _uniform(generator) < 0.5:
        hole = hole.any(2, keepdim=True) & hole.any(1, keepdim=True)
    if _uniform(generator) < 0.4:
        hole = ~hole
    return torch.where(hole[..., None], GREY, clip)


def _among_grey(generator: torch.Generator, clip: Tensor) -> Tensor:
    """The first frames, the last one or both alone, the others grey, as frames are given."""
    length = len(clip)
    given = torch.zeros(length, dtype=torch.bool)
    which = _choice(generator, ("first", "last", "both", "several"))
    if which in ("first", "both"):
        given[0] = True
    if which in ("last", "both"):
        given[-1] = True
    if which == "several":
        given[: 1 + _integer(generator, length)] = True
    return torch.where(given[:, None, None, None], clip, GREY)


def _thing(generator: torch.Generator, length: int, height: int, width: int) -> Thing:
    """One thing, still or on its way, as large and as fast in pixels as the tasks have them."""
    x, y = (0.15 + 0.7 * _uniform(generator) for _ in range(2))
    radius = SMALLEST + (LARGEST - SMALLEST) * _uniform(generator) ** 1.6
    way = TRAVEL * SIDE * min(1.0, (length - 1) / (TASK_FRAMES - 1))
    right, down = map(float, MOTIONS[_choice(generator, tuple(MOTIONS))])
    if _uniform(generator) < 0.25:  # any other way
        right, down = (2 * _uniform(generator) - 1 for _ in range(2))
    dx, dy = way * right / width, way * down / height
    shape, colour = _choice(generator, SHAPES), _choice(generator, tuple(COLOURS))
    return Thing(shape, colour, x - dx / 2, y - dy / 2, radius / min(height, width), dx, dy)


def _uniform(generator: torch.Generator) -> float:
    return torch.rand((), generator=generator).item()


def _integer(generator: torch.Generator, below: int) -> int:
    return int(torch.randint(below, (), generator=generator).item())


def _choice(generator: torch.Generator, values: Sequence[Value]) -> Value:
    return values[_integer(generator, len(values))]
