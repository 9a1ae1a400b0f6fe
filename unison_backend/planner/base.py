"""What every planner offers, whoever does the thinking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..plan.plan import Plan
from ..plan.prompt import Prompt
from ..progress import Cancel, Progress, never, silent

if TYPE_CHECKING:
    from torch import Tensor

# Called with each piece of an answer as it arrives.
Stream = Callable[[str], None]


def unheard(text: str) -> None:
    """A `Stream` that nobody reads."""


@dataclass(frozen=True)
class PlanResult:
    """A plan and, from planners that are models, the features [1, S, D] that the projector reads."""

    plan: Plan
    features: Tensor | None = None


class Planner(Protocol):
    """Turns an instruction into a plan."""

    def plan(self, prompt: Prompt, *, progress: Progress = silent, cancel: Cancel = never) -> PlanResult:
        """The plan of `prompt`; raises PlanError for what cannot be meant, Cancelled."""
