"""Frames of footage: their shape, their brightness, and a map made of them one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...errors import InputError
from ...memory import memory_errors
from ...progress import Cancel, Progress, check, never, silent

if TYPE_CHECKING:
    from torch import Tensor


LUMA = (0.299, 0.587, 0.114)  # ITU-R 601


def check_video(video: Tensor) -> None:
    """Raise InputError unless this is [T, H, W, 3] with something in it."""
    if video.ndim != 4 or video.shape[-1] != 3 or not video.numel():
        raise InputError(f"a video is of shape {list(video.shape)}; expected is [frames, height, width, 3]")


def luma(frame: Tensor) -> Tensor:
    """[H, W, 3] to its brightness [H, W], by ITU-R 601."""
    brightness: Tensor = frame @ frame.new_tensor(LUMA)
    return brightness.clamp(0, 1)


def each_frame(
    video: Tensor, make: Callable[[Tensor], Tensor], stage: str, progress: Progress = silent, cancel: Cancel = never
) -> Tensor:
    """`make` of each frame, put together: [H, W, 3] float32 on the CPU to [H, W] or [H, W, 3].

    A still that is repeated without a copy is made once, and the result is repeated in the same way; so are the equal
    channels of a map without colour: three of them take the memory of one.
    Raises InputError for another shape than [T, H, W, 3], Cancelled, ResourceError.
    """
    import torch

    check_video(video)
    count = 1 if video.stride(0) == 0 else len(video)
    with memory_errors(f"making the {stage}", "use a smaller or shorter video"):
        result = torch.empty(0)
        for number in range(count):
            check(cancel, stage)
            made = make(video[number].detach().to("cpu", torch.float32))
            made = made if made.ndim == 3 else made[..., None]
            if not number:
                result = torch.empty(count, *made.shape)
            result[number] = made
            progress(stage, number + 1, count)
    return result.expand(video.shape)
