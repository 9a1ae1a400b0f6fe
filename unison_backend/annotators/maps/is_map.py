"""Whether footage already is a control map, so that no map is made of a map.

Cheap statistics of up to five frames, each of which has to look like the map (frames of one colour are passed over).
They lean to "no": ordinary colour footage must not be taken for a map, while a map that is not recognised can be given
as `control = map`. The numbers were set between the maps in VACE's, ControlNet's and RAFT's own figures and some sixty
photographs, with room on both sides. Colourless footage is what it seems: it counts as a grey map, smooth as a depth
map, and a line drawing as a canny or scribble map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...plan.plan import CONTROLS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.floating[Any]]

    from torch import Tensor

FRAMES = 5  # looked at, evenly spread, the first and last among them
MAX_SIDE = 2048  # larger frames are looked at in every second (third, ...) pixel

_PLAIN = 0.1  # channels that differ by less are the same colour
_PLAIN_SHARE = 0.0005  # of pixels that may differ more in a frame of one colour

# All values are of pixels in 0..1, all shares of a frame's pixels.
_GREY_MEAN, _GREY_MOST = 0.01, 0.03  # the channels' difference: on average, and in all but 1 % of pixels
_LEVELS = 12  # of 64 shades that a photograph or a depth map at least has
_SMOOTH, _SMOOTH_SHARE = 3 / 255, 0.25  # steps between neighbours that a depth map mostly stays under
_STEEP, _STEEP_SHARE = 12 / 255, 0.06  # and that only its outlines exceed
_MIDDLE, _MIDDLE_SHARE = 0.08, 0.2  # depth: so many are not this close to black or white, as a mask's are
_PAPER, _PAPER_SHARE = 0.1, 0.6  # lines: the ground is within this of black or white
_INK, _INK_SHARES = 0.3, (0.0005, 0.45)  # lines: what differs more from the ground
_BETWEEN, _BETWEEN_SHARE = 0.5, 0.2  # lines: what is neither ground nor clearly ink
_THICK, _THICK_SHARE = 0.04, 0.2  # of the shorter side: lines are thinner than this, all but a share of them
_NIGHT, _NIGHT_SHARE = 0.06, 0.85  # pose: the ground is this dark
_LIMB, _LIMB_SHARES, _LIMB_COLOUR = 0.2, (0.0005, 0.15), 0.5  # pose: what is lighter, and is mostly this saturated
_HUES, _HUE_SHARE = 4, 0.02  # pose: of twelve hues, each with this share of the coloured pixels
_BRIGHT, _BRIGHT_SHARE = 0.8, 0.99  # flow: the brightest channel of a mixture of one hue and white
_FULL, _FULL_SHARE = 0.94, 0.95
_TINTED = 0.02  # flow: share of pixels that are no shade of grey


def check_video(video: Tensor) -> None:
    """Raise InputError unless this is [T, H, W, 3] with something in it."""
    if video.ndim != 4 or video.shape[-1] != 3 or not video.numel():
        raise InputError(f"a video is of shape {list(video.shape)}; expected is [frames, height, width, 3]")


def looks_like(kind: str, video: Tensor) -> bool:
    """Whether the video [T, H, W, 3] (0..1) already is a control map of this kind (see `plan.CONTROLS`).

    Raises InputError for another shape or kind. "map" is what the person says it is: True.
    """
    check_video(video)
    if kind not in CONTROLS:
        raise InputError(f"control is {kind!r}; it is one of {', '.join(CONTROLS)}")
    if kind == "map":
        return True
    seen = [frame for frame in _frames(video) if not _is_plain(frame)]
    return bool(seen) and all(_TESTS[kind](frame) for frame in seen)


def _frames(video: Tensor) -> Iterator[Pixels]:
    import torch

    last = len(video) - 1
    step = -(-max(video.shape[1:3]) // MAX_SIDE)
    for number in sorted({last * i // (FRAMES - 1) for i in range(FRAMES)}):
        yield video[number, ::step, ::step].detach().to("cpu", torch.float32).numpy()


def _is_plain(frame: Pixels) -> bool:
    """Whether (nearly) all pixels have the same colour."""
    import numpy as np

    usual = np.median(frame.reshape(-1, 3), axis=0)
    return bool((np.abs(frame - usual).max(-1) > _PLAIN).mean() < _PLAIN_SHARE)


def _spread(frame: Pixels) -> Any:
    """How far the channels of each pixel are apart."""
    return frame.max(-1) - frame.min(-1)


def _is_colourless(frame: Pixels) -> bool:
    import numpy as np

    spread = _spread(frame)
    return bool(spread.mean() < _GREY_MEAN and np.quantile(spread, 0.99) < _GREY_MOST)


def _is_grey(frame: Pixels) -> bool:
    """Colourless, in many shades."""
    import numpy as np

    shades = np.bincount((frame.mean(-1).clip(0, 1) * 63).astype(int).ravel(), minlength=64)
    return _is_colourless(frame) and int((shades > 0.001 * shades.sum()).sum()) >= _LEVELS


def _is_depth(frame: Pixels) -> bool:
    """Grey and smooth but for outlines: a photograph has grain and texture."""
    import numpy as np

    shade = frame.mean(-1)
    middle = ((shade > _MIDDLE) & (shade < 1 - _MIDDLE)).mean()
    if min(shade.shape) < 2 or middle < _MIDDLE_SHARE or not _is_grey(frame) or _is_lines(frame):
        return False
    steps = np.abs(np.diff(shade, axis=0))[:, 1:] + np.abs(np.diff(shade, axis=1))[1:]
    return bool((steps > _SMOOTH).mean() < _SMOOTH_SHARE and (steps > _STEEP).mean() < _STEEP_SHARE)


def _thick_share(marked: Any) -> float:
    """The share of marked pixels that lie in the middle of a marked square, i.e. in something that is no line."""
    import numpy as np
    from scipy import ndimage

    side = max(3, int(min(marked.shape) * _THICK) | 1)
    inside = ndimage.uniform_filter(marked.astype(np.float32), side) > 0.95
    return float(inside.sum() / max(1, marked.sum()))


def _is_lines(frame: Pixels) -> bool:
    """Colourless, almost all black (or white), with thin white (or black) lines."""
    import numpy as np

    if not _is_colourless(frame):
        return False
    shade = frame.mean(-1)
    ink = np.abs(shade - float((shade > 0.5).mean() > 0.5))
    low, high = _INK_SHARES
    return bool(
        (ink < _PAPER).mean() > _PAPER_SHARE
        and low < (ink > _INK).mean() < high
        and ((ink >= _PAPER) & (ink < _BETWEEN)).mean() < _BETWEEN_SHARE
        and _thick_share(ink > _INK) < _THICK_SHARE
    )


def _is_pose(frame: Pixels) -> bool:
    """Black, with a few thin lines in several full colours."""
    import numpy as np

    value = frame.max(-1)
    limbs = value > _LIMB
    low, high = _LIMB_SHARES
    if not ((value < _NIGHT).mean() > _NIGHT_SHARE and low < limbs.mean() < high):
        return False
    coloured = frame[limbs & (_spread(frame) > _LIMB_COLOUR * value)]
    if len(coloured) < _LIMB_COLOUR * limbs.sum() or _thick_share(limbs) > _THICK_SHARE:
        return False
    hues = np.bincount(_hue(coloured), minlength=12)
    return bool((hues > _HUE_SHARE * hues.sum()).sum() >= _HUES)


def _hue(pixels: Pixels) -> Any:
    """[N, 3] colours to twelfths of the colour wheel, 0..11."""
    import numpy as np

    red, green, blue = pixels.T
    angle = np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue)
    return np.floor(angle / (2 * np.pi) * 12).astype(int) % 12


def _is_flow(frame: Pixels) -> bool:
    """Hues mixed with white alone, so that one channel is always full; never quite colourless."""
    value = frame.max(-1)
    return bool(
        (value > _BRIGHT).mean() > _BRIGHT_SHARE
        and (value > _FULL).mean() > _FULL_SHARE
        and (_spread(frame) > _PLAIN).mean() > _TINTED
    )


_TESTS: dict[str, Callable[[Any], bool]] = {
    "canny": _is_lines,
    "scribble": _is_lines,
    "grey": _is_grey,
    "depth": _is_depth,
    "pose": _is_pose,
    "flow": _is_flow,
}
