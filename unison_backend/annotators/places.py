"""Which annotators lie in a models folder, by names and config files alone: no weight is read, no torch imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import UnisonError
from ..weights.find import files_below
from ..weights.folder import check_folder, model_type
from ..weights.needs import ANNOTATOR_NEEDS
from ..weights.state import PICKLES, SAFETENSORS
from .detector import DETECTOR_TYPE
from .maps.depth import DEPTH_TYPES
from .maps.load import control_kind
from .maps.pose import PERSON_TYPE, POSE_TYPE
from .segmenter import IMAGE_TYPE, VIDEO_TYPE

FLOW_NAME = "raft"  # in the names of flow files, which lie beside other weights
_CONFIG = "config.json"


def find_annotators(models: Path) -> dict[str, Path]:
    """The first of each kind in a models folder as ComfyUI's, by `Need.key`; a kind that is not there has no entry.

    detector, segmenter (one that follows videos goes before one for pictures) and depth are folders, flow is a file,
    pose is the folder that holds both of its folders.
    """
    found = {need.key: next(_of(need.key, models, need.folders), None) for need in ANNOTATOR_NEEDS}
    return {key: path for key, path in found.items() if path is not None}


def _of(key: str, models: Path, folders: tuple[str, ...]) -> Iterator[Path]:
    """Every annotator of one kind, in the order of `folders` and then by name."""
    files = [file for name in folders for file in sorted(files_below(models / name))]
    if key == "flow":
        yield from (file for file in files if _is_flow(file))
        return
    configured = [file.parent for file in files if file.name == _CONFIG]
    if key == "pose":
        yield from (folder.parent for folder in configured if control_kind(folder.parent) == "pose")
    for kind in _TYPES.get(key, ()):
        yield from (folder for folder in configured if model_type(folder) == kind)


def _is_flow(file: Path) -> bool:
    alone = not (file.parent / _CONFIG).is_file()
    return alone and FLOW_NAME in file.name.lower() and file.suffix.lower() in SAFETENSORS + PICKLES


_TYPES: dict[str, tuple[str, ...]] = {
    "detector": (DETECTOR_TYPE,),
    "segmenter": (VIDEO_TYPE, IMAGE_TYPE),
    "depth": DEPTH_TYPES,
}


def damage(key: str, path: Path) -> str:
    """What is wrong with the files of a found annotator (small files and weight headers; takes torch), or ""."""
    try:
        _CHECKS[key](path)
    except UnisonError as error:
        return str(error)
    return ""


def _check_pose(path: Path) -> None:
    from .maps.pose import pose_parts

    for part, kind in zip(pose_parts(path), (POSE_TYPE, PERSON_TYPE), strict=True):
        check_folder(part, (kind,), kind)


def _check_flow(path: Path) -> None:
    from .maps.flow import read_raft

    read_raft(path, device="meta")


_CHECKS: dict[str, Callable[[Path], object]] = {
    "detector": lambda path: check_folder(path, (DETECTOR_TYPE,), "GroundingDINO"),
    "segmenter": lambda path: check_folder(path, (VIDEO_TYPE, IMAGE_TYPE), "SAM2"),
    "depth": lambda path: check_folder(path, DEPTH_TYPES, "depth model"),
    "pose": _check_pose,
    "flow": _check_flow,
}
