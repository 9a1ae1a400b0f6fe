"""Which planner thinks: the rules, a Qwen2.5-VL that is loaded for it, or a model behind a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..progress import Progress, silent
from ..weights.find import ModelPaths
from .answers import USUAL, AnswerSettings
from .base import PLANNERS, Planner
from .rules.plan import RulesPlanner

if TYPE_CHECKING:
    from .prompt.local.model import LocalModel
    from .prompt.planner import PromptPlanner
    from .prompt.server.address import ServerOptions
    from .qwen.planner import QwenPlanner


@dataclass(frozen=True)
class PlannerOptions:
    """How a Qwen planner is loaded and held (its folder is in ModelPaths), and a server reached.

    folder: of the model that plans by prompt. answers: of planners that answer in the same breath as they plan.
    """

    name: str = "auto"
    lora: Path | None = None
    dtype: str = "auto"
    attention: str = "auto"
    quantize: str | None = None
    device: str = "auto"
    server: ServerOptions | None = None
    folder: Path | None = None
    answers: AnswerSettings = USUAL


def choose_planner(options: PlannerOptions, models: ModelPaths, progress: Progress = silent) -> Planner:
    """`auto` is a Qwen folder with planning weights, else a server that is named, else the rules.

    The embedded Qwen plans only by name. Raises InputError when a Qwen or a server is asked for and there is none,
    WeightsError when it does not load.
    """
    if options.name not in PLANNERS:
        raise InputError(f"--planner is {options.name!r}; it is one of {', '.join(PLANNERS)}")
    if plans_by_prompt(options, models):
        return prompt_planner(options, progress)
    return load_planner(options, models, progress) if plans_with_qwen(options, models) else RulesPlanner()


def plans_by_prompt(options: PlannerOptions, models: ModelPaths) -> bool:
    """Whether these options have a model plan that is told what a plan is."""
    if options.name == "auto":
        return options.server is not None and not _plans_by_itself(options, models)
    return options.name in ("prompt", "server")


def prompt_planner(options: PlannerOptions, progress: Progress = silent, *, by_rules: bool = True) -> PromptPlanner:
    """The planner that asks the folder or the server of these options. by_rules: the rules plan where it fails.

    Raises InputError where none is named, WeightsError for a folder that does not load.
    """
    from .prompt.planner import PromptPlanner
    from .prompt.server.model import ServerModel

    if options.name == "prompt":
        return PromptPlanner(_local(options, progress), by_rules=by_rules, settings=options.answers)
    if options.server is None:
        raise InputError("--planner server takes --server-url, as in --server-url http://localhost:8000")
    model = ServerModel(options.server)
    return PromptPlanner(model, shows=options.server.sees, by_rules=by_rules, settings=options.answers)


def _local(options: PlannerOptions, progress: Progress) -> LocalModel:
    from ..engine.device import pick_device
    from .prompt.local.loading import load
    from .prompt.local.model import LocalModel

    if options.folder is None:
        raise InputError("--planner prompt takes --planner-folder, the folder of a vision-language model")
    device = pick_device(options.device)
    return LocalModel(load(options.folder, dtype=options.dtype, device=device, progress=progress), options.folder)


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
            "no Qwen2.5-VL found: put its folder or file into the models folder's unison/ or LLM/, or give "
            "--planner-folder"
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
