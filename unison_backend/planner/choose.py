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

    folder: the model that is named, which may plan by prompt. answers: of planners that answer in the same breath as
    they plan.
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
    """`auto` is a Qwen2.5-VL with planning weights, else a server that is named, a model that is, the rules.

    The embedded Qwen plans only by name; so does a model without planning weights that is merely found. Raises
    InputError when a Qwen or a server is asked for and there is none, WeightsError when it does not load,
    UnsupportedError for a library that is missing.
    """
    if options.name not in PLANNERS:
        raise InputError(f"--planner is {options.name!r}; it is one of {', '.join(PLANNERS)}")
    if plans_by_prompt(options, models):
        return prompt_planner(options, progress)
    return (
        load_planner(options, models, progress) if plans_with_qwen(options, models) else rules_planner(options, models)
    )


def rules_planner(options: PlannerOptions, models: ModelPaths) -> RulesPlanner:
    """The rules, which say why it is they who plan where `auto` passed a model by."""
    if options.name != "auto" or models.planner is None or models.demo:
        return RulesPlanner()
    name = models.planner.name
    if options.folder is None:
        return RulesPlanner(f"{name} has no planning weights; `--planner prompt` has it plan all the same")
    from .prompt.local.held import INSTALL

    return RulesPlanner(f"{name} has no planning weights, and planning by prompt takes llguidance: {INSTALL}")


def plans_by_prompt(options: PlannerOptions, models: ModelPaths) -> bool:
    """Whether these options have a model plan that is told what a plan is."""
    if options.name == "auto":
        if _plans_by_itself(options, models):
            return False
        return options.server is not None or (options.folder is not None and not models.demo and _can_hold())
    return options.name in ("prompt", "server")


def _can_hold() -> bool:
    from .prompt.local.held import can_hold

    return can_hold()


def prompt_planner(options: PlannerOptions, progress: Progress = silent, *, by_rules: bool = True) -> PromptPlanner:
    """The planner that asks the folder or the server of these options. by_rules: the rules plan where it fails.

    Raises InputError where none is named, WeightsError for a folder that does not load.
    """
    from .prompt.planner import PromptPlanner
    from .prompt.server.model import ServerModel

    if options.name == "prompt" or (options.name == "auto" and options.server is None):
        model = _local(options, progress)
        why = f"planned by prompt: {model.name} has no planning weights" if options.name == "auto" else ""
        return PromptPlanner(model, by_rules=by_rules, settings=options.answers, why=why)
    if options.server is None:
        raise InputError("--planner server takes --server-url, as in --server-url http://localhost:8000")
    server = ServerModel(options.server)
    return PromptPlanner(server, shows=options.server.sees, by_rules=by_rules, settings=options.answers)


def _local(options: PlannerOptions, progress: Progress) -> LocalModel:
    from ..engine.device import pick_device
    from .prompt.local.held import check_can_hold
    from .prompt.local.loading import load
    from .prompt.local.model import LocalModel

    if options.folder is None:
        raise InputError("--planner prompt takes --planner-folder, the folder of a vision-language model")
    if options.lora is not None:
        raise InputError("--planner prompt plans without planning weights, which --planner-lora brings: leave one out")
    if not options.folder.exists():
        raise InputError(f"--planner-folder: {options.folder} is not there; give a vision-language model")
    check_can_hold()
    loaded = load(
        options.folder,
        dtype=options.dtype,
        attention=options.attention,
        device=pick_device(options.device),
        quantize=options.quantize,
        progress=progress,
    )
    return LocalModel(loaded, options.folder.name)


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
        answering=True,
        progress=progress,
    )
    return QwenPlanner(qwen)
