"""Depth-Anything from one file, as its authors (.pth) and kijai (.safetensors) publish it.

Sizes are read from shapes. Which layers are looked at differs between V1 and V2, and whether it gives metres, and how
far, between their training sets; no key or shape tells, so the file's name does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import WeightsError
from ...weights.original import DEPTH_ANYTHING, fill, read_original, to_hub

if TYPE_CHECKING:
    from torch import Tensor

_HEAD, _PATCH = 64, 14
# The layers that V2 looks at, by their number; V1 looks at the last four.
_LAYERS = {12: [3, 6, 9, 12], 24: [5, 12, 18, 24]}
_METRIC = {"hypersim": 20, "indoor": 20, "vkitti": 80, "outdoor": 80}  # metres
_UNUSED = ("fusion_stage.layers.0.residual_layer1.", "embeddings.mask_token")  # networks have and do not use them
_V2 = re.compile(r"v2")


def check(file: Path) -> None:
    """Raise WeightsError unless the file's header is that of a Depth-Anything."""
    state = read_original(file, DEPTH_ANYTHING, device="meta")
    config_of(state, file)
    to_hub(state, DEPTH_ANYTHING, file)


def load(file: Path) -> tuple[Any, Any]:
    """(DepthAnythingForDepthEstimation, its processor) of a file. Raises WeightsError for one that is none."""
    from transformers import DepthAnythingForDepthEstimation, DPTImageProcessor

    state = read_original(file, DEPTH_ANYTHING)
    config, hub = config_of(state, file), to_hub(state, DEPTH_ANYTHING, file)
    model = fill(DepthAnythingForDepthEstimation, config, hub, file, dtype="float32", computed=_UNUSED)
    side = config.backbone_config.image_size
    make: Any = DPTImageProcessor
    processor = make(
        size={"height": side, "width": side},
        **{"keep_aspect_ratio": True, "ensure_multiple_of": _PATCH, "resample": 3, "do_pad": False},
        **{"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]},
    )
    return model, processor


def config_of(state: Mapping[str, Tensor], file: Path) -> Any:
    """DepthAnythingConfig of the published keys and shapes, and of the file's name."""
    from transformers import DepthAnythingConfig, Dinov2Config

    try:
        width = state["pretrained.cls_token"].shape[-1]
        side = _PATCH * math.isqrt(state["pretrained.pos_embed"].shape[1] - 1)
        necks = [state[f"depth_head.projects.{level}.weight"].shape[0] for level in range(4)]
        fusion = state["depth_head.scratch.refinenet1.out_conv.weight"].shape[0]
        head = state["depth_head.scratch.output_conv2.0.weight"].shape[0]
    except KeyError as error:
        raise WeightsError(f"{file} lacks {error} of a Depth-Anything; get the file again") from error
    count = len({key.split(".")[2] for key in state if key.startswith("pretrained.blocks.")})
    if count not in _LAYERS or width % _HEAD:
        raise WeightsError(
            f"{file} is a Depth-Anything of width {width} with {count} layers; the released ones have 12 (vits, vitb) "
            "and 24 (vitl): get one of these, or its folder with a config.json"
        )
    layers = _LAYERS[count] if _V2.search(file.name.lower()) else list(range(count - 3, count + 1))
    backbone: dict[str, Any] = {
        **{"hidden_size": width, "num_hidden_layers": count, "num_attention_heads": width // _HEAD},
        **{"image_size": side, "patch_size": _PATCH, "apply_layernorm": True, "reshape_hidden_states": False},
        "out_indices": layers,
    }
    sizes: dict[str, Any] = {
        **{"reassemble_hidden_size": width, "neck_hidden_sizes": necks, "fusion_hidden_size": fusion},
        **{"head_hidden_size": head, "patch_size": _PATCH},
    }
    return DepthAnythingConfig(backbone_config=Dinov2Config(**backbone), **sizes, **_metres(file.name.lower()))


def _metres(name: str) -> dict[str, Any]:
    """Whether a file of this name gives metres, and up to how many."""
    known = next((far for word, far in _METRIC.items() if word in name), None)
    if "metric" not in name and known is None:
        return {"depth_estimation_type": "relative"}
    return {"depth_estimation_type": "metric", "max_depth": known or _METRIC["indoor"]}
