"""Whose turn it is: a model of two experts has one for the noisy steps and one for the rest, and one works at a time.

The rule is diffusers' (`WanVACEPipeline`): a step whose timestep is at or above `boundary * 1000` is the high noise
expert's with its guidance, every other one the low noise expert's with its own. Latents and the sampler's memory go on
through the change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, NamedTuple

import torch

from .unipc import TRAIN_TIMESTEPS, flow_sigmas, integer_time

Batches = list[slice]
"""Which guidance sides each forward pass takes."""


class Expert(NamedTuple):
    """A transformer, its guidance, and the lowest whole timestep that is its."""

    model: Any
    cfg: float
    lowest: float = 0.0


def timestep(sigma: float) -> int:
    """The whole timestep, 1 to 1000, at which a model is asked for `sigma`."""
    return round(TRAIN_TIMESTEPS * integer_time(sigma))


def shares(steps: int, shift: float, boundary: float) -> tuple[int, int]:
    """How many of the steps are the high noise expert's and how many the low noise one's."""
    times = [timestep(sigma) for sigma in flow_sigmas(steps, shift).tolist()[:-1]]
    high = sum(time >= boundary * TRAIN_TIMESTEPS for time in times)
    return high, steps - high


class Turns:
    """Who makes the steps of one run. start: brings an expert to work and says how it takes the guidance sides."""

    def __init__(self, experts: Sequence[Expert], start: Callable[[Expert], AbstractContextManager[Batches]]) -> None:
        self._experts, self._start, self._stack = experts, start, ExitStack()
        self._working: Expert | None = None
        self._batches: Batches = []

    def __enter__(self) -> Turns:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def changes(self, sigma: float) -> bool:
        """Whether the step at `sigma` is another expert's than the last one."""
        return self._working is not None and self._due(sigma) is not self._working

    def at(self, sigma: float) -> tuple[Expert, Batches]:
        """The expert of the step at `sigma`, which is at work from now on, the last one having left before."""
        due = self._due(sigma)
        if due is not self._working:
            self._stack.close()
            self._batches, self._working = self._stack.enter_context(self._start(due)), due
        return due, self._batches

    def _due(self, sigma: float) -> Expert:
        return next(expert for expert in self._experts if timestep(sigma) >= expert.lowest)


@contextmanager
def lent(model: Any, device: torch.device) -> Iterator[None]:
    """Inside, the tensors of `model` are on `device`; afterwards it has those it had, and nothing is copied back.

    Weights that are mapped from a file so stay there: two experts need no memory of the machine for what does not work.
    """
    kept = [(tensor, tensor.data) for tensor in (*model.parameters(), *model.buffers())]
    try:
        for tensor, own in kept:
            tensor.data = own.to(device)
        yield
    finally:
        for tensor, own in kept:
            tensor.data = own
