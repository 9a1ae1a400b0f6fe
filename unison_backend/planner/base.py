"""What every planner offers, whoever does the thinking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ..plan.plan import Plan
from ..plan.prompt import Prompt
from ..plan.spec import Reason
from ..plan.tasks import Make
from ..progress import Cancel, Progress, never, silent
from .answers import AnswerSettings

if TYPE_CHECKING:
    from torch import Tensor

    from ..sources.prepare import Media
    from .rules.intent_model import Reading

PLANNERS = ("auto", "rules", "qwen", "prompt", "server")

# Called with each piece of an answer as it arrives.
Stream = Callable[[str], None]


def unheard(text: str) -> None:
    """A `Stream` that nobody reads."""


@dataclass(frozen=True)
class PlanResult:
    """A plan, and what there is to say about it.

    features: [1, S, D] for the projector, from planners that are models. reading: how the rules took the words.
    notices: what a person has to know about this plan.
    """

    plan: Plan
    features: Tensor | None = None
    reading: Reading | None = None
    notices: tuple[Reason, ...] = ()

    def told(self, reasons: tuple[Reason, ...]) -> PlanResult:
        """The same with more to say about it, in front."""
        return replace(self, notices=(*reasons, *self.notices))


class Planner(Protocol):
    """Turns an instruction into a plan."""

    def plan(
        self,
        prompt: Prompt,
        *,
        make: Make = "auto",
        media: Media | None = None,
        progress: Progress = silent,
        cancel: Cancel = never,
    ) -> PlanResult:
        """The plan of `prompt`, for what the person wants of it. media: its pixels, for planners that look at them.

        Raises PlanError for what cannot be meant, InputError for what these media cannot give, Cancelled.
        """


@runtime_checkable
class Answering(Planner, Protocol):
    """A planner that answers questions as well."""

    def answer(
        self,
        prompt: Prompt,
        media: Media | None = None,
        settings: AnswerSettings = ...,
        *,
        stream: Stream = unheard,
        progress: Progress = silent,
        cancel: Cancel = never,
    ) -> str:
        """The answer to `prompt`, streamed piece by piece. media: what it is shown.

        Raises InputError for media that it cannot look at, UnisonError of the model, Cancelled.
        """
