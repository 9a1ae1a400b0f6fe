"""Canny maps: edges of one pixel, white on black."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import InputError
from ...progress import Cancel, Progress, never, silent
from .frames import each_frame, luma
from .statistics import is_lines

if TYPE_CHECKING:
    from torch import Tensor

    from .statistics import Pixels

CANNY_LOW, CANNY_HIGH = 0.1, 0.2  # kornia's defaults; a hard step of s has the gradient 2.6 s there


def make(
    video: Tensor,
    *,
    low: float = CANNY_LOW,
    high: float = CANNY_HIGH,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> Tensor:
    """Edges of one pixel, white on black, by kornia's Canny. The reference has no such annotator.

    low, high: gradients (0..4, of brightness 0..1 by Sobel) from which a pixel is an edge if it touches one, and in
    any case. Raises InputError unless 0 < low <= high.
    """
    if not 0 < low <= high:
        raise InputError(f"canny's thresholds are {low:g} and {high:g}; they have to be above 0, the low one first")
    return each_frame(video, lambda frame: _canny(luma(frame), low, high), "canny map", progress, cancel)


def _canny(brightness: Tensor, low: float, high: float) -> Tensor:
    import numpy as np
    import torch
    from kornia.filters import canny as kornia_canny
    from scipy import ndimage

    height, width = brightness.shape
    # Beside a clean step two pixels have equal gradients, and kornia before 0.9 then keeps neither. A bowl that is too
    # flat to be an edge makes them differ.
    rows, columns = (torch.arange(n, dtype=torch.float64) / n for n in (height, width))
    bowl = 1e-6 * (rows[:, None] ** 2 + columns**2)
    candidates = kornia_canny((brightness.double() + bowl)[None, None], low, high, hysteresis=False)[1][0, 0].numpy()
    # kornia's own hysteresis grows edges by a pixel a pass, which takes seconds a frame; the result is the same
    labels, count = ndimage.label(candidates > 0, np.ones((3, 3)))
    strong = np.zeros(count + 1, bool)
    strong[labels[candidates == 1]] = True
    return torch.from_numpy(strong[labels]).float()


def looks_like(frame: Pixels) -> bool:
    """A line drawing."""
    return is_lines(frame)
