"""How much a medium looks like a mask: black and white only, as most are; greys or a hole; or colours."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

from ..plan.tasks import MediaKind
from ..progress import Cancel, never

if TYPE_CHECKING:
    from .turn import Pixels

# How far from black or white a value may be, as a share of the range; lossy files miss it by a little.
_NEAR = 0.1
# The share of pixels that may be neither: soft edges. Of both there has to be so much.
_BETWEEN, _LEAST = 0.03, 0.0005
_SIDE = 256  # pixels of a side that are looked at
_LATER = 24  # the frame of a video that is looked at beside the first
_COLOURLESS, _ALMOST_ALL = 0.06, 0.995  # how far channels may lie apart in a grey, and how much of it has to be one
_SHADES, _FLAT = 8, 0.97  # shades of a channel that are told apart, and how much of a picture two colours make flat


class Look(IntEnum):
    """How much a medium looks like a mask, the least first."""

    PICTURE = 0
    """In colours, and whole."""
    PLAIN = 1
    """Greys alone, two flat colours, or with transparent parts: soft masks are so, and some pictures."""
    MASK = 2
    """Black and white only."""


def is_black_and_white(frames: list[Pixels]) -> bool:
    """Whether all of `frames` ([H, W, 3], 0..1) are black and white only, and hold both."""
    black = white = False
    for frame in frames:
        few = _fewer(frame)
        dark, light = float((few.max(-1) <= _NEAR).mean()), float((few.min(-1) >= 1 - _NEAR).mean())
        if dark + light < 1 - _BETWEEN:
            return False
        black, white = black or dark >= _LEAST, white or light >= _LEAST
    return bool(black and white)


def look_of(frames: list[Pixels]) -> Look:
    """What all of `frames` ([H, W, 3], or [H, W, 4] with alpha, 0..1) look like."""
    layered = any(_has_holes(frame) for frame in frames)
    laid = [[_laid(frame, background) for frame in frames] for background in (0.0, 1.0)[: 1 + layered]]
    if any(is_black_and_white(each) for each in laid):
        return Look.MASK
    is_plain = layered or all(_is_grey(frame) or _is_flat(frame) for frame in laid[0])
    return Look.PLAIN if is_plain else Look.PICTURE


def _has_holes(frame: Pixels) -> bool:
    """Whether parts of a frame are transparent, and others are not."""
    if frame.shape[-1] < 4:
        return False
    alpha = _fewer(frame)[..., 3]
    return float((alpha <= _NEAR).mean()) >= _LEAST and float((alpha >= 1 - _NEAR).mean()) >= _LEAST


def _laid(frame: Pixels, background: float) -> Pixels:
    if frame.shape[-1] < 4:
        return frame
    alpha = frame[..., 3:]
    laid: Pixels = frame[..., :3] * alpha + background * (1 - alpha)
    return laid


def _fewer(frame: Pixels) -> Pixels:
    height, width = frame.shape[:2]
    few: Pixels = frame[:: max(1, height // _SIDE), :: max(1, width // _SIDE)]
    return few


def _is_grey(frame: Pixels) -> bool:
    few = _fewer(frame)
    return float((few.max(-1) - few.min(-1) <= _COLOURLESS).mean()) >= _ALMOST_ALL


def _is_flat(frame: Pixels) -> bool:
    """Whether two colours make up nearly all of it, as the mask that is drawn in red on black."""
    import numpy as np

    shades = np.rint(_fewer(frame) * (_SHADES - 1)).astype(int)
    counts = np.bincount((shades @ (1, _SHADES, _SHADES**2)).ravel())
    return bool(np.sort(counts)[-2:].sum() >= _FLAT * counts.sum())


def frames_to_look_at(count: int) -> list[int]:
    """The indices of the frames of a medium of `count` that say what it is."""
    return sorted({0, min(count - 1, _LATER)})


def look_of_file(path: Path, kind: MediaKind, count: int = 1, cancel: Cancel = never) -> Look:
    """The same for a file of `count` frames. Raises MediaError, Cancelled."""
    if kind == "image":
        from .pictures import load_image, load_with_alpha

        layered = load_with_alpha(path)
        return look_of([load_image(path) if layered is None else layered])
    from .probe import iter_frames

    look = look_of(list(iter_frames(path, frames_to_look_at(count), cancel)))
    if look is Look.MASK:
        return look
    first = next(iter(iter_frames(path, [0], cancel, as_mask=True)))
    return max(look, look_of([first])) if first.shape[-1] == 4 else look
