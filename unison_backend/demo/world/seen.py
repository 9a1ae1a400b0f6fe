"""Whether a picture looks like what the embedded models know, and what the person is told when it does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...plan.names import name_of
from ...plan.plan import Plan
from ...progress import never

if TYPE_CHECKING:
    from torch import Tensor

    from ...sources.prepare import Media

# Drawings of the shape world, the sample media and what the models make of them have up to 13 colours, measured on 400
# scenes; of 160 pictures and drawings of other subjects (thumbnails of ComfyUI's templates) five in six had more.
MOST_COLOURS = 16
_SIDE, _LEVELS = 64, 8
_SHARE = 0.003  # of the picture; what covers less is an edge


def colours(picture: Tensor) -> int:
    """How many of 512 colours cover a picture, [H, W, 3] float32 0..1, as the models would see it: 64 pixels a side."""
    import torch
    from torch.nn import functional

    small = functional.adaptive_avg_pool2d(picture.movedim(-1, 0)[None].float(), _SIDE)[0]
    levels = (small.clamp(0, 1) * (_LEVELS - 1e-3)).long()
    codes = (levels[0] * _LEVELS + levels[1]) * _LEVELS + levels[2]
    counts = torch.bincount(codes.flatten(), minlength=_LEVELS**3)
    return int((counts >= _SHARE * _SIDE**2).sum())


def foreign(plan: Plan, media: Media) -> list[int]:
    """The pictures and videos of a plan (by their first frame) with more colours than the models' world; no mask."""
    found = []
    for index, kind in enumerate(plan.media):
        if index != plan.mask:
            frame = media.picture(index) if kind == "image" else next(media.frames(index, [0], never))
            if colours(frame) > MOST_COLOURS:
                found.append(index)
    return found


def foreign_notice(plan: Plan, media: Media, labels: Sequence[str], real: str) -> str | None:
    """What to tell of media that look like no drawing of coloured shapes, None where all do.

    labels: how the person calls each medium. real: what takes the embedded models' place.
    """
    if not (indices := foreign(plan, media)):
        return None
    named = ", ".join(name_of(index, plan.media, labels) for index in indices)
    made = "what they make of it will not look like it" if plan.task.is_generation else "the answer is a guess"
    return (
        f"{named}: more colours than flat drawings have, as in a photograph. The embedded models know coloured shapes "
        f"on plain backgrounds only, so {made}. {real}"
    )
