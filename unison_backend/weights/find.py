"""The model files in a folder, found by their usual names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ..errors import InputError
from .adapter import planning_adapter
from .experts import Pair, is_expert, pair_of, pairs_in, vace_experts
from .folder import CONFIG, PLANNER_TYPE, has_planning_weights, model_type
from .module import fits_under, is_module
from .needs import NEEDS, Need, need_of
from .roots import MODELS_VARIABLE, named_folder, roots
from .state import GGUF

__all__ = ["MODELS_VARIABLE", "ModelPaths", "files_below", "find", "named_folder"]

_SUFFIXES = (".safetensors", ".sft", ".pth", ".pt")
_PACKED = ("vace", "text_encoder")  # needs whose models may be GGUF files, which go behind the others
# A folder with one of these holds all three models of generation: diffusers' layout, Wan's own.
_WHOLE = ("model_index.json", "Wan2.1_VAE.pth")


@dataclass(frozen=True)
class ModelPaths:
    """Files and folders of one run. `demo`: these are the embedded models, which know the shape world only.

    vace_low: the low noise expert, where `vace` is the high noise one; boundary: where they change, by the model's own
    word. vace_base, vace_low_base: the text-to-video models under them, where they are modules of VACE blocks alone.
    """

    vace: Path | None = None
    vae: Path | None = None
    text_encoder: Path | None = None
    projector: Path | None = None
    planner: Path | None = None
    lora: Path | None = None
    demo: bool = False
    notices: tuple[str, ...] = field(default=())
    vace_low: Path | None = None
    boundary: float | None = None
    vace_base: Path | None = None
    vace_low_base: Path | None = None

    @property
    def missing(self) -> tuple[Need, ...]:
        """What generation cannot do without."""
        return tuple(need for need in NEEDS if need.required and getattr(self, need.key) is None)

    @property
    def plans(self) -> bool:
        """Whether the planner has planning weights, its own or a LoRA's."""
        return self.planner is not None and (self.lora is not None or has_planning_weights(self.planner))


def find(folder: Path) -> ModelPaths:
    """The models in `folder`: ComfyUI's `models`, a diffusers pipeline, or Wan's own download.

    vace: the first whole model, else the first pair of two experts. lora: the first planning LoRA that is of the
    planner's width; none for a planner that has such weights itself.
    Raises InputError when there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"the models folder {folder} does not exist; give a folder such as ComfyUI's models")
    apart = ("vace", "planner", "lora")
    found: dict[str, Any] = {need.key: next(_files(folder, need), None) for need in NEEDS if need.key not in apart}
    if any((folder / name).is_file() for name in _WHOLE):
        found |= dict.fromkeys(("vace", "vae", "text_encoder"), folder)
        pair = pair_of(folder)
    else:
        found["vace"] = next((file for file in _files(folder, need_of("vace")) if not is_expert(file.name)), None)
        pair = None if found["vace"] else next(iter(pairs(folder)), None)
    if pair:
        found |= {"vace": pair.high, "vace_low": pair.low, "boundary": pair.boundary}
    planner = _planner(folder)
    if planner is not None and not has_planning_weights(planner):
        found["lora"] = next((place for place in _folders(folder, "lora") if planning_adapter(place, planner)), None)
    return replace(ModelPaths(planner=planner), **found)


def _planner(folder: Path) -> Path | None:
    """The first Qwen2.5-VL folder with planning weights, else the first, else the first in one file."""
    folders = [place for place in _folders(folder, "planner") if model_type(place) == PLANNER_TYPE]
    if folders:
        return next((place for place in folders if has_planning_weights(place)), folders[0])
    need = need_of("planner")
    return next(single_files([file for root in roots(folder, need.folders) for file in sorted(files_below(root))],
                             need.key), None)  # fmt: skip


def _folders(folder: Path, key: str) -> Iterator[Path]:
    """Those that hold the file that marks such a model."""
    return (file.parent for file in _matches(folder, need_of(key)))


def _files(folder: Path, need: Need) -> Iterator[Path]:
    """Weights files with a name of the need; GGUF files, where these will do, behind the others."""
    found = list(_matches(folder, need))
    yield from (file for file in found if file.suffix.lower() in _SUFFIXES)
    if need.key in _PACKED:
        yield from (file for file in found if file.suffix.lower() == GGUF)


def _matches(folder: Path, need: Need) -> Iterator[Path]:
    """Files with a name of the need, the best pattern first, then by the order of its folders and by name."""
    files = [file for root in roots(folder, need.folders) for file in sorted(files_below(root))]
    for pattern in need.patterns:
        for file in files:
            name = file.name.lower()
            if fnmatch(name, pattern) and not _any(name, need.excluded):
                yield file


def pairs(folder: Path) -> list[Pair]:
    """The pairs of VACE experts (high and low noise of Wan2.2) in a models folder."""
    return list(pairs_in(_transformers(folder)))


def first_named(names: Iterable[str], key: str) -> str | None:
    """The first of these names, which may have folders, that a need's file has: the best pattern first."""
    need, listed = need_of(key), [(name, name.replace("\\", "/").rpartition("/")[2].lower()) for name in names]
    fitting = (
        name
        for pattern in need.patterns
        for name, last in listed
        if last.endswith(_SUFFIXES) and fnmatch(last, pattern) and not _any(last, need.excluded)
    )
    return next(fitting, None)


def left_experts(folder: Path) -> list[Path]:
    """The VACE experts in a models folder whose other half is not there, so that they are found for no run."""
    whole = {file for pair in pairs(folder) for file in (pair.high, pair.low)}
    return [file for file in vace_experts(_transformers(folder)) if file not in whole]


def modules(folder: Path) -> list[tuple[Path, Path | None]]:
    """The modules of VACE blocks alone in a models folder, each with the one file that goes under it, if one does."""
    files, found = _weights(folder), []
    for file in (file for file in files if is_module(file.name)):
        under = [other for other in files if fits_under(other.name, file.name)]
        found.append((file, under[0] if len(under) == 1 else None))
    return found


def _transformers(folder: Path) -> list[Path]:
    """Those that may be a whole model by their names."""
    return [file for file in _weights(folder) if not _any(file.name.lower(), need_of("vace").excluded)]


def _weights(folder: Path) -> list[Path]:
    files = [file for root in roots(folder, need_of("vace").folders) for file in sorted(files_below(root))]
    return [file for file in files if file.suffix.lower() in (*_SUFFIXES, GGUF)]


def single_files(files: Sequence[Path], key: str) -> Iterator[Path]:
    """Weights files that are a whole model of this need by their names."""
    return (file for file in files if is_single_file(file, key))


def is_single_file(file: Path, key: str) -> bool:
    """Whether a file, there or not, is called as a need's models in one file are, and belongs to no model's folder."""
    name, need = file.name.lower(), need_of(key)
    meant = _any(name, need.single) and not _any(name, need.excluded)
    return file.suffix.lower() in _SUFFIXES and meant and not (file.parent / CONFIG).is_file()


def _any(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def files_below(folder: Path) -> Iterator[Path]:
    """Every file below `folder`, through links too (models often lie on another disk); no loop is walked twice."""
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(place) / file for file in files)
