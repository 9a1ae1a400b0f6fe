"""What changes the weights: AdamW, each parameter at its own rate, and Muon beside it where a recipe wants that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .muon import WithMuon
from .schedule import Schedule

Scale = Callable[[str], float]
Matrices = Callable[[str, Tensor], bool]


def same_rate(name: str) -> float:
    """A `Scale` under which all parameters learn at the schedule's rate."""
    return 1.0


def make_optimizer(
    parameters: Mapping[str, nn.Parameter], schedule: Schedule, scale: Scale = same_rate,
    matrices: Matrices | None = None,
) -> Any:  # fmt: skip
    """AdamW, in groups by their scale; with Muon beside it where that trains something.

    scale: what a parameter's rate is multiplied with, by its name. matrices: which parameters Muon trains.
    """
    by_muon = {name for name, value in parameters.items() if matrices and matrices(name, value)}
    rest = {name: value for name, value in parameters.items() if name not in by_muon}
    adamw = torch.optim.AdamW(
        [{"params": list(group), "scale": factor} for factor, group in _by_scale(rest, scale).items()],
        lr=schedule.lr,
        betas=schedule.betas,
        weight_decay=schedule.weight_decay,
    )
    muon = [parameters[name] for name in sorted(by_muon)]
    return WithMuon(muon, adamw, schedule.lr, schedule.weight_decay) if muon else adamw


def _by_scale(parameters: Mapping[str, nn.Parameter], scale: Scale) -> dict[float, list[nn.Parameter]]:
    groups: dict[float, list[nn.Parameter]] = {}
    for name, value in parameters.items():
        groups.setdefault(scale(name), []).append(value)
    return groups
