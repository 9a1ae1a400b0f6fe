"""What single frames look like: the measures by which kinds of maps tell their own.

All values are of pixels in 0..1, all shares of a frame's pixels. The numbers were set between the maps in VACE's,
ControlNet's and RAFT's own figures and some sixty photographs, with room on both sides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.floating[Any]]

PLAIN = 0.1  # channels that differ by less are the same colour
_PLAIN_SHARE = 0.0005  # of pixels that may differ more in a frame of one colour
_GREY_MEAN, _GREY_MOST = 0.01, 0.03  # the channels' difference: on average, and in all but 1 % of pixels
_LEVELS = 12  # of 64 shades that a photograph or a depth map at least has
_PAPER, _PAPER_SHARE = 0.1, 0.6  # lines: the ground is within this of black or white
_INK, _INK_SHARES = 0.3, (0.0005, 0.45)  # lines: what differs more from the ground
_BETWEEN, _BETWEEN_SHARE = 0.5, 0.2  # lines: what is neither ground nor clearly ink
_THICK, THICK_SHARE = 0.04, 0.2  # of the shorter side: lines are thinner than this, all but a share of them


def is_plain(frame: Pixels) -> bool:
    """Whether (nearly) all pixels have the same colour."""
    import numpy as np

    usual = np.median(frame.reshape(-1, 3), axis=0)
    return bool((np.abs(frame - usual).max(-1) > PLAIN).mean() < _PLAIN_SHARE)


def spread(frame: Pixels) -> Any:
    """How far the channels of each pixel are apart."""
    return frame.max(-1) - frame.min(-1)


def is_colourless(frame: Pixels) -> bool:
    import numpy as np

    apart = spread(frame)
    return bool(apart.mean() < _GREY_MEAN and np.quantile(apart, 0.99) < _GREY_MOST)


def is_grey(frame: Pixels) -> bool:
    """Colourless, in many shades."""
    import numpy as np

    shades = np.bincount((frame.mean(-1).clip(0, 1) * 63).astype(int).ravel(), minlength=64)
    return is_colourless(frame) and int((shades > 0.001 * shades.sum()).sum()) >= _LEVELS


def thick_share(marked: Any) -> float:
    """The share of marked pixels that lie in the middle of a marked square, i.e. in something that is no line."""
    import numpy as np
    from scipy import ndimage

    side = max(3, int(min(marked.shape) * _THICK) | 1)
    inside = ndimage.uniform_filter(marked.astype(np.float32), side) > 0.95
    return float(inside.sum() / max(1, marked.sum()))


def is_lines(frame: Pixels) -> bool:
    """Colourless, almost all black (or white), with thin white (or black) lines."""
    import numpy as np

    if not is_colourless(frame):
        return False
    shade = frame.mean(-1)
    ink = np.abs(shade - float((shade > 0.5).mean() > 0.5))
    low, high = _INK_SHARES
    return bool(
        (ink < _PAPER).mean() > _PAPER_SHARE
        and low < (ink > _INK).mean() < high
        and ((ink >= _PAPER) & (ink < _BETWEEN)).mean() < _BETWEEN_SHARE
        and thick_share(ink > _INK) < THICK_SHARE
    )
