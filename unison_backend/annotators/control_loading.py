"""Control models from local files: what lies there is looked at before a weight is read, and nothing is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UnsupportedError, WeightsError
from ..planner.checkpoint import read_json
from ..weights import PICKLES, SAFETENSORS, assign, load_state_dict, seems
from . import control
from .control_models import DepthModel, FlowModel, PoseModel, person_label
from .detector import check_folder, first_line, load_model, load_part, model_type, refuse_missing

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    Device = torch.device | str

DEPTH_TYPES = ("depth_anything", "dpt", "zoedepth")
POSE_TYPE, PERSON_TYPE = "vitpose", "rt_detr"

_COCO_POINTS = 17
# Weights that depth networks have and do not use, and that released folders lack.
_UNUSED = ("fusion_stage.layers.0.residual_layer1.", "embeddings.mask_token")


def load_depth(folder: Path, *, device: Device = "cpu") -> DepthModel:
    """The Depth-Anything, DPT or ZoeDepth in `folder` (transformers' layout).

    Raises WeightsError naming the file that is missing, damaged or wrong and what to do, UnsupportedError for a
    library that is missing, ResourceError when the memory is too small. So do the functions below.
    """
    from transformers import AutoModelForDepthEstimation

    return DepthModel(*_load(folder, DEPTH_TYPES, "depth model", AutoModelForDepthEstimation)).to(device)


def load_pose(folder: Path, detector: Path | None = None, *, device: Device = "cpu") -> PoseModel:
    """The ViTPose in `folder` and the RT-DETR in `detector`; without the latter, both are folders inside `folder`."""
    import torch
    from transformers import RTDetrForObjectDetection, VitPoseForPoseEstimation

    path = Path(folder)
    if detector is None:
        path, detector = pose_parts(path)
    network, processor = _load(path, (POSE_TYPE,), "ViTPose", VitPoseForPoseEstimation)
    finder, finder_processor = _load(detector, (PERSON_TYPE,), "RT-DETR", RTDetrForObjectDetection)
    if network.config.num_labels != _COCO_POINTS:
        raise WeightsError(f"{path} finds {network.config.num_labels} key points; get a ViTPose that finds COCO's 17")
    if person_label(finder.config) is None:
        raise WeightsError(f"{detector} does not know persons; get an RT-DETR that was trained on COCO")
    both = torch.nn.ModuleDict({"vitpose": network, "detector": finder}).eval()
    return PoseModel(both, processor, finder_processor).to(device)


def pose_parts(folder: Path) -> tuple[Path, Path]:
    """The folders with the ViTPose and the RT-DETR: `vitpose` and `detector`, or the first by name of their type."""
    if not folder.is_dir():
        raise WeightsError(f"{folder} is {'a file' if folder.exists() else 'not there'}; give a folder")
    children = sorted(folder.iterdir(), key=lambda p: (p.name not in ("vitpose", "detector"), p.name))
    found = {model_type(child): child for child in reversed(children)}
    for kind, name in ((POSE_TYPE, "ViTPose"), (PERSON_TYPE, "RT-DETR")):
        if kind not in found:
            raise WeightsError(f"{folder} has no folder with a {name} in it; put {control.WANTED['pose']}")
    return found[POSE_TYPE], found[PERSON_TYPE]


def _load(folder: Path, types: Sequence[str], role: str, kind: Any) -> tuple[Any, Any]:
    """The model of class `kind` in a folder, and its image processor."""
    from transformers import AutoImageProcessor

    path = check_folder(folder, types, role)
    if _needs_more(read_json(path / "config.json")):
        raise WeightsError(f"{path / 'config.json'} takes a backbone from elsewhere; get a folder that has it inside")
    processor = load_part(AutoImageProcessor, path)
    model, missing = load_model(kind, path, dtype="float32")
    refuse_missing(path, {key for key in missing if not any(part in key for part in _UNUSED)})
    return model, processor


def _needs_more(config: Any) -> bool:
    """Whether a config, or one inside it, names a backbone that would be fetched."""
    if not isinstance(config, dict):
        return False
    named = config.get("backbone") and not config.get("backbone_config")
    asked = named or config.get("use_pretrained_backbone") or config.get("use_timm_backbone")
    return bool(asked) or any(_needs_more(part) for part in config.values())


def load_flow(file: Path, *, device: Device = "cpu") -> FlowModel:
    """The RAFT, small or large, in a .safetensors or .pth file with torchvision's weights."""
    try:
        from torchvision.models.optical_flow import raft_large, raft_small
    except (ImportError, RuntimeError) as error:  # RuntimeError: one that was built for another torch
        raise UnsupportedError(
            f"flow takes torchvision, which cannot be used here ({first_line(error)}): install the torchvision that "
            "belongs to your torch (pip install torchvision)"
        ) from error
    state = read_raft(file)
    model = (raft_large if any(key.startswith("mask_predictor.") for key in state) else raft_small)(weights=None)
    counts = {key: value for key, value in model.state_dict().items() if key.endswith(".num_batches_tracked")}
    assign(model, counts | state, f"{file} as a RAFT", dtype=next(model.parameters()).dtype)
    return FlowModel(model.eval().requires_grad_(False)).to(device)


def read_raft(file: Path, *, device: Device = "cpu") -> dict[str, Tensor]:
    """The weights of a RAFT in torchvision's form; WeightsError when the file holds something else."""
    state = load_state_dict(file, prefixes=("module.",), device=device)
    if not any(key.startswith("update_block.") for key in state) or "feature_encoder.conv.weight" not in state:
        raise WeightsError(f"{file} is no RAFT in torchvision's form; put {control.WANTED['flow']}.{seems(state)}")
    return state


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
