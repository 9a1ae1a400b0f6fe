"""Control models from local files: what lies there is looked at before a weight is read, and nothing is fetched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import WeightsError
from ...weights.folder import model_type
from ...weights.state import PICKLES, SAFETENSORS
from .depth import DEPTH_TYPES, DepthModel, load_depth
from .flow import FlowModel, load_flow
from .pose import PERSON_TYPE, POSE_TYPE, PoseModel, load_pose

if TYPE_CHECKING:
    import torch

    Device = torch.device | str


def control_kind(path: Path) -> str:
    """depth, pose or flow, as names and config files tell; "" for what is no control model. Never raises."""
    if path.is_file():
        return "flow" if path.suffix.lower() in SAFETENSORS + PICKLES else ""
    if model_type(path) in DEPTH_TYPES:
        return "depth"
    parts = {model_type(child) for child in path.iterdir()} if path.is_dir() else set()
    return "pose" if {POSE_TYPE, PERSON_TYPE} <= parts else ""


def load_control_model(path: Path, *, device: Device = "cpu") -> DepthModel | PoseModel | FlowModel:
    """The depth model, pose model (a folder with both of its folders) or flow model (a file) at `path`."""
    path = Path(path)
    kind = control_kind(path)
    if kind == "flow" or (path.suffix.lower() in SAFETENSORS + PICKLES and not path.exists()):
        return load_flow(path, device=device)
    if kind == "depth":
        return load_depth(path, device=device)
    if path.is_dir() and any(model_type(child) in (POSE_TYPE, PERSON_TYPE) for child in path.iterdir()):
        return load_pose(path, device=device)  # which says what lacks when one of the two is not there
    found = (
        f"a model of type {named!r}" if (named := model_type(path)) else "no model" if path.exists() else "not there"
    )
    raise WeightsError(
        f"{path} is {found}; a control model is a folder with a Depth-Anything, DPT or ZoeDepth, a folder that holds "
        "the folders of a ViTPose and an RT-DETR, or a file with torchvision's RAFT"
    )
