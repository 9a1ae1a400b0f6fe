"""The planner that asks a model by prompt.

One conversation gives the plan or, for a question, the answer with it. What the model says is held to a schema where
its runtime can, and always judged by `plan_reader`; what cannot be used goes back to it once, with what is wrong; then
the rules plan, and the person is told why.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ...errors import InputError
from ...plan.plan import Plan, PlanError, task_of
from ...plan.prompt import Prompt
from ...plan.spec import Reason
from ...plan.tasks import Make
from ...progress import Cancel, Progress, never, silent
from ..answers import USUAL, AnswerSettings
from ..base import PlanResult, Stream, unheard
from . import conversation
from .answer_stream import AnswerStream
from .model import ChatModel, Form, Message, ModelFailed, Reply, Settings
from .plan_reader import ReadPlan, read_plan
from .plan_schema import MAX_ANSWER, Asked, exact_schema, flat_schema

if TYPE_CHECKING:
    from ...sources.prepare import Media

# All fields with their names take about 150 tokens; a phrase in another script a few dozen more.
PLAN_TOKENS = 320
MAX_MEDIA = 32
_CHARACTERS_A_TOKEN = 4  # of an answer in English; the limit in tokens holds besides


@dataclass(frozen=True)
class PromptPlanner:
    """A model as a `Planner` that can also answer.

    shows: pictures and frames are shown to it; else media are only named. by_rules: where it fails the rules plan and
    say so; else that is an error. settings: of answers. stream: hears an answer that comes with a plan. why: it is this
    model that plans, said with each of its plans.
    """

    model: ChatModel
    shows: bool = True
    by_rules: bool = True
    settings: AnswerSettings = field(default_factory=AnswerSettings)
    stream: Stream = unheard
    why: str = ""

    def plan(
        self,
        prompt: Prompt,
        *,
        make: Make = "auto",
        media: Media | None = None,
        progress: Progress = silent,
        cancel: Cancel = never,
    ) -> PlanResult:
        """The plan of `prompt`; a question's has its answer inside. media: what the model is shown.

        Raises PlanError and InputError for what these media cannot give, Cancelled, and ModelFailed where the rules
        are not to plan instead.
        """
        from ..rules.completing import completed_json, refuse_operations

        refuse_operations(prompt, make)
        if make == "answer":
            return PlanResult(Plan(task_of("text", prompt.kinds), prompt=prompt.text, media=prompt.kinds))
        if len(prompt.media) > MAX_MEDIA:
            return _by_rules(prompt, make, f"there are {len(prompt.media)} media, and a model is told of {MAX_MEDIA}")
        asked = Asked.of(prompt, make)
        form = Form(flat_schema(asked), exact_schema(asked, self._longest_answer()))
        try:
            read, told = self._asked(prompt, asked, form, media, progress, cancel)
        except ModelFailed as error:
            if not self.by_rules:
                raise
            return _by_rules(prompt, make, str(error))
        notices = [Reason("planner", self.why)] if self.why else []
        notices += [Reason("planner", text, is_warning=True) for text in told]
        plan, completed = completed_json(read.plan, prompt)
        if self.settings.temperature or (prompt.media and self._seen(media) is None):
            plan = replace(plan, answer=None)  # it is asked for on its own, or of what was not seen
        return PlanResult(plan, notices=(*notices, *read.notices, *completed))

    def _longest_answer(self) -> int:
        return min(MAX_ANSWER, self.settings.max_new_tokens * _CHARACTERS_A_TOKEN)

    def _asked(
        self, prompt: Prompt, asked: Asked, form: Form, media: Media | None, progress: Progress, cancel: Cancel
    ) -> tuple[ReadPlan, tuple[str, ...]]:
        """The model's plan, put right once where it has to be, and what it said of how it was asked."""
        turns: tuple[Message, ...] = conversation.opening(prompt, asked, self._seen(media), progress, cancel)
        settings = Settings(PLAN_TOKENS + self.settings.max_new_tokens)
        told: list[str] = []
        problem: PlanError | None = None
        for _ in range(2):
            stream = AnswerStream(self.stream)
            reply = self.model.chat(turns, settings, form, stream=stream, progress=progress, cancel=cancel)
            told += [text for text in reply.notices if text not in told]
            try:
                return read_plan(reply.text, prompt, asked, is_cut=reply.is_cut), tuple(told)
            except PlanError as error:
                problem = error
                turns = (*turns, *conversation.repair(reply.text, error))
        raise ModelFailed(f"{self.model.name} gave no plan that can be used, asked twice ({problem})")

    def _seen(self, media: Media | None) -> Media | None:
        return media if self.shows and self.model.sees else None

    def answer(
        self,
        prompt: Prompt,
        media: Media | None = None,
        settings: AnswerSettings = USUAL,
        *,
        stream: Stream = unheard,
        progress: Progress = silent,
        cancel: Cancel = never,
    ) -> str:
        """The answer to `prompt`, streamed piece by piece; it is shown every medium. Raises ModelFailed, Cancelled."""
        if prompt.media and (media is None or self._seen(media) is None):
            why = "it is only told the names of media" if media is not None else "the instruction holds no files"
            raise InputError(f"{self.model.name} cannot look at the media of this question: {why}")
        turns = conversation.question(prompt, media, progress, cancel)
        reply: Reply = self.model.chat(
            turns,
            Settings(settings.max_new_tokens, settings.temperature, settings.seed),
            stream=stream,
            progress=progress,
            cancel=cancel,
        )
        if not reply.text.strip():
            raise ModelFailed(f"{self.model.name} answered nothing")
        return reply.text.strip()


def _by_rules(prompt: Prompt, make: Make, why: str) -> PlanResult:
    """What the rules plan in a model's place, with the reason in front."""
    from ..rules.plan import planned

    result = planned(prompt, make)
    told = Reason("planner", f"planned by the rules: {why}", is_warning=True)
    return replace(result, notices=(told, *result.notices))
