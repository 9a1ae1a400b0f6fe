"""A mask that a person gave, at final size: what its pixels, its alpha and its shape say about its source."""

from __future__ import annotations

import torch
from torch import Tensor

from ..plan.geometry import is_same_aspect
from . import masks
from .clips import Clips


def given_mask(clips: Clips, source: int, index: int) -> Tensor:
    """[T, H, W] in 0..1 for every output frame; a still is repeated, a video follows the source's times."""
    count, height, width = clips.shape
    info, media = clips.media.info(index), clips.media
    if info.kind == "image":
        sides = clips.sides_of(index)
        picture = _picture(clips, source, index)
        whole = _stretched(clips, index, source) if sides is None else None
        return clips.fitted(picture, sides, 0.0, whole)[..., 0].expand(count, height, width)
    whole = _stretched(clips, index, source)
    if info.num_frames < media.info(source).num_frames:
        clips.notices.append(f"the mask {media.label(index)} is shorter than its video: its last frame is held")
    mask = torch.empty(count, height, width)
    for number, frame in enumerate(clips.frames(index, source, whole=whole, as_mask=True)):
        mask[number] = frame[..., 0]
    return mask


def _picture(clips: Clips, source: int, index: int) -> Tensor:
    """A mask picture, [H, W, 1], white where it marks; what its alpha means is said."""
    media = clips.media
    layered = media.with_alpha(index)
    if layered is not None:
        if media.info(source).kind == "image":
            own = media.picture(source)
        else:
            own = next(media.frames(source, [0], clips.cancel))
        found = masks.of_alpha(layered, own)
        if found is not None:
            mask, told = found
            clips.notices.append(f"the mask {media.label(index)} {told} (--mask-invert turns it round)")
            return mask[..., None]
    return media.picture(index, as_mask=True).amax(-1, keepdim=True)


def _stretched(clips: Clips, mask: int, source: int) -> tuple[int, int]:
    """The source's shape, which its mask is brought to whole; what that bends is said."""
    own, whole = clips.size_of(mask), clips.size_of(source)
    if not is_same_aspect(own, whole):
        name = clips.media.label(source)
        clips.notices.append(
            f"the mask {clips.media.label(mask)} is {own[0]}x{own[1]} and {name} is {whole[0]}x{whole[1]}: it "
            f"counts as a squeezed mask of all of {name} and is stretched"
        )
    return whole
