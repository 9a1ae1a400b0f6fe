"""How long and how fast a training runs, and what a state has to have been trained with to be gone on from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from ..errors import InputError

# What may differ between a state and the run that goes on from it: neither has a say in any weight.
_FREE = ("save_every", "allow_change")

MadeWith = Mapping[str, str | int | float | tuple[float, ...]]


@dataclass(frozen=True)
class Schedule:
    """Steps and learning rate: a linear warm-up, then half a cosine down to `floor` of the peak."""

    steps: int
    lr: float
    warmup: int = 0
    floor: float = 0.02
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = 1.0
    ema: float = 0.0  # decay of the averaged weights; 0 keeps none
    seed: int = 0
    save_every: int = 500
    accumulate: int = 1  # batches whose gradients make one step
    allow_change: bool = False  # go on from a state that was trained otherwise; what differs is said

    def __post_init__(self) -> None:
        if self.steps < 1 or self.lr <= 0:
            raise InputError(f"training takes at least 1 step and a learning rate above 0, not {self.steps}, {self.lr}")
        if self.accumulate < 1 or self.save_every < 1:
            raise InputError(f"accumulate is {self.accumulate}, save every {self.save_every}; both are at least 1")
        if not 0 <= self.warmup < max(2, self.steps):
            raise InputError(f"warmup is {self.warmup} of {self.steps} steps; it has to end before the training does")
        if not 0 <= self.ema < 1 or self.weight_decay < 0:
            raise InputError(
                f"ema is {self.ema}, weight decay {self.weight_decay}; ema is from 0 to below 1, weight decay from 0"
            )

    def rate(self, step: int) -> float:
        """The learning rate at `step` (from 0)."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        way = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * (self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, way))))

    def of_steps(self, steps: int) -> Schedule:
        """The same with another number of steps, of which the warm-up is at most a tenth."""
        return replace(self, steps=steps, warmup=min(self.warmup, max(1, steps // 10)))

    @property
    def made_with(self) -> MadeWith:
        """All that has a say in the weights."""
        return {name: value for name, value in asdict(self).items() if name not in _FREE}


def differences(then: MadeWith, now: MadeWith) -> list[str]:
    """What a state was made with otherwise than now, in words. Texts are keys of contents: they say nothing else."""
    found = []
    for name in [*now, *(name for name in then if name not in now)]:
        before, after = then.get(name), now.get(name)
        if before != after:
            plain = not isinstance(before or after, str)
            label = name.replace("_", " ")
            before, after = ("none" if value is None else value for value in (before, after))
            found.append(f"{label} {before}, now {after}" if plain else f"other {label}")
    return found
