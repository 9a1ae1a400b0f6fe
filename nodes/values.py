"""What a prompt may put on a node's inputs: the host lets any JSON value through to sockets that take a link."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

from ..unison_backend.errors import InputError
from ..unison_backend.plan.prompt import check_characters

# Inputs whose values the host reads from the prompt itself, and sockets that take anything.
_WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "BOUNDING_BOX"}
_ANY = {"*", "COMFY_MATCHTYPE_V3", "COMFY_AUTOGROW_V3", "COMFY_DYNAMICCOMBO_V3"}
# Of these sockets the host's own values are plain lists and objects, with a tensor in a place of its own.
_TENSORS = {"LATENT": "samples", "AUDIO": "waveform"}


@cache
def kinds_of(node: Any) -> Mapping[str, str]:
    """The type of each input of a node class, by its name."""
    return {given.id: str(given.get_io_type()) for given in node.define_schema().inputs or ()}


def check_values(kinds: Mapping[str, str], inputs: Mapping[str, Any]) -> None:
    """Raise InputError that names the input: numbers that are not finite, text with half a character, and a value that
    was written where only a link brings one."""
    for name, value in inputs.items():
        kind = kinds.get(name)
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{name} is {value}: write a finite number")
        if isinstance(value, str):
            check_characters(value, name)
        if kind is not None and value is not None and _is_written(kind, value):
            shown = repr(value)[:40]
            raise InputError(f"{name} is {shown}, written into the prompt, and takes a {kind}: connect one, or nothing")


def _is_written(kind: str, value: Any) -> bool:
    """Whether a value of the prompt stands on a socket that takes objects."""
    kinds = set(kind.split(","))
    if kinds & (_WIDGETS | _ANY):
        return False
    if isinstance(value, (str, int, float)):
        return True
    if isinstance(value, dict):
        keys = [key for name, key in _TENSORS.items() if name in kinds]
        return not any(hasattr(value.get(key), "shape") for key in keys)
    return isinstance(value, list) and not (_is_link(value) or ("CONDITIONING" in kinds and _is_conditioning(value)))


def _is_link(value: list[Any]) -> bool:
    """The link itself, which nodes that expand ask for."""
    return len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)


def _is_conditioning(value: list[Any]) -> bool:
    return all(isinstance(row, (list, tuple)) and row and hasattr(row[0], "shape") for row in value)
