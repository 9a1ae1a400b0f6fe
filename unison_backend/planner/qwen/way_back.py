"""How a merged planner answers as its base: beside its weights lies the LoRA that takes the merged one off again.

What is unusual: it is an ordinary adapter of PEFT (the planning LoRA with its second matrices negated, and the base's
own embedding and head where those were trained), so that others can load it too: merged folder and adapter are the
base. It is off while planning and on while answering.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...weights.adapter import ANSWERING_FOLDER
from .adapters import Adapter, read_adapter

if TYPE_CHECKING:
    from torch import Tensor

    from .loading import Qwen

_NEGATED = ("lora_B.weight", "lora_B.bias", "lora_embedding_B")
_ABSENT = "the merged folder answers as the merged model does, not as its base: "


def why_none(adapter: Adapter) -> str | None:
    """Why a LoRA cannot be taken off once it is merged, as a sentence for the person; None where it can."""
    if not adapter.removable:
        return f"{_ABSENT}this LoRA changes the base's own weights"
    if adapter.needs_tie and not adapter.config.get("trainable_token_indices"):
        return f"{_ABSENT}this LoRA was trained for a head that is the embedding"
    if any("lora_magnitude_vector" in key for key in adapter.tensors):
        return f"{_ABSENT}this LoRA scales the base's weights (DoRA), which adding another one does not undo"
    return None


def reversed_state(model: Any) -> dict[str, Tensor]:
    """The tensors of the adapter that takes the one in `model` (a PeftModel, not merged yet) off, by PEFT's names.

    Rows of single tokens are left out: they are the 14 signal tokens', which an answer neither reads nor writes.
    """
    from peft import get_peft_model_state_dict

    trained: dict[str, Tensor] = get_peft_model_state_dict(model, save_embedding_layers=False)  # type: ignore[no-untyped-call]
    modules = dict(model.named_modules())
    state = {}
    for key, tensor in trained.items():
        if key.endswith(_NEGATED):
            state[key] = -tensor
        elif "lora_" in key:
            state[key] = tensor
        elif "token_adapter" not in key and "trainable_tokens" not in key:
            module, _, name = key.rpartition(".")
            state[key] = getattr(modules[module].original_module, name)
    return state


def write_way_back(qwen: Qwen, adapter: Adapter, state: dict[str, Tensor], folder: Path) -> None:
    """Put the reversed adapter into the merged `folder`, its matrices in the dtype that the adapter's file has.

    state: of `reversed_state`. Raises ResourceError.
    """
    from ...weights.write import write_tensors

    out = folder / ANSWERING_FOLDER
    out.mkdir()
    stored = {f"base_model.model.{key}": tensor.dtype for key, tensor in adapter.tensors.items() if "lora_" in key}
    tensors = {key: tensor.to(stored.get(key, qwen.base.dtype)) for key, tensor in state.items()}
    write_tensors(tensors, out / "adapter_model.safetensors", {"format": "pt"})
    config = adapter.config | {"base_model_name_or_path": "..", "trainable_token_indices": None}
    texts = {"adapter_config.json": config, "added_tokens.json": qwen.token_ids}
    for name, content in texts.items():
        (out / name).write_bytes((json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode("utf-8"))


def read_way_back(folder: Path) -> Adapter | None:
    """The adapter with which the planner in `folder` answers, if it has one. Raises WeightsError for a wrong one."""
    place = folder / ANSWERING_FOLDER
    return read_adapter(place) if (place / "adapter_config.json").is_file() else None
