"""Which LoRA folder is a planning LoRA, by its small files and header alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import WeightsError
from .folder import config_of
from .small_json import parse_json, read_json

_MAX_HEADER = 100_000_000  # bytes, the limit of the safetensors format
_EMBEDDING = "embed_tokens"
ANSWERING_FOLDER = "answering_lora"  # in a merged planner's: what it answers with


def planning_adapter(folder: Path, planner: Path) -> bool:
    """Whether a LoRA folder is of the planner's width and brings rows for the plan's tokens.

    A LoRA for another model, or one without such rows (it could not be decoded into signal tokens), is none; nor is
    what a merged planner answers with.
    """
    if folder.name == ANSWERING_FOLDER:
        return False
    try:
        config = read_json(folder / "adapter_config.json")
    except WeightsError:
        return False
    if config.get("peft_type") != "LORA":
        return False
    width = _width(planner)
    if (folder / "adapter_model.safetensors").is_file():
        shapes = [shape for key, shape in _shapes(folder / "adapter_model.safetensors") if _EMBEDDING in key]
        return any(width in shape for shape in shapes)
    # a pickle is not opened to look: what stands beside it counts, and loading checks the rest
    named = config.get("modules_to_save") or ()
    return (folder / "adapter_model.bin").is_file() and (
        _EMBEDDING in named or bool(config.get("trainable_token_indices"))
    )


def _width(planner: Path) -> Any:
    """Of a planner's folder, by its config, or of one in a file, by its header; None where neither says it."""
    if planner.is_file():
        return next((shape[-1] for key, shape in _shapes(planner) if key.endswith(f"{_EMBEDDING}.weight")), None)
    whole = config_of(planner)
    text = whole.get("text_config")
    return (text if isinstance(text, dict) else whole).get("hidden_size")


def _shapes(file: Path) -> list[tuple[str, list[Any]]]:
    """(key, shape) of every tensor of a safetensors file; none when its header cannot be read."""
    try:
        with file.open("rb") as opened:
            size = int.from_bytes(opened.read(8), "little")
            header = parse_json(opened.read(min(size, _MAX_HEADER)))
    except (OSError, ValueError):
        return []
    entries = header.items() if isinstance(header, dict) else ()
    return [(key, entry["shape"]) for key, entry in entries if isinstance(entry, dict) and "shape" in entry]
