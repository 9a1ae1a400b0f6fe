"""Where the host keeps models: the pack's own folder and the ones other packs use for language models.

A combo's value is untrusted (any API client can send one), so a name counts only when this listing holds it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import folder_paths

from ..unison_backend.annotators.detector import is_detector_folder
from ..unison_backend.annotators.maps.flow import NAME as FLOW_NAME
from ..unison_backend.annotators.maps.kinds import weighted
from ..unison_backend.annotators.segmenter import is_segmenter_folder
from ..unison_backend.errors import InputError
from ..unison_backend.plan.controls import weighted_kinds
from ..unison_backend.planner.prompt.local.loading import is_vision_language_folder
from ..unison_backend.weights.adapter import ANSWERING_FOLDER
from ..unison_backend.weights.find import files_below, is_single_file, single_files
from ..unison_backend.weights.folder import CONFIG, PLANNER_TYPE, has_planning_weights, model_type
from ..unison_backend.weights.needs import ANNOTATOR_NEEDS, NEEDS, describe, need_of

KEY = "unison"
# What we and other packs call the place of such models, as folders of `models` and as keys of a paths file.
_ANNOTATOR_KEYS = {need.key: need.folders for need in ANNOTATOR_NEEDS}
_PLANNER_KEYS, _ADAPTER_KEYS = need_of("planner").folders, need_of("lora").folders
_WEIGHTS = (".safetensors", ".sft", ".pth", ".pt")
_DEPTH = 3
# What the example workflows offer in ComfyUI's dialog of missing models: it stores such a file in models/unison, and
# looks for its bare name in the list.
OFFERED = ("projector.pth", "sam2.1_hiera_large.safetensors", "depth_anything_v2_vits_fp32.safetensors")
_INSTALLED = {need.key: (need,) for need in (*NEEDS, *ANNOTATOR_NEEDS)}
_INSTALLED["control"] = tuple(need for need in ANNOTATOR_NEEDS if need.key in weighted_kinds())


def register() -> None:
    """Make `models/unison` known to the host, behind any path that extra_model_paths.yaml gave for it."""
    folder_paths.add_model_folder_path(KEY, str(Path(folder_paths.models_dir) / KEY))
    paths, _ = folder_paths.folder_names_and_paths[KEY]
    folder_paths.folder_names_and_paths[KEY] = (paths, folder_paths.supported_pt_extensions)


def planner_folders() -> dict[str, Path]:
    """Qwen2.5-VLs by the name shown: folders with planning weights, other folders, then files."""
    found = {name: path for name, path in _folders(CONFIG, _PLANNER_KEYS) if model_type(path) == PLANNER_TYPE}
    return dict(sorted(found.items(), key=lambda item: not has_planning_weights(item[1]))) | dict(_files("planner"))


def other_planner_folders() -> dict[str, Path]:
    """Folders of other vision-language models, which plan by prompt, by the name shown."""
    found = _folders(CONFIG, _PLANNER_KEYS)
    return {name: path for name, path in found if model_type(path) != PLANNER_TYPE and is_vision_language_folder(path)}


def all_planners() -> dict[str, Path]:
    """Whatever can be a planner, a Qwen2.5-VL before others."""
    return planner_folders() | other_planner_folders()


def adapter_folders() -> dict[str, Path]:
    """Planning LoRA folders by the name shown."""
    found = _folders("adapter_config.json", _ADAPTER_KEYS)
    return {name: path for name, path in found if path.name != ANSWERING_FOLDER}


def projector_files() -> dict[str, Path]:
    """Projector weights in the pack's own folders; weights inside a model's folder are not among them."""
    found = _single_files().items()
    return _with_offered(
        {name: path for name, path in found if FLOW_NAME not in path.name.lower() and not _is_other(path)}
    )


def _with_offered(found: dict[str, Path]) -> dict[str, Path]:
    """The listing, and behind it the bare names of offered files that lie at the top of the pack's folder."""
    bare = {file: found[f"{KEY}/{file}"] for file in OFFERED if f"{KEY}/{file}" in found}
    return found | bare


def _is_other(file: Path) -> bool:
    """Whether a file is another model in one file by its name."""
    return any(is_single_file(file, need.key) for need in (*ANNOTATOR_NEEDS, need_of("planner")))


