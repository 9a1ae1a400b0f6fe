"""Sizes, lengths and frames as exact integers and fractions (reference: VACE, preprocessor.py).

Nothing here touches pixels. `MediaInfo` is what the rest of the package knows about a medium before decoding it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from .tasks import MediaKind

# Wan VAE stride 8 times the transformer's patch 2, and the VAE's 4 frames to one latent frame.
SIDE_MULTIPLE = 16
FRAME_MULTIPLE = 4

# Latent tokens that VACE allows a clip, by picture area; any other area gets a twelfth of it (reference: module.py).
TOKEN_BUDGETS = {1280 * 720: 75600, 832 * 480: 32760}
OTHER_AREAS_PER_TOKEN = 12
# Share by which the aspects of two pictures of one thing may differ.
SAME_ASPECT = Fraction(1, 40)


@dataclass(frozen=True)
class MediaInfo:
    """A medium's shape as a viewer shows it (rotation applied).

    `starts`: when each frame appears, in seconds from the first one, ascending; one zero for a still.
    `duration`: seconds from the first frame to the end of the last one; 0 for a still.
    `notes`: what reading it converts or guesses, in words that follow its name and a colon.
    """

    kind: MediaKind
    width: int
    height: int
    starts: tuple[Fraction, ...] = (Fraction(0),)
    duration: Fraction = Fraction(0)
    has_audio: bool = False
    notes: tuple[str, ...] = ()

    @property
    def num_frames(self) -> int:
        return len(self.starts)

    @property
    def fps(self) -> Fraction | None:
        """Frames per second over the whole clip; None for a still."""
        return Fraction(self.num_frames) / self.duration if self.duration > 0 else None


def round_half_up(value: Fraction | float) -> int:
    """The nearest integer, halves upward (Python's `round` sends them to the even side)."""
    return math.floor(Fraction(value) + Fraction(1, 2))


def round_side(side: int) -> int:
    """A side in pixels to the nearest multiple of 16 (half up), at least 16."""
    return max(SIDE_MULTIPLE, SIDE_MULTIPLE * round_half_up(Fraction(side, SIDE_MULTIPLE)))


def round_length(frames: int) -> int:
    """A spoken frame count to a length that the VAE can hold: 4 * (n // 4) + 1."""
    return FRAME_MULTIPLE * (frames // FRAME_MULTIPLE) + 1


def padded_length(frames: int) -> int:
    """The least length that the VAE can hold and that has all of `frames`."""
    return round_length(frames + FRAME_MULTIPLE - 2)


def token_budget(area: int) -> int:
    """Latent tokens that a clip with `area` pixels a frame may use."""
    return TOKEN_BUDGETS.get(area, area // OTHER_AREAS_PER_TOKEN)


def fit_to_source(width: int, height: int, num_frames: int, area: int) -> tuple[int, int, int]:
    """Output width, height and frames for a source of that shape and a budget of `area` pixels a frame.

    The source's aspect is kept, the area is an upper bound and the source is never enlarged; longer clips than
    the token budget holds are sampled down. Reference: preprocessor.py, the size rule of VaceVideoProcessor.
    """
    budget = token_budget(area)
    rows, columns = height // SIDE_MULTIPLE, width // SIDE_MULTIPLE
    # A source thinner than one cell still gets one; the reference would divide by zero.
    cells: Fraction = max(
        Fraction(1), min(Fraction(budget), Fraction(area, SIDE_MULTIPLE**2), Fraction(rows * columns))
    )
    latent_frames = max(1, min((num_frames - 1) // FRAME_MULTIPLE + 1, int(budget / cells)))
    cells = min(cells, Fraction(max(1, budget // latent_frames)))
    out_rows = max(1, round(math.sqrt(cells * Fraction(height, width))))
    out_columns = max(1, int(cells / out_rows))
    return SIDE_MULTIPLE * out_columns, SIDE_MULTIPLE * out_rows, FRAME_MULTIPLE * (latent_frames - 1) + 1


def pick_frames(starts: Sequence[Fraction], duration: Fraction, count: int) -> tuple[int, ...]:
    """Indices of `count` frames spread evenly over a clip; the first and the last frame are always among them.

    Times run evenly from 0 to the middle of the last frame, both included; each takes the first frame that is
    still on screen then (reference: preprocessor.py, the "adjust_last" sampler).
    """
    if not starts or count < 1:
        raise ValueError(f"cannot pick {count} of {len(starts)} frames")
    ends = [*starts[1:], max(duration, starts[-1])]
    last = (starts[-1] + ends[-1]) / 2
    times = [last * Fraction(i, count - 1) for i in range(count)] if count > 1 else [Fraction(0)]
    return tuple(min(bisect_left(ends, t), len(starts) - 1) for t in times)


def frames_within(starts: Sequence[Fraction], seconds: Fraction) -> int:
    """How many frames appear before `seconds`; at least one."""
    return max(1, bisect_left(starts, seconds))


def cover(width: int, height: int, out_width: int, out_height: int) -> tuple[int, int, int, int]:
    """Scale-to-cover and centre crop: scaled width, scaled height, left, top."""
    scale = max(Fraction(out_width, width), Fraction(out_height, height))
    scaled_width = max(out_width, round(width * scale))
    scaled_height = max(out_height, round(height * scale))
    return scaled_width, scaled_height, (scaled_width - out_width) // 2, (scaled_height - out_height) // 2


def is_same_aspect(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes (width, height) have one aspect, but for the rounding of their sides."""
    return abs(Fraction(one[0] * other[1], one[1] * other[0]) - 1) <= SAME_ASPECT


def cut_words(info: MediaInfo, size: tuple[int, int]) -> str:
    """What covering `size` (width, height) cuts off a medium, as an addition to a sentence; "" for nothing."""
    scaled_width, scaled_height, _, _ = cover(info.width, info.height, *size)
    for side, scaled, out in (("width", scaled_width, size[0]), ("height", scaled_height, size[1])):
        if scaled > out:
            return f", {100 * (scaled - out) / scaled:.2g} % of its {side} is cut"
    return ""


def letterbox(width: int, height: int, out_width: int, out_height: int) -> tuple[int, int, int, int]:
    """Scale-to-fit inside a canvas, centred: scaled width, scaled height, left, top (reference: prepare_source)."""
    scale = min(Fraction(out_width, width), Fraction(out_height, height))
    scaled_width, scaled_height = max(1, int(width * scale)), max(1, int(height * scale))
    return scaled_width, scaled_height, (out_width - scaled_width) // 2, (out_height - scaled_height) // 2
