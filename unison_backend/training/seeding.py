"""Everything random in a training comes from its seed and the number of a batch."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

SEED_STEP = 0x9E3779B1  # odd, so that every seed begins elsewhere; neighbours are far apart


def generator_at(seed: int, batch: int) -> torch.Generator:
    """The source of everything random in one batch. torch reads the low 32 bits of a seed alone: both go in there."""
    return torch.Generator().manual_seed((seed * SEED_STEP + batch) % 2**32)


def own_randomness() -> AbstractContextManager[None]:
    """Inside, torch's own generators, which dropout draws from, may be seeded; outside they stay as they were."""
    return torch.random.fork_rng(range(torch.cuda.device_count()))
