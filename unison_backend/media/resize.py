"""Pictures to a wanted size, as VACE's own preprocessing does it."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from ..plan import geometry


def cover(image: Tensor, width: int, height: int, shape: tuple[int, int] | None = None) -> Tensor:
    """[H, W, C] scaled to cover width x height (bicubic, antialiased) and cropped at the centre, in 0..1.

    shape: width and height of what the image belongs to, whole: it is stretched to that aspect. An image of the
    wanted size already is returned as it is, to the bit. Reference: preprocessor.py, resize and crop.
    """
    if image.shape[:2] == (height, width):
        return image
    own = shape or (image.shape[1], image.shape[0])
    scaled_width, scaled_height, left, top = geometry.cover(*own, width, height)
    pixels = rearrange(image, "h w c -> 1 c h w")
    scaled = functional.interpolate(pixels, (scaled_height, scaled_width), mode="bicubic", antialias=True).clamp(0, 1)
    return rearrange(scaled[..., top : top + height, left : left + width], "1 c h w -> h w c")


def letterbox_on_white(image: Tensor, width: int, height: int) -> Tensor:
    """[H, W, 3] scaled to fit width x height (bilinear) in the middle of a white canvas (reference: prepare_source)."""
    if image.shape[:2] == (height, width):
        return image
    scaled_width, scaled_height, left, top = geometry.letterbox(image.shape[1], image.shape[0], width, height)
    pixels = rearrange(image, "h w c -> 1 c h w")
    scaled = functional.interpolate(pixels, (scaled_height, scaled_width), mode="bilinear", align_corners=False)
    canvas = torch.ones(height, width, 3)
    canvas[top : top + scaled_height, left : left + scaled_width] = rearrange(scaled, "1 c h w -> h w c")
    return canvas
