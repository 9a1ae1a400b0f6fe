"""What the sockets of planners that are told what a plan is have in common, wherever the model runs."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from ..unison_backend.media.from_tensors import TensorMedia
from ..unison_backend.plan.plan import Plan
from ..unison_backend.plan.prompt import Prompt
from ..unison_backend.plan.spec import DEFAULTS
from ..unison_backend.plan.tasks import Make
from ..unison_backend.planner.answers import USUAL, AnswerSettings
from ..unison_backend.planner.base import PlanResult, Stream, unheard
from ..unison_backend.planner.by_pixels import with_seen_mask
from ..unison_backend.progress import Cancel, Progress


class AskedPlanner:
    """A UNISON_PLANNER that asks a model for its plan by prompt. Subclasses say which: `asking`."""

    can_answer = True
    limits = DEFAULTS

    def asking(self, settings: AnswerSettings, stream: Stream) -> AbstractContextManager[Any]:
        """Inside, the `PromptPlanner` is ready to be asked."""
        raise NotImplementedError

    def plan_with(
        self,
        prompt: Prompt,
        media: TensorMedia,
        make: Make,
        progress: Progress,
        cancel: Cancel,
        *,
        settings: AnswerSettings = USUAL,
        stream: Stream = unheard,
    ) -> PlanResult:
        """The model's plan with the mask that its pixels show, a question's with its answer.

        Raises as `PromptPlanner.plan`.
        """
        with self.asking(settings, stream) as planner:

            def ask(of: Prompt, make: Make = make) -> PlanResult:
                made: PlanResult = planner.plan(of, make=make, media=media, progress=progress, cancel=cancel)
                return made

            return with_seen_mask(ask(prompt), prompt, ask, lambda index: media.look(index, cancel), make)

    def answer(
        self,
        prompt: Prompt,
        media: TensorMedia,
        settings: AnswerSettings,
        *,
        stream: Stream,
        progress: Progress,
        cancel: Cancel,
    ) -> str:
        """The answer alone. Raises as `PromptPlanner.answer`."""
        with self.asking(settings, stream) as planner:
            return str(planner.answer(prompt, media, settings, stream=stream, progress=progress, cancel=cancel))

    def notices(self, plan: Plan, media: TensorMedia) -> tuple[str, ...]:
        """What there is to say of its plans."""
        return ()

    def features(self, prompt: Prompt, cancel: Cancel) -> None:
        """There are none: the projector takes those of a Qwen2.5-VL with planning weights."""
