"""VACE's context: sources encoded to the 96 channels that its blocks read (reference: wan_vace.py, vace_encode_*).

Channels: inactive latents 0-15, reactive latents 16-31, mask 32-95. References stand in front on the time axis.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from ..progress import Cancel, check, never
from ..sources.masks import MASK_THRESHOLD
from ..sources.prepare import Sources

LATENT_CHANNELS = 16
SPATIAL_STRIDE = 8
TEMPORAL_STRIDE = 4

Encode = Callable[[Tensor], Tensor]


def latent_frames(num_frames: int) -> int:
    """Latent frames of a clip: (T - 1) // 4 + 1."""
    return (num_frames - 1) // TEMPORAL_STRIDE + 1


def pack_mask(mask: Tensor) -> Tensor:
    """A mask [T, H, W] as [64, T', H/8, W/8]: each 8x8 block becomes channels (8 * dy + dx), time by nearest-exact."""
    frames, height, width = mask.shape
    rows, columns = height // SPATIAL_STRIDE, width // SPATIAL_STRIDE
    stride = SPATIAL_STRIDE
    channels = rearrange(mask, "t (rows dy) (columns dx) -> 1 (dy dx) t rows columns", dy=stride, dx=stride)
    length = (frames + TEMPORAL_STRIDE - 1) // TEMPORAL_STRIDE
    packed: Tensor = functional.interpolate(channels, (length, rows, columns), mode="nearest-exact")[0]
    return packed


def encode_context(sources: Sources, encode: Encode, cancel: Cancel = never) -> Tensor:
    """The context [1, 96, references + T', H/8, W/8] float32.

    encode: a clip [1, 3, T, H, W] in -1..1 to normalised latents [1, 16, T', H/8, W/8] (the VAE's mean, no noise).
    The split into halves uses the mask at its threshold, the mask channels its soft values.
    """
    video = to_signed(sources.video)
    marked = (sources.mask > MASK_THRESHOLD).to(video)[None, None]
    inactive, reactive = video * (1 - marked), video * marked
    check(cancel, "encoding")
    first = encode(inactive)
    check(cancel, "encoding")
    # Without a source both halves are the same grey clip; it is encoded once.
    second = first if torch.equal(inactive, reactive) else encode(reactive)
    mask = pack_mask(sources.mask.to(first))[None].to(first)
    context = torch.cat([first, second, mask], dim=1)
    for reference in reversed(sources.references):
        check(cancel, "encoding")
        latent = encode(to_signed(reference[None]))
        padding = latent.new_zeros(1, context.shape[1] - LATENT_CHANNELS, *latent.shape[2:])
        context = torch.cat([torch.cat([latent, padding], dim=1), context], dim=2)
    return context


def to_signed(frames: Tensor) -> Tensor:
    """[T, H, W, 3] in 0..1 to [1, 3, T, H, W] in -1..1."""
    return rearrange(frames * 2 - 1, "t h w c -> 1 c t h w")


def to_unit(clip: Tensor) -> Tensor:
    """[1, 3, T, H, W] in -1..1 to [T, H, W, 3] in 0..1, clamped, on the CPU."""
    return rearrange(((clip.float() + 1) / 2).clamp(0, 1), "1 c t h w -> t h w c").cpu()
