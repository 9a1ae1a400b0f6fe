"""Planner and projector as the host's model manager holds them: weights in a ModelPatcher, nothing kept elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from torch import nn

from ..unison_backend.demo.fallback import limits_of
from ..unison_backend.demo.world.known import unknown_notice
from ..unison_backend.demo.world.seen import foreign_notice
from ..unison_backend.media.from_tensors import TensorMedia
from ..unison_backend.plan.plan import Plan
from ..unison_backend.plan.prompt import Prompt
from ..unison_backend.plan.spec import Limits
from ..unison_backend.plan.tasks import Make
from ..unison_backend.planner.answers import USUAL, AnswerSettings
from ..unison_backend.planner.base import PlanResult, Stream, unheard
from ..unison_backend.planner.by_pixels import with_seen_mask
from ..unison_backend.planner.rules.plan import RulesPlanner
from ..unison_backend.progress import Cancel, Progress
from ..unison_backend.weights.needs import NEEDS
from . import host

# Working memory as a share of the weights: a plan is a few dozen tokens, an answer also holds pictures.
_PLANNING_SHARE, _ANSWER_SHARE = 0.1, 0.5
# What takes the embedded models' place, by the files' names.
REAL = "Real weights: connect {} to Models: yours or demo; a Qwen2.5-VL folder (Load Planner) answers.".format(
    ", ".join(need.file for need in NEEDS if need.required)
)


class UnisonPlannerWeights(nn.Module):
    """Holds a Qwen2.5-VL: the patcher sets attributes that transformers' own class refuses. The host logs this name."""

    def __init__(self, qwen: Any) -> None:
        super().__init__()
        self.qwen = qwen


class UnisonProjectorWeights(nn.Module):
    """Holds a projector."""

    def __init__(self, projector: Any) -> None:
        super().__init__()
        self.projector = projector


@dataclass(frozen=True)
class PlannerModel:
    """What a UNISON_PLANNER socket carries: the rules alone, or a Qwen2.5-VL in a patcher.

    plans: the Qwen plans by itself; without, the rules plan and it gives features (where it has planning weights)
    and answers. embedded: it is the demo set's, which knows coloured shapes only. why: it is the rules that plan, said
    with each plan.
    """

    patcher: Any | None = None
    qwen: Any | None = None
    plans: bool = False
    embedded: bool = False
    why: str = ""

    def said(self, why: str) -> PlannerModel:
        """The same, with why it is the rules that plan."""
        return replace(self, why=why)

    @property
    def name(self) -> str:
        """Who plans, in one word."""
        return "qwen" if self.plans else "rules"

    @property
    def limits(self) -> Limits:
        """What is made where nothing is said: the embedded set's planner goes with the set's other models."""
        return limits_of(embedded=self.embedded)

    @property
    def can_answer(self) -> bool:
        """Whether it answers questions."""
        return self.qwen is not None

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
        """The same, with the mask that its pixels show where the words leave it open. Raises PlanError, Cancelled."""
        return with_seen_mask(
            self.plan(prompt, make, progress, cancel),
            prompt,
            lambda marked, wanted: self.plan(marked, wanted, progress, cancel),
            lambda index: media.look(index, cancel),
            make,
        )

    def plan(self, prompt: Prompt, make: Make, progress: Progress, cancel: Cancel) -> PlanResult:
        """Plan and features of `prompt`. Raises PlanError, Cancelled."""
        if self.plans:
            with self.loaded(_PLANNING_SHARE) as planner:
                made: PlanResult = planner.plan(prompt, make=make, progress=progress, cancel=cancel)
                return made
        result = RulesPlanner(self.why).plan(prompt, make=make, progress=progress, cancel=cancel)
        if not result.plan.task.is_generation:
            return result
        return replace(result, features=self.features(prompt, cancel))

    def features(self, prompt: Prompt, cancel: Cancel) -> Any:
        """What the projector takes, [1, S, D]; None without planning weights. Raises Cancelled."""
        if self.qwen is None or not self.qwen.has_planning:
            return None
        with self.loaded(_PLANNING_SHARE) as planner:
            return planner.features(prompt, cancel=cancel)

    def notices(self, plan: Plan, media: TensorMedia) -> tuple[str, ...]:
        """What to tell of a plan whose words or media the embedded models know nothing of."""
        if not self.embedded:
            return ()
        words = unknown_notice(plan.prompt, plan.task.is_generation, REAL)
        return tuple(told for told in (words, foreign_notice(plan, media, media.labels, REAL)) if told is not None)

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
        """The Qwen's answer. Raises MediaError, Cancelled."""
        with self.loaded(_ANSWER_SHARE) as qwen:
            return str(qwen.answer(prompt, media, settings, stream=stream, progress=progress, cancel=cancel))

    @contextmanager
    def loaded(self, share: float) -> Iterator[Any]:
        """Inside, the weights are on their device; the host may move them away again at any time behind it."""
        from ..unison_backend.planner.qwen.planner import QwenPlanner

        host.load(self.patcher, memory_required=int(self.patcher.model_size() * share))
        yield QwenPlanner(self.qwen)


