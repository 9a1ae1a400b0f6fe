"""LoRA files for the Wan VACE transformer, merged into its weights when it is loaded: they cost nothing in a run.

Layouts, told by their keys: ComfyUI's and Kijai's (`diffusion_model.blocks.0.self_attn.q.lora_down.weight`, with
`.alpha`, `.diff` and `.diff_b`), diffusers' and PEFT's (`transformer.blocks.0.attn1.to_q.lora_A.weight`) and
musubi's (`lora_unet_blocks_0_self_attn_q.lora_down.weight`). A LoRA of Wan T2V fits: VACE has its blocks, and more.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import WeightsError
from .state import load_state_dict

if TYPE_CHECKING:
    from torch import Tensor

    Parts = dict[str, dict[str, Tensor]]

_PREFIXES = ("base_model.model.", "model.diffusion_model.", "diffusion_model.", "transformer.", "unet.")
_PARTS = {
    "lora_down.weight": "down", "lora_A.weight": "down", "lora_A.default.weight": "down", "lora.down.weight": "down",
    "lora_up.weight": "up", "lora_B.weight": "up", "lora_B.default.weight": "up", "lora.up.weight": "up",
    "alpha": "alpha", "diff": "diff", "diff_b": "diff_b", "lora_B.bias": "diff_b",
}  # fmt: skip
_UNDERSCORED = re.compile(r"lora_unet_(vace_blocks|blocks)_(\d+)_(self_attn|cross_attn|ffn)_(\w+)")
_OTHERS = {"lora_mid.weight": "LoCon", "hada_w1_a": "LoHa", "lokr_w1": "LoKr", "dora_scale": "DoRA"}


def merge_lora(model: Any, path: Path | str, strength: float = 1.0) -> int:
    """Add `strength` times the LoRA in `path` to `model`, a diffusers `WanVACETransformer3DModel`, in place.

    Sums are made in float32 and rounded once to the weight's own dtype; a weight in fp8 or GGUF stays, and the sum
    is made in use. Returns the number of weights changed.
    Raises WeightsError when the file is no LoRA, is one of another kind, or does not fit this model; then nothing is
    changed.
    """
    import torch

    from . import fp8

    parts = _read(Path(path))
    held = fp8.layers(model)
    own = dict(model.named_parameters()) | {name: layer.outline for name, layer in held.items()}
    changes = [change for module, given in parts.items() for change in _changes(module, given, own, Path(path))]
    with torch.no_grad():
        for name, given, scale in changes:
            weight = own[name]
            if name in held:
                held[name].change(given, strength * scale)
                continue
            # A new tensor: the old one may be the mapped file itself.
            weight.data = (weight.float() + strength * scale * delta(given, weight)).to(weight.dtype)
    return len(changes)


def _read(path: Path) -> Parts:
    """The file's tensors by module, in diffusers' names, and part ("down", "up", "alpha", "diff", "diff_b")."""
    parts: Parts = {}
    unknown = []
    for key, tensor in load_state_dict(path).items():
        for prefix in _PREFIXES:
            key = key.removeprefix(prefix)
        last = next((last for last in _PARTS if key.endswith(f".{last}")), None)
        if last is None:
            unknown.append(key)
        else:
            parts.setdefault(key.removesuffix(f".{last}"), {})[_PARTS[last]] = tensor
    kind = next((name for last, name in _OTHERS.items() if any(key.endswith(last) for key in unknown)), None)
    if kind:
        raise WeightsError(f"{path} is a {kind}, which is not supported; plain LoRA is")
    if not parts:
        raise WeightsError(f"{path} is no LoRA: it has no keys such as blocks.0.self_attn.q.lora_down.weight")
    if unknown:
        raise WeightsError(f"{path} has {len(unknown)} keys that no LoRA layout has, as {unknown[0]}")
    return _renamed(parts)


def _renamed(parts: Parts) -> Parts:
    """Wan's own module names as diffusers'; those that are diffusers' already stay."""
    import torch
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

    names = {}
    for module in parts:
        dotted = _UNDERSCORED.fullmatch(module)
        names[module] = ".".join(dotted.groups()) if dotted else module
    wans = {name for name in names.values() if "attn1" not in name and "attn2" not in name and "ffn.net" not in name}
    order = sorted(wans)
    given = {f"{name}.weight": torch.tensor(index) for index, name in enumerate(order)}
    # Its rule for single files, by library: one row of names instead of a second table here.
    found = convert_wan_transformer_to_diffusers(given) if order else {}
    theirs = {order[int(index)]: key.removesuffix(".weight") for key, index in found.items()}
    return {theirs.get(names[module], names[module]): given for module, given in parts.items()}


def _changes(
    module: str, given: Mapping[str, Tensor], own: Mapping[str, Tensor], path: Path
) -> list[tuple[str, tuple[Tensor, ...], float]]:
    """(parameter, what adds up to its change, scale) of one module; WeightsError when it does not fit the model."""
    found: list[tuple[str, tuple[Tensor, ...], float]] = []
    if ("down" in given) != ("up" in given):
        raise WeightsError(f"{path}: {module} has only one half of a LoRA")
    if "down" in given:
        rank = given["down"].shape[0]
        scale = float(given["alpha"]) / rank if "alpha" in given else 1.0
        found.append((f"{module}.weight", (given["up"], given["down"]), scale))
    if "diff" in given:
        found.append((f"{module}.weight", (given["diff"],), 1.0))
    if "diff_b" in given:
        found.append((f"{module}.bias", (given["diff_b"],), 1.0))
    for name, parts, _ in found:
        shape = (parts[0].shape[0], *parts[-1].shape[1:])
        if name not in own:
            raise WeightsError(f"{path} is for another model: this transformer has no {name}")
        if (own[name].numel(), own[name].shape[0]) != (math.prod(shape), shape[0]):
            raise WeightsError(
                f"{path} is for another size of model: its {name} is {list(shape)}, here it is {list(own[name].shape)}"
            )
        if len(parts) == 2 and parts[0].shape[1] != parts[1].shape[0]:
            raise WeightsError(f"{path}: {module}'s halves are of rank {parts[0].shape[1]} and {parts[1].shape[0]}")
    return found


def delta(parts: tuple[Tensor, ...], weight: Tensor) -> Tensor:
    """up down, or the stored difference, in float32 in the weight's shape and place."""
    first, *rest = (part.to(weight.device).float() for part in parts)
    for part in rest:
        first = first.flatten(1) @ part.flatten(1)
    return first.reshape(weight.shape)
