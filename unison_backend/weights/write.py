"""Tensors to a file, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from ..files import replacing, writing

WRITE_ERRORS = (OSError, SafetensorError)  # safetensors reports a full disk as an error of its own


def write_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """As safetensors; a crash or a full disk leaves an older file as it was. Raises ResourceError, MediaError."""
    with replacing(path) as temporary, writing(path, SafetensorError):
        save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, temporary, metadata)
