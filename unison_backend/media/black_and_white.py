"""Whether a medium holds black and white only, as masks do and photographs do not."""

from __future__ import annotations

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


def is_black_and_white(frames: list[Pixels]) -> bool:
    """Whether all of `frames` ([H, W, 3], 0..1) are black and white only, and hold both."""
    black = white = False
    for frame in frames:
        height, width = frame.shape[:2]
        few = frame[:: max(1, height // _SIDE), :: max(1, width // _SIDE)]
        dark, light = float((few.max(-1) <= _NEAR).mean()), float((few.min(-1) >= 1 - _NEAR).mean())
        if dark + light < 1 - _BETWEEN:
            return False
        black, white = black or dark >= _LEAST, white or light >= _LEAST
    return bool(black and white)


def frames_to_look_at(count: int) -> list[int]:
    """The indices of the frames of a medium of `count` that say what it is."""
    return sorted({0, min(count - 1, _LATER)})


def is_file_black_and_white(path: Path, kind: MediaKind, count: int = 1, cancel: Cancel = never) -> bool:
    """The same for a file of `count` frames. Raises MediaError, Cancelled."""
    if kind == "image":
        from .pictures import load_image

        return is_black_and_white([load_image(path)])
    from .probe import iter_frames

    return is_black_and_white(list(iter_frames(path, frames_to_look_at(count), cancel)))
