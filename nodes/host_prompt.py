"""What the host's prompt says of a node's inputs before they are computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from ..unison_backend.errors import InputError
from ..unison_backend.weights.experts import CURE, is_expert

MODEL = "model"
_WEIGHTS = (".safetensors", ".sft", ".gguf", ".pth", ".pt")


def refuse_expert(prompt: Any, node: str) -> None:
    """Raise InputError when a node's model comes from a file that is one of Wan2.2's two experts, by its name.

    The way back is followed along inputs called `model`: two experts that a node merges are one model.
    """
    for name in model_files(prompt, node):
        if is_expert(PurePosixPath(name.replace("\\", "/")).name):
            raise InputError(
                f"model: {name} is one of two experts by its name (Wan2.2 high noise and low noise), {CURE}"
            )


def model_files(prompt: Any, node: str) -> Iterator[str]:
    """Names of weights files among the inputs of the node that a node's model comes from, behind LoRAs and patches."""
    seen: set[str] = set()
    while isinstance(link := _inputs(prompt, node).get(MODEL), list) and node not in seen:
        seen.add(node)
        node = str(link[0])
    if seen:
        values = (value for value in _inputs(prompt, node).values() if isinstance(value, str))
        yield from (value for value in values if value.lower().endswith(_WEIGHTS))


def _inputs(prompt: Any, node: str) -> Mapping[str, Any]:
    given: Mapping[str, Any] = prompt.get_node(node).get("inputs", {})
    return given
