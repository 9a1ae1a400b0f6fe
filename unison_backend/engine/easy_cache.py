"""EasyCache (arXiv 2507.02860): steps whose velocity can be told from the last one are not computed. Approximate.

A step's velocity changes about as much, for what its sample moved, as it did in the step before. While the changes
that are expected so add up to less than a threshold, the last difference of velocity and sample is used again.
diffusers' own hooks are not used: on Wan VACE some are hooked to nothing, and none leaves out the VACE blocks.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

# Steps at both ends that are always computed, as shares of all (the same as in ComfyUI's EasyCache).
FIRST, LAST = 0.15, 0.95


class EasyCache:
    """One run's memory; call it once a step, in order."""

    def __init__(self, threshold: float, steps: int) -> None:
        self.threshold, self.steps = threshold, steps
        self.computed = self._step = 0
        self._expected = 0.0
        self._rate: Tensor | None = None
        self._x: Tensor | None = None
        self._velocity: Tensor | None = None

    def __call__(self, x: Tensor, compute: Callable[[], Tensor]) -> Tensor:
        """The velocity at x: computed, or guessed from the last step."""
        velocity = self._guess(x)
        if velocity is None:
            velocity = compute()
            self.computed += 1
            self._expected = 0.0
            if self._x is not None and self._velocity is not None:
                self._rate = _size(velocity - self._velocity) / _size(x - self._x)
        self._x, self._velocity = x, velocity
        self._step += 1
        return velocity

    def forget(self) -> None:
        """Compute the next step whatever came before: another model makes it."""
        self._rate = self._x = self._velocity = None
        self._expected = 0.0

    def _guess(self, x: Tensor) -> Tensor | None:
        """What the last step's velocity lets expect, None where it has to be computed."""
        if self._rate is None or self._x is None or self._velocity is None:
            return None
        if not FIRST * self.steps <= self._step < LAST * self.steps:
            return None
        change = self._rate * _size(x - self._x) / _size(self._velocity)
        self._expected += float(change)
        return x + (self._velocity - self._x) if self._expected < self.threshold else None


def _size(tensor: Tensor) -> Tensor:
    return tensor.abs().mean()
