"""What loading a depth or pose model shares: transformers' folders with an image processor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import WeightsError
from ...weights.folder import check_folder, load_model, load_part, refuse_missing
from ...weights.small_json import read_json

# Weights that depth networks have and do not use, and that released folders lack.
_UNUSED = ("fusion_stage.layers.0.residual_layer1.", "embeddings.mask_token")


def load_network(folder: Path, types: Sequence[str], role: str, kind: Any) -> tuple[Any, Any]:
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
