"""A trained VAE made wider without a change of what it does, so that it need not begin from nothing.

The new channels are zero at first: what writes them is zero, what reads them is small and random, so that they learn
from the first step on.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

READ = 0.5  # deviation of what reads the new channels, of the deviation of what reads the old ones
TRIPLE, DOUBLE = "to_qkv.", "time_conv."  # layers that write queries, keys and values, and two frames, side by side


@torch.no_grad()
def widen(narrow: Any, wide: Any, seed: int = 75) -> None:
    """Fill diffusers' `AutoencoderKLWan` `wide` with what `narrow`, of a smaller base width, does.

    Equal to it up to rounding. seed: of the weights that read the new channels.
    """
    generator, old = torch.Generator().manual_seed(seed), dict(narrow.named_parameters())
    for name, value in wide.named_parameters():
        value.copy_(_widened(name, old[name], value.shape, generator))


def _widened(name: str, old: Tensor, shape: torch.Size, generator: torch.Generator) -> Tensor:
    if name.endswith("gamma"):
        # The norm's root mean square is over more channels, of which the new ones are zero.
        new = torch.ones(shape)
        new[: len(old)] = old * (len(old) / len(new)) ** 0.5
        return new
    parts = 3 if TRIPLE in name else 2 if DOUBLE in name and "decoder" in name else 1
    blocks = [_block(part, torch.Size((shape[0] // parts, *shape[1:])), generator) for part in old.float().chunk(parts)]
    if parts == 3:
        blocks[0] *= (shape[0] / len(old)) ** 0.5  # attention divides by the root of its width
    return torch.cat(blocks)


def _block(old: Tensor, shape: torch.Size, generator: torch.Generator) -> Tensor:
    new = torch.zeros(shape)
    if old.ndim > 1:
        columns = torch.randn((len(old), *shape[1:]), generator=generator) * old.std() * READ
        new[: len(old)] = columns
        new[: len(old), : old.shape[1]] = old
    else:
        new[: len(old)] = old
    return new
