"""What a run of the engine can be told; no torch here, so that it can be checked before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from ..defaults import CFG, SEED, SHIFT, STEPS, VACE_STRENGTH
from ..errors import InputError


@dataclass(frozen=True)
class SamplingSettings:
    """How latents are denoised. cfg 1 runs the positive side only."""

    steps: int = STEPS
    cfg: float = CFG
    shift: float = SHIFT
    seed: int = SEED
    vace_strength: float = VACE_STRENGTH

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("steps", self.steps, 1, 1000),
            ("cfg", self.cfg, 0, 100),
            ("shift", self.shift, 0.01, 100),
            ("seed", self.seed, 0, 2**64 - 1),
            ("vace_strength", self.vace_strength, 0, 10),
        ):
            if not low <= value <= high:
                raise InputError(f"{name} is {value}; allowed is {low} to {high}")


REFERENCE = SamplingSettings()
