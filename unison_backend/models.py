"""Which model files a run uses: the person's own, found by their usual names, else the embedded demo set."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from .errors import InputError
from .needs import NEEDS, Need, describe
from .progress import Progress, silent

MODELS_VARIABLE = "UNISON_MODELS"
PLANNER_TYPE = "qwen2_5_vl"

_MAX_HEADER = 100_000_000  # bytes, the limit of the safetensors format
_SUFFIXES = (".safetensors", ".sft", ".pth", ".pt")
# A folder with one of these holds all three models of generation: diffusers' layout, Wan's own.
_WHOLE = ("model_index.json", "Wan2.1_VAE.pth")


@dataclass(frozen=True)
class ModelPaths:
    """Files and folders of one run. `demo`: these are the embedded models, which know the shape world only."""

    vace: Path | None = None
    vae: Path | None = None
    text_encoder: Path | None = None
    projector: Path | None = None
    planner: Path | None = None
    lora: Path | None = None
    demo: bool = False
    notices: tuple[str, ...] = field(default=())

    @property
    def missing(self) -> tuple[Need, ...]:
        """What generation cannot do without."""
        return tuple(need for need in NEEDS if need.required and getattr(self, need.key) is None)


def find(folder: Path) -> ModelPaths:
    """The models in `folder`: ComfyUI's `models`, a diffusers pipeline, or Wan's own download.

    Raises InputError when there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"the models folder {folder} does not exist; give a folder such as ComfyUI's models")
    found = {need.key: _first(folder, need) for need in NEEDS}
    if any((folder / name).is_file() for name in _WHOLE):
        found |= dict.fromkeys(("vace", "vae", "text_encoder"), folder)
    return replace(ModelPaths(), **found)  # type: ignore[arg-type]


def _first(folder: Path, need: Need) -> Path | None:
    """The first match by name, whatever its case, in the folders of `need` and below them."""
    matches = [
        file
        for place in need.folders
        for file in sorted(files_below(folder / place))
        if fnmatch(file.name.lower(), need.pattern)
    ]
    if need.key != "planner":
        return next((file for file in matches if file.suffix.lower() in _SUFFIXES), None)
    folders = [file.parent for file in matches if _model_type(file.parent) == PLANNER_TYPE]
    return next((folder for folder in folders if has_planning_weights(folder)), next(iter(folders), None))


def files_below(folder: Path) -> Iterator[Path]:
    """Every file below `folder`, through links too (models often lie on another disk); no loop is walked twice."""
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(place) / file for file in files)


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def _model_type(folder: Path) -> object:
    return _config(folder).get("model_type")


def has_planning_weights(folder: Path) -> bool:
    """True for a Qwen2.5-VL folder whose tokenizer knows the plan's tokens and whose head is its own.

    A plain Qwen2.5-VL has untrained rows there and must never be decoded into signal tokens.
    """
    try:
        tokens = (folder / "tokenizer.json").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    config = _config(folder)
    own_head = not config.get("tie_word_embeddings", True) or "lm_head.weight" in _weight_names(folder)
    return config.get("model_type") == PLANNER_TYPE and "<BORES>" in tokens and own_head


def _weight_names(folder: Path) -> set[str]:
    """The tensors that a folder's index, or its one file's header, lists; nothing when neither can be read."""
    try:
        index = folder / "model.safetensors.index.json"
        if index.is_file():
            return set(json.loads(index.read_text(encoding="utf-8"))["weight_map"])
        with (folder / "model.safetensors").open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            return set(json.loads(file.read(min(size, _MAX_HEADER))))
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def named_folder() -> Path | None:
    """The folder that UNISON_MODELS names, if it names one."""
    return Path(os.environ[MODELS_VARIABLE]) if os.environ.get(MODELS_VARIABLE) else None


def resolve_models(folder: Path | None, given: dict[str, Path | None], progress: Progress = silent) -> ModelPaths:
    """The models of a run: `given` files, then those in `folder` (or UNISON_MODELS), else the demo set.

    Raises InputError that lists file, folder, size and link of everything missing when only a part is there.
    """
    folder = folder or named_folder()
    chosen = {key: path for key, path in given.items() if path is not None}
    for key, path in chosen.items():
        if not path.exists():
            raise InputError(f"--{key.replace('_', '-')}: {path} does not exist")
    if folder is None and not chosen:
        return demo_models(progress)
    models = replace(find(folder) if folder else ModelPaths(), **chosen)  # type: ignore[arg-type]
    if models.missing:
        lines = "\n".join(f"  {describe(need)}" for need in models.missing)
        raise InputError(
            f"models are missing in {folder or 'the options given'}:\n{lines}\n"
            "Without --models the embedded demo models are used."
        )
    return _without_projector(models)


def _without_projector(models: ModelPaths) -> ModelPaths:
    """Projected tokens need a projector and a planner with planning weights; without them there are none, said once."""
    plans = models.planner is not None and (models.lora is not None or has_planning_weights(models.planner))
    if models.projector is not None and plans:
        return models
    absent = "projector" if models.projector is None else "planner with planning weights"
    notice = f"no {absent} found: making without projected tokens"
    return replace(models, projector=None, notices=(*models.notices, notice))


def find_planner(folder: Path | None, given: Path | None, progress: Progress = silent) -> ModelPaths:
    """Only the planner: `given`, else the one in `folder` (or UNISON_MODELS), else the embedded one."""
    folder = folder or named_folder()
    if given is not None and not given.is_dir():
        raise InputError(f"--planner-folder: {given} is no folder; give a Qwen2.5-VL folder")
    if given is not None:
        return ModelPaths(planner=given)
    return find(folder) if folder else demo_models(progress)


def demo_models(progress: Progress = silent) -> ModelPaths:
    """The embedded set, built on first use."""
    from . import demo

    built = demo.ensure(progress=progress)
    notice = f"no model weights were given: these are the embedded demo models; {built.known}"
    return ModelPaths(
        built.vace, built.vae, built.text_encoder, built.projector, built.planner, built.lora, demo=True,
        notices=(f"{notice}. `unison doctor` says what real ones take.",),
    )  # fmt: skip
