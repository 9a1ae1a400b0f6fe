"""The reference's sampler as plain functions: flow UniPC, order 2, bh2, on predicted clean samples.

Source: Wan 2.1's FlowUniPCMultistepScheduler as Unison's inference.py sets it up (predict_x0, lower_order_final,
corrector from the second evaluation on, final sigma 0); the update is B(h) UniPC of arXiv 2302.04867. It needs torch
only, so that the standalone engine and a host's sampler can share it.

The flow is x = (1 - sigma) x0 + sigma noise; lam = ln((1 - sigma) / sigma) is infinite at sigma 0 and 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor

from ..errors import InputError

# The reference's schedule starts a hair below 1, where lam is still finite (FlowUniPCMultistepScheduler with
# shift 1 and 1000 training timesteps: sigma_max = 1 - 1 / 1000).
SIGMA_MAX = 0.999
TRAIN_TIMESTEPS = 1000
# What storing a sigma as float32 can take off 1000 sigma: a time that was whole must not fall below itself.
TIME_ROUNDING = TRAIN_TIMESTEPS * 2.0**-25

Level = TypeVar("Level", float, Tensor)
Denoise: TypeAlias = Callable[[Tensor, float], Tensor]
"""(x, sigma) to the predicted clean sample of x, in x's shape."""
StepDone: TypeAlias = Callable[[int, Tensor, float, Tensor], None]
"""(step from 0, the x that was evaluated, its sigma, the predicted clean sample), called after each evaluation."""


def flow_sigmas(steps: int, shift: float) -> Tensor:
    """The reference's sigmas, float32 [steps + 1] on the CPU, descending to 0, all below 1.

    u = 0.999 (1 - k / steps), sigma = shift u / (1 + (shift - 1) u). steps 1 to 1000, shift above 0 to 100, else
    InputError.
    """
    if not 1 <= steps <= 1000:
        raise InputError(f"steps is {steps}; allowed is 1 to 1000")
    if not 0 < shift <= 100:
        raise InputError(f"shift is {shift}; allowed is above 0 to 100")
    u = SIGMA_MAX * (1 - torch.arange(steps + 1, dtype=torch.float64) / steps)
    return shifted(u, shift).float()


def shifted(u: Level, shift: float) -> Level:
    """Noise levels in 0..1 with the flow's time shift: sigma = shift u / (1 + (shift - 1) u)."""
    return shift * u / (1 + (shift - 1) * u)


def integer_time(sigma: float) -> float:
    """The sigma at which the reference asks its network: whole thousandths, rounded down.

    sigma 0 to 1 in, 0.001 to 1 out. A sigma below 0.001 is asked at 0.001 (the reference says time 0 there; its own
    50 steps end at 0.092).
    """
    return max(1, math.floor(TRAIN_TIMESTEPS * sigma + TIME_ROUNDING)) / TRAIN_TIMESTEPS


@torch.no_grad()
def sample_unipc(
    denoise: Denoise, x: Tensor, sigmas: Sequence[float] | Tensor, step_done: StepDone | None = None
) -> Tensor:
    """The sample at the last sigma, in x's shape and dtype, from one evaluation per step; gradients are not kept.

    x: the sample at sigmas[0], used as it is and left as it is. A full run starts from unit normal noise, NOT scaled
    by sigmas[0]; the later part of a split schedule starts from the earlier part's result.
    sigmas: n + 1 values for n steps, below 1 and descending. With the last at 0 the result is the last prediction
    itself; a last one above 0 is reached by a first-order step, as the reference takes its last step.
    Raises InputError for any other schedule. What the callbacks raise passes through.
    """
    levels = _checked(sigmas)
    lams = [_lam(sigma) for sigma in levels]
    steps = len(levels) - 1
    corrected, predicted, order = x, x, 0
    past: list[Tensor] = []  # the last two predictions of the clean sample, the newer one last
    for i in range(steps):
        clean = denoise(predicted, levels[i]).to(x)
        if step_done is not None:
            step_done(i, predicted, levels[i], clean)
        if i > 0:
            move = _Move(levels[i - 1], levels[i], lams[i] - lams[i - 1])
            corrected = _correct(move, corrected, past, clean, lams[i - 1] - lams[max(i - 2, 0)], order)
        past = [*past[-1:], clean]
        order = min(2, steps - i, i + 1)
        if levels[i + 1] == 0:
            return clean
        move = _Move(levels[i], levels[i + 1], lams[i + 1] - lams[i])
        predicted = _predict(move, corrected, past, lams[i] - lams[max(i - 1, 0)], order)
    return predicted


