"""A vision-language model without planning weights as a planner: asked by prompt, its weights in a ModelPatcher."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..unison_backend.errors import InputError
from ..unison_backend.media.from_tensors import TensorMedia
from ..unison_backend.plan.prompt import Prompt
from ..unison_backend.plan.tasks import Make
from ..unison_backend.planner.answers import USUAL, AnswerSettings
from ..unison_backend.planner.base import PlanResult, Stream, unheard
from ..unison_backend.planner.prompt.local.held import INSTALL, can_hold, check_can_hold
from ..unison_backend.planner.prompt.local.loading import Loaded, load, of_qwen
from ..unison_backend.progress import Cancel, Progress
from ..unison_backend.weights.folder import PLANNER_TYPE, model_type
from . import host
from .asked_planner import AskedPlanner
from .planner_socket import PlannerModel, UnisonPlannerWeights, load_planner

AUTO, PROMPT, RULES = "auto", "prompt", "rules"
PLAN_BY = (AUTO, PROMPT, RULES)
# Working memory as a share of the weights: what a plan is, the media and the answer are read in one go.
_SHARE = 0.5


@dataclass(frozen=True)
class PromptPlannerModel(AskedPlanner):
    """What a UNISON_PLANNER socket carries for a model that is told what a plan is.

    label: how messages call it. plans: it plans; without, the rules do, and it answers. why: it is this one that
    plans, said with each plan.
    """

    patcher: Any
    loaded: Loaded
    label: str
    why: str = ""
    plans: bool = True

    @property
    def name(self) -> str:
        """Who plans, in one word."""
        return "prompt" if self.plans else "rules"

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
        """The plan, a question's with its answer where the model plans. Raises as `PromptPlanner.plan`."""
        if not self.plans:
            return PlannerModel(why=self.why).plan_with(prompt, media, make, progress, cancel)
        return super().plan_with(prompt, media, make, progress, cancel, settings=settings, stream=stream)

    @contextmanager
    def asking(self, settings: AnswerSettings, stream: Stream) -> Iterator[Any]:
        """Inside, the weights are on their device; the host may move them away again at any time behind it."""
        from ..unison_backend.planner.prompt.local.model import LocalModel
        from ..unison_backend.planner.prompt.planner import PromptPlanner

        host.load(self.patcher, memory_required=int(self.patcher.model_size() * _SHARE))
        yield PromptPlanner(LocalModel(self.loaded, self.label), settings=settings, stream=stream, why=self.why)


def load_by(
    plan_by: str, folder: Path, lora: Path | None, label: str, *, named: bool, progress: Progress, **options: str
) -> PlannerModel | PromptPlannerModel:
    """A model as a planner, and who plans: itself by signal tokens or by prompt, or the rules.

    named: the person chose this one. options: dtype, attention, device. Raises InputError for inputs that do not go
    together, UnsupportedError for a library that is missing, WeightsError.
    """
    if plan_by == PROMPT:
        if lora is not None:
            raise InputError("plan_by is prompt, which takes no planning weights: set lora to none, or plan_by to auto")
        check_can_hold()
    if not folder.is_file() and model_type(folder) != PLANNER_TYPE:
        return _load_other(folder, label, plan_by, progress, options)
    model = load_planner(folder, lora, plans=False if plan_by == RULES else None, progress=progress, **options)
    if plan_by == PROMPT or (plan_by == AUTO and lora is None and not model.plans and named and can_hold()):
        return PromptPlannerModel(model.patcher, of_qwen(model.qwen), label, _why(label, plan_by))
    if plan_by == RULES or model.plans:
        return model
    return model.said(_passed_by(label) if named else f"{label} has no planning weights; plan_by prompt has it plan")


def _load_other(
    folder: Path, label: str, plan_by: str, progress: Progress, options: dict[str, str]
) -> PromptPlannerModel:
    """A folder of another family, onto the CPU first: where it runs is the host's decision at every use."""
    kernel = {name: options[name] for name in ("dtype", "attention")}
    loaded = load(folder, **kernel, device="cpu", progress=progress)
    patcher = host.model_patcher(UnisonPlannerWeights(loaded.model), options["device"])
    if plan_by == RULES or not can_hold():
        why = _passed_by(label) if plan_by == AUTO else ""
        return PromptPlannerModel(patcher, loaded, label, why, plans=False)
    return PromptPlannerModel(patcher, loaded, label, _why(label, plan_by))


def _why(label: str, plan_by: str) -> str:
    return f"planned by prompt: {label} has no planning weights" if plan_by == AUTO else ""


def _passed_by(label: str) -> str:
    return f"{label} has no planning weights, and planning by prompt takes llguidance: {INSTALL}"
