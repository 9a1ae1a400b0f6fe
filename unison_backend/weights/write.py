"""Tensors to a file, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from ..errors import ResourceError

WRITE_ERRORS = (OSError, SafetensorError)  # safetensors reports a full disk as an error of its own


def write_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """As safetensors; a crash or a full disk leaves an older file as it was. Raises ResourceError."""
    temporary = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, temporary, metadata)
        temporary.replace(path)
    except WRITE_ERRORS as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise ResourceError(f"{path} cannot be written ({error}); make room there or give another place") from error
