"""A map made frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...memory import memory_errors
from ...progress import Cancel, Progress, check, never, silent
from .is_map import check_video

if TYPE_CHECKING:
    from torch import Tensor


def each_frame(
    video: Tensor, make: Callable[[Tensor], Tensor], stage: str, progress: Progress = silent, cancel: Cancel = never
) -> Tensor:
    """`make` of each frame, put together: [H, W, 3] float32 on the CPU to [H, W] or [H, W, 3].

    A still that is repeated without a copy is made once, and the result is repeated in the same way.
    Raises InputError for another shape than [T, H, W, 3], Cancelled, ResourceError.
    """
    import torch

    check_video(video)
    count = 1 if video.stride(0) == 0 else len(video)
    with memory_errors(f"making the {stage}", "use a smaller or shorter video"):
        result = torch.empty(count, *video.shape[1:])
        for number in range(count):
            check(cancel, stage)
            made = make(video[number].detach().to("cpu", torch.float32))
            result[number] = made if made.ndim == 3 else made[..., None]
            progress(stage, number + 1, count)
    return result.expand(video.shape)
