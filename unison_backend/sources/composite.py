"""The last step of an edit: what was not to change is the source again."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import InputError
from ..progress import Cancel, Progress, check, never, silent
from .masks import FEATHER, MASK_THRESHOLD, around, check_feather

EITHER = "connect sources, or source and mask"
TOGETHER = "has no effect alone: connect both source and mask, or neither of them"


def check_pair(source: bool, mask: bool, sources: bool) -> None:
    """Whether what is connected says what is kept: source and mask together, or sources; InputError when it does not.

    A source or a mask alone is refused beside sources too, because it would be left unused.
    """
    if source != mask:
        raise InputError(f"{'source' if source else 'mask'} {TOGETHER}")
    if not source and not sources:
        raise InputError(EITHER)


def composite(
    frames: Tensor,
    source: Tensor,
    mask: Tensor,
    feather: int = FEATHER,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> Tensor:
    """Generated [T, H, W, 3] inside the mask [T, H, W], `source` [T, H, W, 3] outside it, to the bit.

    feather: pixels outside the mask over which one becomes the other. What `source` holds inside the mask does not
    matter, so VACE's control video will do. Float32, 0..1. Raises InputError for other shapes.
    """
    check_feather(feather)
    if frames.shape != source.shape or mask.shape != frames.shape[:3]:
        shapes = ", ".join("x".join(map(str, tensor.shape)) for tensor in (frames, source, mask))
        raise InputError(f"composite needs pictures, source and mask of one size and length; these are {shapes}")
    made = torch.empty_like(source)
    for number in range(len(frames)):
        check(cancel, "compositing")
        weight = share(mask[number], feather)[..., None]
        # Written as a choice where there is nothing to mix, so that kept pixels stay as they are.
        mixed = frames[number] * weight + source[number] * (1 - weight)
        made[number] = torch.where(weight == 0, source[number], torch.where(weight == 1, frames[number], mixed))
        progress("compositing", number + 1, len(frames))
    return made


def put_back(frames: Tensor, source: Tensor, mask: Tensor) -> Tensor:
    """`frames` [T, H, W, 3] with those of `source` that the mask [T, H, W] keeps whole in their places, to the bit."""
    is_kept = ~(mask > MASK_THRESHOLD).any(2).any(1)
    return torch.where(is_kept[:, None, None, None], source, frames)


def share(mask: Tensor, feather: int) -> Tensor:
    """How much of the generated picture each pixel takes: 1 in the mask [H, W], falling to 0 over `feather` pixels."""
    marked = mask > MASK_THRESHOLD
    if not feather or not marked.any():
        return marked.float()
    from scipy import ndimage

    area, weight = around(marked.numpy(), feather), torch.zeros(marked.shape)
    distance = torch.from_numpy(ndimage.distance_transform_edt((~marked[area]).numpy())).float()
    weight[area] = (1 - distance / (feather + 1)).clamp(0, 1)
    return weight
