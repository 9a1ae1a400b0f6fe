"""Scribble maps: drawn-looking lines along the dark side of edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...progress import Cancel, Progress, never, silent
from ...sources.masks import grown
from .frames import each_frame, luma
from .statistics import is_lines

if TYPE_CHECKING:
    from torch import Tensor

    from .statistics import Pixels

# Difference of Gaussians (Winnemoeller's XDoG, sigma and 1.6 sigma), in pixels of a frame 512 high or wide.
SCRIBBLE_SIZE = 512
SCRIBBLE_SIGMA, SCRIBBLE_RATIO = 1.4, 1.6
SCRIBBLE_EDGE = 0.02  # least difference, as a share of the brightness around it; found on photographs
SCRIBBLE_SPECK = 40  # pixels; what is smaller is grain, not a line
SCRIBBLE_GROWTH = 1  # pixels to every side: lines get 2 pixels wider
# VACE's lines are dark on white: its authors say so (github.com/ali-vilab/VACE issue 100) and draw it so (their
# assets/materials/tasks.png). Ours are light on black like canny's until the project decides otherwise.
SCRIBBLE_DARK_LINES = False


def make(
    video: Tensor,
    *,
    dark_lines: bool = SCRIBBLE_DARK_LINES,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> Tensor:
    """Drawn-looking lines, of 0 and 1 only: white on black, or with dark_lines black on white.

    Lines run along the dark side of edges: where a blurred frame is darker than its surroundings (difference of
    Gaussians; XDoG's soft threshold is cut to yes or no, since nothing between is wanted), without specks, thickened.
    The reference uses a network that draws thinner lines, dark on white.
    """

    def draw(frame: Tensor) -> Tensor:
        import torch

        lines = torch.from_numpy(_scribble(luma(frame).numpy())).float()
        return 1 - lines if dark_lines else lines

    return each_frame(video, draw, "scribble map", progress, cancel)


def _scribble(brightness: Pixels) -> Any:
    import numpy as np
    from scipy import ndimage

    scale = min(brightness.shape) / SCRIBBLE_SIZE
    sigma = SCRIBBLE_SIGMA * scale
    fine, coarse = (ndimage.gaussian_filter(brightness, s, mode="nearest") for s in (sigma, SCRIBBLE_RATIO * sigma))
    labels, _ = ndimage.label((coarse - fine) / (coarse + 0.1) > SCRIBBLE_EDGE, np.ones((3, 3)))
    lasting = np.bincount(labels.ravel()) >= SCRIBBLE_SPECK * scale**2
    lasting[0] = False
    return grown(lasting[labels], max(1, round(SCRIBBLE_GROWTH * scale)))


def looks_like(frame: Pixels) -> bool:
    """A line drawing."""
    return is_lines(frame)
