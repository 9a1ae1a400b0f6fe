"""Which models a run uses: the person's own, else the embedded ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..errors import InputError
from ..plan.spec import DEFAULTS, Limits
from ..progress import Progress, silent
from ..weights.experts import BOUNDARY, check_sides, pair_of, refusal
from ..weights.find import ModelPaths, find, left_experts, modules, named_folder
from ..weights.kinds import check_models
from ..weights.needs import NEEDS, describe
from ..weights.roots import is_own
from . import set as demo

# Options whose names are not those of what they give.
_OPTIONS = {"planner": "planner-folder", "lora": "planner-lora"}
# What makes no picture by itself: it goes with whichever models do, the embedded ones too.
_BESIDE = ("projector", "lora", "planner_lora")
_PLANNERS = ("planner", "planner_folder")
_REQUIRED = [need for need in NEEDS if need.required]


def resolve_models(folder: Path | None, given: dict[str, Path | None], progress: Progress = silent) -> ModelPaths:
    """The models of a run: `given` files, then those in `folder` (or UNISON_MODELS, or the own one), else the demo set.

    Raises InputError that lists file, folder, size and link of everything missing when only a part is there, and
    WeightsError for files that a run cannot use, by their headers. The person's own folder may hold none of what makes
    pictures (planners, annotators): then the demo set makes them.
    """
    chosen = {key: path for key, path in given.items() if path is not None}
    for key, path in chosen.items():
        if not path.exists():
            raise InputError(f"--{_OPTIONS.get(key, key.replace('_', '-'))}: {path} does not exist")
    if is_embedded(folder, given):
        return _without_projector(_put(demo_models(progress), chosen))
    named, folder = folder is not None, folder or named_folder()
    models = _with_experts(_put(find(folder) if folder else ModelPaths(), chosen), chosen)
    if models.missing:
        raise InputError(_missing(models, folder, named=named))
    check_models(models)
    return _without_projector(models)


def _put(models: ModelPaths, chosen: dict[str, Path]) -> ModelPaths:
    """What was chosen over what was found; a LoRA that was found is of the planner that was found."""
    if "planner" in chosen:
        models = replace(models, lora=None)
    return replace(models, **chosen)  # type: ignore[arg-type]


def _with_experts(models: ModelPaths, chosen: dict[str, Path]) -> ModelPaths:
    """Both experts where `--vace` names one of two that lie together, or a folder of both; said once."""
    high, low = chosen.get("vace"), chosen.get("vace_low")
    for option in ("vace_low", "vace_base", "vace_low_base"):
        if option in chosen and high is None:
            name = option.replace("_", "-")
            raise InputError(f"--{name} {chosen[option]} goes with a model that --vace names; add it")
    if high is not None:
        models = replace(models, vace_low=low, boundary=None)
    if high is not None and low is not None:
        check_sides(high, low)
    elif high is not None and (pair := pair_of(high)):
        models = replace(models, vace=pair.high, vace_low=pair.low, boundary=pair.boundary)
    models = _with_bases(models)
    if models.vace_low is None:
        return models
    said = "" if models.boundary is not None else " (Wan2.2's; the files do not say)"
    at = f"{models.boundary or BOUNDARY:g} of the noise{said}"
    notice = f"two experts: {models.vace} for high noise, {models.vace_low} for low noise, changing at {at}"
    return replace(models, notices=(*models.notices, notice))


def limits_of(*, embedded: bool) -> Limits:
    """The size and length of what models make where nothing is said: what they were trained on."""
    return Limits(demo.SIDE, demo.SIDE, demo.FRAMES, of="the embedded models") if embedded else DEFAULTS


def is_embedded(folder: Path | None, given: dict[str, Path | None]) -> bool:
    """Whether a run with these options is made with the demo set; files are looked for and none is read.

    A projector and a planning LoRA go with it, and so does a planner that a projector is given with.
    """
    own = named_folder()
    beside = (*_BESIDE, *(_PLANNERS if given.get("projector") else ()))
    if folder is not None or any(path for key, path in given.items() if key not in beside):
        return False
    return own is None or _makes_nothing(own, find(own))


def _missing(models: ModelPaths, folder: Path | None, *, named: bool) -> str:
    """What is missing, and which files are no whole model; named: whether the person named the folder."""
    lines = [f"  {describe(need)}" for need in models.missing]
    if models.vace is None and folder is not None:
        lines += [f"  {told}" for told in left_behind(folder)]
    fetch = "`unison download minimal` fetches them."
    demo = " Without --models the embedded demo models are used." if named else ""
    return "\n".join([f"models are missing in {folder or 'the options given'}:", *lines, fetch + demo])


def _with_bases(models: ModelPaths) -> ModelPaths:
    """The text-to-video model under each of two modules where one of these is named and the other lies beside it."""
    if models.vace_low is None:
        if models.vace_low_base is not None:
            raise InputError(f"--vace-low-base {models.vace_low_base} goes with a low noise expert; add --vace-low")
        return models
    if models.vace_base is None or models.vace_low_base is not None:
        return models
    if (pair := pair_of(models.vace_base)) is None:
        raise InputError(
            f"--vace-base {models.vace_base}: the text-to-video model under {models.vace_low} is not beside it; name "
            "that with --vace-low-base"
        )
    return replace(models, vace_base=pair.high, vace_low_base=pair.low)


def left_behind(folder: Path) -> list[str]:
    """What there is of VACE in a models folder and is no whole model, and how it becomes one."""
    halves = [refusal(file) for file in left_experts(folder)]
    parts = [
        f"{file} holds VACE blocks alone by its name: --vace {file} --vace-base {under or 'FILE (Wan T2V of its size)'}"
        for file, under in modules(folder)
    ]
    return halves + parts


def _makes_nothing(folder: Path, models: ModelPaths) -> bool:
    """Whether this is the person's own folder, with nothing in it that makes pictures."""
    return is_own(folder) and set(models.missing) == set(_REQUIRED)


def _without_projector(models: ModelPaths) -> ModelPaths:
    """Projected tokens need a projector and a planner with planning weights; without them there are none, said once."""
    if models.projector is not None and models.plans:
        return models
    absent = "projector" if models.projector is None else "planner with planning weights"
    notice = f"no {absent} found: making without projected tokens"
    return replace(models, projector=None, notices=(*models.notices, notice))


def find_planner(folder: Path | None, given: Path | None, progress: Progress = silent) -> ModelPaths:
    """Only the planner: `given`, else the one in `folder` (or UNISON_MODELS), else the embedded one."""
    folder = folder or named_folder()
    if given is not None and not given.exists():
        raise InputError(f"--planner-folder: {given} is not there; give a Qwen2.5-VL folder or file")
    if given is not None:
        return ModelPaths(planner=given)
    return find(folder) if folder else demo_models(progress)


def demo_models(progress: Progress = silent) -> ModelPaths:
    """The embedded set, built on first use."""

    built = demo.ensure(progress=progress)
    notice = f"no model weights were given: these are the embedded demo models; {built.known}"
    return ModelPaths(
        vace=built.vace,
        vae=built.vae,
        text_encoder=built.text_encoder,
        projector=built.projector,
        planner=built.planner,
        lora=built.lora,
        demo=True,
        notices=(f"{notice}. `unison doctor` says what real ones take.",),
    )
