"""Wan2.2's two experts: one model for the first, noisy steps and one for the rest. Told apart by names alone.

Each is a whole Wan VACE by its keys and shapes, so a run with one of them would go through and make a wrong picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ..errors import WeightsError
from .small_json import read_json

_PIPELINE = "model_index.json"
_SECOND = "transformer_2"  # diffusers' name of the expert for low noise
_COMPONENTS = ("transformer", _SECOND)
_ORIGINAL = ("high_noise_model", "low_noise_model")  # Wan's own download
_NOISE = re.compile(r"(?<![a-z0-9])(high|low)[ _-]?noise(?![a-z])")
_SIDE = re.compile(r"(?<![a-z0-9])(high|low)(?![a-z0-9])")
_WAN_2_2 = re.compile(r"wan[ _.-]?2[ _.-]2|(?<![a-z0-9])a14b(?![a-z0-9])")
CURE = (
    "of which one alone makes wrong pictures and a run here takes only one: take Wan2.1-VACE (unison download vace, or "
    "vace-14b). In ComfyUI both run one after the other, each with a KSampler (Advanced), behind VACE Conditioning "
    "(Unison). A whole model that is only called so takes another name"
)


def is_expert(name: str) -> bool:
    """Whether a file's name says that it is one of two experts ("wan2.2_fun_vace_high_noise_14B_fp8_scaled")."""
    lower = name.lower()
    return bool(_NOISE.search(lower) or (_WAN_2_2.search(lower) and _SIDE.search(lower)))


def refusal(path: Path) -> str:
    """Why a transformer's file or folder is not run: it is one expert, or both; "" for any other."""
    if path.is_dir():
        both = _both(path) or (path.name in _COMPONENTS and _both(path.parent))
        one = path.name in _ORIGINAL or any(is_expert(file.name) for file in path.glob("*.safetensors"))
    else:
        both = path.parent.name in _COMPONENTS and _both(path.parent.parent)
        one = is_expert(path.name) or path.parent.name in _ORIGINAL
    if both:
        return f"{path} belongs to a model of two experts (Wan2.2), {CURE}"
    return f"{path} is one of two experts by its name (Wan2.2 high noise and low noise), {CURE}" if one else ""


def refuse_expert(path: Path) -> None:
    """Raise WeightsError for what `refusal` names."""
    if told := refusal(path):
        raise WeightsError(told)


def left_out(files: Iterable[Path]) -> list[Path]:
    """The VACE experts among weights files of a models folder, which no run takes."""
    return [file for file in files if "vace" in file.name.lower() and is_expert(file.name)]


def _both(folder: Path) -> bool:
    """Whether a folder is a pipeline of two experts: as diffusers has it, or as Wan published it."""
    if any((folder / name).is_dir() for name in (_SECOND, *_ORIGINAL)):
        return True
    try:
        named = read_json(folder / _PIPELINE).get(_SECOND)
    except WeightsError:
        return False
    # a pipeline of one model writes [null, null]
    return isinstance(named, list) and any(part is not None for part in named)