@dataclass(frozen=True)
class ProjectorModel:
    """What a UNISON_PROJECTOR socket carries."""

    patcher: Any

    def project(self, features: Any) -> Any:
        """[1, 4, D] from planner features [1, S, D'], where the host keeps results."""
        from ..unison_backend.conditioning.projector import project

        host.load(self.patcher, memory_required=self.patcher.model_size())
        return host.to_results(project(self.patcher.model.projector, features.to(self.patcher.load_device)))


def load_planner(
    folder: Path, lora: Path | None, *, plans: bool | None = None, dtype: str = "auto", attention: str = "auto",
    device: str = "auto", progress: Progress,
) -> PlannerModel:  # fmt: skip
    """A Qwen2.5-VL (folder or file) in a patcher. plans: by default whether it has planning weights. WeightsError."""
    from ..unison_backend.planner.qwen.loading import load_qwen

    # Onto the CPU first: where it runs is the host's decision at every use.
    options: dict[str, Any] = {"dtype": dtype, "attention": _attention(attention), "small": host.qwen_tokenizer()}
    qwen = load_qwen(folder, lora, **options, device="cpu", answering=True, progress=progress)
    if qwen.has_adapter:
        _keep_marks_apart(qwen.model)
    patcher = host.model_patcher(UnisonPlannerWeights(qwen.model), device)
    return PlannerModel(patcher, qwen, qwen.has_planning if plans is None else plans)


def _keep_marks_apart(model: nn.Module) -> None:
    """Let PEFT's wrappers of saved modules have the host's marks (`comfy_...`) for themselves alone.

    They answer for the module inside; the host, which then finds a mark on both, cannot take it off the wrapper.
    """
    from peft.utils.other import AuxiliaryTrainingWrapper

    for module in model.modules():
        if isinstance(module, AuxiliaryTrainingWrapper):
            module.__class__ = _with_own_marks(type(module))


@cache
def _with_own_marks(wrapper: type) -> type:
    def own(self: Any, name: str) -> Any:
        if name.startswith("comfy_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return wrapper.__getattr__(self, name)  # type: ignore[attr-defined]

    return type(wrapper.__name__, (wrapper,), {"__getattr__": own})


def _attention(name: str) -> str:
    """flash-attn is chosen at load, before the weights are on a GPU, so `auto` is SDPA here."""
    return "sdpa" if name == "auto" else name


def load_projector(path: Path) -> ProjectorModel:
    """A projector whose layers the host can cast and move. Raises WeightsError."""
    import comfy.ops

    from ..unison_backend.conditioning.projector import load_projector as load

    projector = load(path, operations=comfy.ops.manual_cast)
    return ProjectorModel(host.model_patcher(UnisonProjectorWeights(projector)))
