"""Which planner thinks: the rules, or a Qwen2.5-VL that is loaded for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..progress import Progress, silent
from ..weights.find import ModelPaths
from .base import Planner
from .rules.plan import RulesPlanner

if TYPE_CHECKING:
    from .qwen.planner import QwenPlanner

PLANNERS = ("auto", "rules", "qwen")


@dataclass(frozen=True)
class PlannerOptions:
    """How a Qwen planner is loaded and held; its folder is in ModelPaths."""

    name: str = "auto"
    lora: Path | None = None
    dtype: str = "auto"
    attention: str = "auto"
    quantize: str | None = None
    device: str = "auto"


def choose_planner(options: PlannerOptions, models: ModelPaths, progress: Progress = silent) -> Planner:
    """`auto` is a Qwen folder with planning weights, else the rules; the embedded Qwen plans only by name.

    Raises InputError when a Qwen is asked for and there is none, WeightsError when it does not load.
    """
    if options.name not in PLANNERS:
        raise InputError(f"--planner is {options.name!r}; it is one of {', '.join(PLANNERS)}")
    return load_planner(options, models, progress) if plans_with_qwen(options, models) else RulesPlanner()


def plans_with_qwen(options: PlannerOptions, models: ModelPaths) -> bool:
    """Whether these options have a Qwen plan: it is asked for, or `auto` finds one with planning weights."""
    return options.name == "qwen" or (options.name == "auto" and _plans_by_itself(options, models))


def _plans_by_itself(options: PlannerOptions, models: ModelPaths) -> bool:
    if models.planner is None or models.demo:
        return False
    return options.lora is not None or models.plans


def load_planner(options: PlannerOptions, models: ModelPaths, progress: Progress = silent) -> QwenPlanner:
    """The Qwen2.5-VL of `models`, for planning and for answers."""
    from ..engine.device import pick_device
    from .qwen.loading import load_qwen
    from .qwen.planner import QwenPlanner

    if models.planner is None:
        raise InputError(
            "no Qwen2.5-VL folder found: put one into the models folder's unison/ or LLM/, or give --planner-folder"
        )
    qwen = load_qwen(
        models.planner,
        options.lora or models.lora,
        dtype=options.dtype,
        attention=options.attention,
        device=pick_device(options.device),
        quantize=options.quantize,
        progress=progress,
    )
    return QwenPlanner(qwen)