def _single_files() -> dict[str, Path]:
    """Weights that stand alone in the pack's own folders, by the name shown."""
    files: dict[str, Path] = {}
    for root in _roots((KEY,)):
        for folder, names in _walk(root):
            if not {CONFIG, "adapter_config.json"} & set(names):
                weights = (name for name in sorted(names) if name.lower().endswith(_WEIGHTS))
                files |= {_shown(root, folder / name): folder / name for name in weights}
    return files


def detector_folders() -> dict[str, Path]:
    """GroundingDINO folders and files by the name shown."""
    found = {name: path for name, path in _folders(CONFIG, _ANNOTATOR_KEYS["detector"]) if is_detector_folder(path)}
    return found | dict(_files("detector"))


def segmenter_folders() -> dict[str, Path]:
    """SAM2 folders and files by the name shown."""
    keys = _ANNOTATOR_KEYS["segmenter"]
    found = {name: path for name, path in _folders(CONFIG, keys) if is_segmenter_folder(path)}
    return _with_offered(found | dict(_files("segmenter")))


def control_models() -> dict[str, Path]:
    """Models of the maps that take weights, by the name shown, and folders of them that lack something behind these."""
    found: dict[str, Path] = {}
    for kind in weighted_kinds():
        models = weighted(kind)
        for root in _roots(_ANNOTATOR_KEYS[kind]):
            folders = list(_walk(root))
            whole = models.find([folder / name for folder, names in folders for name in names])
            for path in (*whole, *(folder for folder, _ in folders if models.is_meant(folder))):
                found.setdefault(_shown(root, path), path)
    return _with_offered(found)


def choose(name: str, listing: Callable[[], dict[str, Path]], key: str) -> Path:
    """The path of a listed name; any other name is an InputError that says which file to put where."""
    if (path := listing().get(name)) is not None:
        return path
    raise InputError(missing(name, key))


def missing(name: str, key: str) -> str:
    """The message for a name that is not in a listing, "" where there is nothing at all."""
    goes = "; or ".join(map(describe, _INSTALLED[key]))
    found = f"{name!r} is not in the models folders." if name else f"There is no {key} in the models folders yet."
    return f"{found} What goes there: {goes}. Then press R, or reload the page."


def stamp(path: Path | None) -> str:
    """What changes when a model's files do: names, sizes and times of the files below the folder, or of the file."""
    if path is None:
        return ""
    files = sorted(files_below(path)) if path.is_dir() else [path]
    stats = [(os.path.relpath(file, path), file.stat()) for file in files if file.is_file()]
    return ";".join(f"{name}:{stat.st_size}:{stat.st_mtime_ns}" for name, stat in stats)


def _folders(marker: str, keys: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    """(name, path) of every folder that holds a file called `marker`, each name once."""
    seen = set()
    for root in _roots(keys):
        for folder, names in _walk(root):
            if marker in names and (name := _shown(root, folder)) not in seen:
                seen.add(name)
                yield name, folder


def _files(key: str) -> Iterator[tuple[str, Path]]:
    """(name, path) of every file that is a whole model of a kind by its name."""
    for root in _roots(need_of(key).folders):
        for folder, names in _walk(root):
            for file in single_files([folder / name for name in sorted(names)], key):
                yield _shown(root, file), file


def _roots(keys: tuple[str, ...]) -> Iterator[Path]:
    """The host's folders for `keys`, each once, whether a key is registered or only lies in `models`."""
    seen = set()
    for key in keys:
        known = folder_paths.get_folder_paths(key) if key in folder_paths.folder_names_and_paths else []
        for root in (*map(Path, known), Path(folder_paths.models_dir) / key):
            if (real := os.path.realpath(root)) not in seen and root.is_dir():
                seen.add(real)
                yield root


def _walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """(folder, its file names) from `root` three levels down, through links too, no loop twice."""
    seen = set()
    for place, folders, names in os.walk(root, followlinks=True):
        folder = Path(place)
        real = os.path.realpath(place)
        if real in seen or len(folder.relative_to(root).parts) >= _DEPTH:
            folders.clear()
        if real not in seen:
            seen.add(real)
            folders.sort()
            yield folder, names


def _shown(root: Path, path: Path) -> str:
    """A name that means the same on every system: the root's own name, then forward slashes."""
    return "/".join((root.name, *path.relative_to(root).parts))
