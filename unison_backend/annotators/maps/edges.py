"""Control maps that need no weights: edges, grey and scribble.

Maps are [T, H, W, 3] float32 in 0..1 on the CPU, made frame by frame. Where ours differ from VACE's own annotators, the
function says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...progress import Cancel, Progress, never, silent
from ...sources.masks import grown
from .frames import each_frame

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    Pixels = NDArray[np.floating[Any]]

CANNY_LOW, CANNY_HIGH = 0.1, 0.2  # kornia's defaults; a hard step of s has the gradient 2.6 s there

LUMA = (0.299, 0.587, 0.114)  # ITU-R 601

# Scribble: difference of Gaussians (Winnemoeller's XDoG, sigma and 1.6 sigma), in pixels of a frame 512 high or wide.
SCRIBBLE_SIZE = 512
SCRIBBLE_SIGMA, SCRIBBLE_RATIO = 1.4, 1.6
SCRIBBLE_EDGE = 0.02  # least difference, as a share of the brightness around it; found on photographs
SCRIBBLE_SPECK = 40  # pixels; what is smaller is grain, not a line
SCRIBBLE_GROWTH = 1  # pixels to every side: lines get 2 pixels wider
# VACE's lines are dark on white: its authors say so (github.com/ali-vilab/VACE issue 100) and draw it so (their
# assets/materials/tasks.png). Ours are light on black like canny's until the project decides otherwise.
SCRIBBLE_DARK_LINES = False


def luma(frame: Tensor) -> Tensor:
    """[H, W, 3] to its brightness [H, W], by ITU-R 601."""
    brightness: Tensor = frame @ frame.new_tensor(LUMA)
    return brightness.clamp(0, 1)


def grey(video: Tensor, *, progress: Progress = silent, cancel: Cancel = never) -> Tensor:
    """The video without its colour: ITU-R 601 brightness in three equal channels.

    The reference reads RGB frames as BGR, so that its weights of red and blue are swapped; ours are right.
    """
    return each_frame(video, luma, "grey map", progress, cancel)


def canny(
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


def scribble(
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

    def make(frame: Tensor) -> Tensor:
        import torch

        lines = torch.from_numpy(_scribble(luma(frame).numpy())).float()
        return 1 - lines if dark_lines else lines

    return each_frame(video, make, "scribble map", progress, cancel)


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