@dataclass(frozen=True)
class _Move:
    """From sigma a to sigma b > 0, h = lam(b) - lam(a) > 0."""

    a: float
    b: float
    h: float

    @property
    def weight(self) -> float:
        """What a prediction weighs at b: alpha_b B(h), with bh2's B(h) = 1 - exp(-h)."""
        return -(1 - self.b) * math.expm1(-self.h)

    def base(self, corrected: Tensor, clean: Tensor) -> Tensor:
        """The first-order step, exact where the prediction does not change."""
        return (self.b / self.a) * corrected + self.weight * clean


def _predict(move: _Move, corrected: Tensor, past: list[Tensor], previous_h: float, order: int) -> Tensor:
    base = move.base(corrected, past[-1])
    if order == 1:
        return base
    r = -previous_h / move.h
    return base + (move.weight * 0.5 / r) * (past[-2] - past[-1])


def _correct(
    move: _Move, corrected: Tensor, past: list[Tensor], clean: Tensor, previous_h: float, order: int
) -> Tensor:
    """The sample at b once more, now that the prediction there (clean) is known; order is the predictor's."""
    base = move.base(corrected, past[-1])
    if order == 1:
        return base + (move.weight * 0.5) * (clean - past[-1])
    r, q = -previous_h / move.h, -move.h
    phi_1 = _phi(1, q)
    first, second = _phi(2, q) / phi_1, 2 * _phi(3, q) / phi_1
    rho_1 = (second - first) / (r - 1)  # of rho_1 + rho_2 = first, r rho_1 + rho_2 = second
    rho_2 = first - rho_1
    return base + (move.weight * rho_1 / r) * (past[-2] - past[-1]) + (move.weight * rho_2) * (clean - past[-1])


def _phi(k: int, q: float) -> float:
    """phi_k(q) = sum over n of q^n / (n + k)!, k >= 1; phi_1 = expm1(q) / q. Free of cancellation near 0."""
    if abs(q) < 1:
        return math.fsum(q**n / math.factorial(n + k) for n in range(18))
    return math.expm1(q) / q if k == 1 else (_phi(k - 1, q) - 1 / math.factorial(k - 1)) / q


def _lam(sigma: float) -> float:
    return math.log1p(-sigma) - math.log(sigma) if sigma > 0 else math.inf


def _checked(sigmas: Sequence[float] | Tensor) -> list[float]:
    """The schedule as floats; InputError unless lam is finite where it has to be and rises with each step."""
    values = [float(sigma) for sigma in (sigmas.flatten().tolist() if isinstance(sigmas, Tensor) else sigmas)]
    if len(values) < 2:
        raise InputError(f"the schedule has {len(values)} sigmas; sampling takes at least two, a start and an end")
    for value in values:
        if not 0 <= value < 1:
            raise InputError(
                f"the schedule holds sigma {value:g}; UniPC takes 0 to below 1: "
                "use UnisonSigmas, or another schedule that starts below 1"
            )
    for number, (early, late) in enumerate(itertools.pairwise(values), 1):
        if _lam(late) <= _lam(early):
            raise InputError(f"sigma {number} of the schedule is {late:g} after {early:g}; each has to be lower")
    return values
