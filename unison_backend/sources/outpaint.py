"""Outpainting: a source on a larger grey canvas, and the mask of what is new."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Sides = tuple[int, int, int, int]
"""Pixels left, above, right and below."""


def on_canvas(picture: Tensor, sides: Sides, value: float) -> Tensor:
    """[H, W, ...] with so many pixels of `value` around it."""
    import torch

    left, top, right, bottom = sides
    height, width = picture.shape[:2]
    canvas = torch.full((top + height + bottom, left + width + right, *picture.shape[2:]), value)
    canvas[top : top + height, left : left + width] = picture
    return canvas


def new_area(height: int, width: int, sides: Sides) -> Tensor:
    """[H, W] of the grown canvas: 1 where something is to be made, 0 on the source."""
    import torch

    return on_canvas(torch.zeros(height, width), sides, 1.0)
