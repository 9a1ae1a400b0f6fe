"""Masks changed on purpose: filled, grown and blurred. Nothing of it is on by default, as in the reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from ..errors import InputError
from ..progress import Cancel, check, never

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    Marked = NDArray[np.bool_]

# VACE splits a video at this mask value (reference: wan_vace.py); softer values only reach the mask channels.
MASK_THRESHOLD = 0.5
MAX_GROW, MAX_BLUR = 1024, 256
# Of a mask picture with alpha: what counts as opaque, as black, and as the colours of its source (JPEG bends them).
OPAQUE, BLACK, SAME_COLOURS = 0.98, 0.1, 0.03
# Of the composite that ends an edit: pixels that hide the seam, few beside anything that is edited.
FEATHER, MAX_FEATHER = 4, 256

# Up to so many pixels a disc is laid at every marked one, which takes less time than the distances of all.
_FEW = 3

Fill = Literal["none", "holes", "hull", "box"]
FILLS: tuple[str, ...] = get_args(Fill)


def check_feather(feather: int) -> None:
    """Raise InputError for a feather out of range."""
    if not 0 <= feather <= MAX_FEATHER:
        raise InputError(f"feather is {feather}; allowed is 0 to {MAX_FEATHER} pixels")


@dataclass(frozen=True)
class MaskOptions:
    """scale: the brightest value of a given mask counts as white, as masks of 0 and 1 need it.

    fill: holes closed, or the convex hull or the bounding box of each frame. grow: pixels, negative shrinks.
    blur: standard deviation of a Gaussian in pixels; VACE still splits at 0.5, softness reaches its mask channels.
    Applied in this order. Raises InputError for values out of range.
    """

    fill: Fill = "none"
    grow: int = 0
    blur: float = 0.0
    scale: bool = False

    def __post_init__(self) -> None:
        if self.fill not in FILLS:
            raise InputError(f"mask fill is {self.fill!r}; it is one of {', '.join(FILLS)}")
        for name, value, low, high in (("grow", self.grow, -MAX_GROW, MAX_GROW), ("blur", self.blur, 0, MAX_BLUR)):
            if not low <= value <= high:
                raise InputError(f"mask {name} is {value}; allowed is {low} to {high} pixels")

    @property
    def changes_nothing(self) -> bool:
        """Of a mask that was read: all but `scale`, which is about reading it."""
        return (self.fill, self.grow, self.blur) == ("none", 0, 0)


def changed(mask: Tensor, options: MaskOptions, cancel: Cancel = never) -> Tensor:
    """[T, H, W] float32 in 0..1 with `options` applied frame by frame; the same tensor when they ask for nothing.

    With fill or grow the mask becomes 0 and 1, split at 0.5, before it is blurred.
    """
    if options.changes_nothing:
        return mask
    if mask.shape[0] > 1 and mask.stride(0) == 0:  # one still, repeated
        return changed(mask[:1], options, cancel).expand(mask.shape)
    import torch

    frames = []
    for frame in mask:
        check(cancel, "masks")
        frames.append(_changed_frame(frame, options))
    return torch.stack(frames)


def _changed_frame(mask: Tensor, options: MaskOptions) -> Tensor:
    import numpy as np
    import torch
    from scipy import ndimage

    values = mask.numpy()
    if options.fill != "none" or options.grow:
        marked = values > MASK_THRESHOLD
        marked = _FILLS[options.fill](marked) if marked.any() else marked
        values = grown(marked, options.grow).astype(np.float32)
    if options.blur:
        values = ndimage.gaussian_filter(values.astype(np.float32), options.blur, mode="nearest")
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).clamp(0, 1)


@dataclass(frozen=True)
class AlphaRule:
    """What the alpha of a mask means. told: in words that follow its name."""

    told: str
    is_hole: bool

    def mask_of(self, picture: Tensor) -> Tensor:
        """[H, W, 1], 1 where something changes, of a mask [H, W, 4]."""
        return 1 - picture[..., 3:] if self.is_hole else picture[..., 3:]


STROKES = AlphaRule("is black strokes on transparent: the strokes mark what changes", is_hole=False)
HOLE = AlphaRule("is the picture itself with a hole: what is transparent changes", is_hole=True)


def alpha_rule(picture: Tensor, source: Tensor, *, moving: bool = False) -> AlphaRule | None:
    """What the alpha of a mask picture [H, W, 4] means; None where its colours are the mask.

    source: [H, W, 3], the picture that the mask is for, or the same frame of a video. All in 0..1. moving: of a video's
    frame, which may have no hole yet.
    """
    colours, alpha = picture[..., :3], picture[..., 3]
    opaque = alpha > OPAQUE
    if not opaque.any() or (opaque.all() and not moving):
        return None
    if float(colours[opaque].max()) < BLACK and not opaque.all():
        return STROKES
    is_white = float(colours[opaque].min()) > 1 - BLACK
    if is_white or source.shape[:2] != alpha.shape:
        return None
    return HOLE if float((colours - source).abs()[opaque].mean()) < SAME_COLOURS else None


def of_frame(mask: Tensor, frame: int, count: int) -> Tensor:
    """The mask [H, W] that stands for one of `count` frames: a single mask, or that frame's of one mask a frame.

    mask: [H, W] or [N, H, W]. Raises InputError for any other number of masks, or a frame that is not there.
    """
    masks = mask.reshape(-1, *mask.shape[-2:])
    if len(masks) not in (1, count):
        raise InputError(f"mask holds {len(masks)} masks, images {count}: connect one mask, or one for each frame")
    if not 0 <= frame < count:
        raise InputError(f"the marked frame is {frame}, but images has the frames 0 to {count - 1}")
    return masks[frame if len(masks) > 1 else 0]


def grown(marked: Marked, pixels: int) -> Marked:
    """Every pixel within `pixels` of a marked one; with a negative number, only those that deep inside."""
    import numpy as np
    from scipy import ndimage

    if pixels == 0 or not marked.any():
        return marked
    area = around(marked, max(1, pixels))
    part, result = marked[area], np.zeros_like(marked)
    if pixels < 0:
        result[area] = ndimage.distance_transform_edt(part) > -pixels
    elif pixels <= _FEW:
        rows, columns = np.ogrid[-pixels : pixels + 1, -pixels : pixels + 1]
        result[area] = ndimage.binary_dilation(part, rows**2 + columns**2 <= pixels**2)
    else:
        result[area] = ndimage.distance_transform_edt(~part) <= pixels
    return result


def around(marked: Marked, pixels: int) -> tuple[slice, slice]:
    """Rows and columns that hold all that is marked [H, W], and `pixels` more to every side where there are some."""
    rows, columns = (_span(marked.max(axis), pixels) for axis in (1, 0))
    return rows, columns


def _span(marked: Marked, pixels: int) -> slice:
    places = marked.nonzero()[0]
    return slice(max(0, int(places[0]) - pixels), int(places[-1]) + pixels + 1)


def _holes(marked: Marked) -> Marked:
    from scipy import ndimage

    filled: Marked = ndimage.binary_fill_holes(marked)
    return filled


def _hull(marked: Marked) -> Marked:
    """The convex hull of the marked pixels' centres, drawn as a polygon."""
    import numpy as np
    from PIL import Image, ImageDraw
    from scipy.spatial import ConvexHull, QhullError

    rows, columns = np.nonzero(marked)
    try:
        points = np.stack([columns, rows], axis=1)
        corners = points[ConvexHull(points).vertices]
    except (QhullError, ValueError):  # fewer than three points, or all on one line: they are their own hull
        return marked
    drawn = Image.new("1", marked.shape[::-1])
    ImageDraw.Draw(drawn).polygon([(int(x), int(y)) for x, y in corners], fill=1, outline=1)
    return np.asarray(drawn) | marked


def _box(marked: Marked) -> Marked:
    import numpy as np

    rows, columns = np.nonzero(marked)
    boxed = np.zeros_like(marked)
    boxed[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    return boxed


_FILLS: dict[str, Callable[[Any], Any]] = {"none": lambda marked: marked, "holes": _holes, "hull": _hull, "box": _box}
