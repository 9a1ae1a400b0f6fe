"""Colours in 0..1 as whole numbers in 0..255: the one rounding for files, processors and previews."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


def to_bytes(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Floats of any shape, clamped to 0..1, half up (not-a-number is 0), as uint8; uint8 stays as it is."""
    import numpy as np

    if pixels.dtype == np.uint8:
        return pixels
    unit = np.nan_to_num(pixels.astype(np.float32), nan=0.0).clip(0, 1)
    return np.floor(unit * 255 + np.float32(0.5)).astype(np.uint8)


def tensor_to_bytes(pixels: Tensor) -> Tensor:
    """`to_bytes` of a tensor, on the CPU."""
    import torch

    return torch.from_numpy(to_bytes(pixels.detach().to("cpu", torch.float32).numpy()))
