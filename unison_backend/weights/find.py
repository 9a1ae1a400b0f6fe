"""The model files in a folder, found by their usual names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path

from ..errors import InputError
from .folder import PLANNER_TYPE, has_planning_weights, model_type
from .needs import NEEDS, Need

MODELS_VARIABLE = "UNISON_MODELS"

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
    folders = [file.parent for file in matches if model_type(file.parent) == PLANNER_TYPE]
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


def named_folder() -> Path | None:
    """The folder that UNISON_MODELS names, if it names one."""
    return Path(os.environ[MODELS_VARIABLE]) if os.environ.get(MODELS_VARIABLE) else None
