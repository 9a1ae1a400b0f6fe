"""What an understanding task shows the model: every picture and video in order, with real pixels and stated fps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ...errors import WeightsError
from ...media.to_bytes import tensor_to_bytes
from ...plan.geometry import MediaInfo, pick_frames
from ...plan.prompt import Prompt
from ...progress import Cancel, Progress, check, never, silent
from .chat import pad_id

if TYPE_CHECKING:
    from torch import Tensor

    from ...sources.prepare import Media

# Qwen2.5-VL: patches of 14 pixels, 2x2 of them and two frames make one token; it was trained at 2 frames a second.
CELL = 28
FRAMES_PER_TOKEN = 2
VIDEO_FPS = Fraction(2)
MAX_VIDEO_FRAMES = 256
MAX_FRAME_PIXELS = 768 * CELL * CELL
# All videos of one question share this many tokens; a long one is shown with smaller frames, then with fewer.
MAX_VIDEO_TOKENS = 12_288
MIN_FRAME_PIXELS = 16 * CELL * CELL
MAX_PICTURE_PIXELS = 1280 * CELL * CELL

_IMAGE_TOKENS = ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>")
_VIDEO_TOKENS = ("<|vision_start|>", "<|video_pad|>", "<|vision_end|>")


@dataclass
class VisionInputs:
    """Model inputs of a prompt's media, and the token ids that stand for each medium in order."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    media_ids: list[list[int]] = field(default_factory=list)


def frame_budget(info: MediaInfo, videos: int = 1) -> tuple[tuple[int, ...], int]:
    """Which frames of a video are shown (ascending indices), and pixels a frame; `videos` of them share the budget.

    Two frames a second, at least two, evenly over the whole clip, so that a long video is sampled more thinly.
    """
    tokens = MAX_VIDEO_TOKENS // videos
    most = min(MAX_VIDEO_FRAMES, FRAMES_PER_TOKEN * tokens * CELL**2 // MIN_FRAME_PIXELS)
    wanted = max(FRAMES_PER_TOKEN, math.ceil(info.duration * VIDEO_FPS))
    count = min(info.num_frames, most, wanted)
    pixels = min(MAX_FRAME_PIXELS, FRAMES_PER_TOKEN * tokens * CELL**2 // max(count, FRAMES_PER_TOKEN))
    return pick_frames(info.starts, info.duration, count), pixels


def vision_inputs(
    processor: Any, tokenizer: Any, prompt: Prompt, media: Media, progress: Progress = silent, cancel: Cancel = never
) -> VisionInputs:
    """Pixels of every medium of `prompt` in order. Raises MediaError, WeightsError without a processor, Cancelled."""
    inputs = VisionInputs()
    if not prompt.media:
        return inputs
    if processor is None:
        raise WeightsError(
            "media cannot be shown: the planner folder has no image processor, or torchvision is missing"
        )
    videos = sum(medium.kind == "video" for medium in prompt.media)
    for index, medium in enumerate(prompt.media):
        check(cancel, "reading media")
        progress("reading media", index, len(prompt.media))
        if medium.kind == "image":
            _add_picture(inputs, processor, tokenizer, media.picture(index))
        else:
            frames, pixels = frame_budget(media.info(index), videos)
            shown = [shrunk(frame, pixels) for frame in media.frames(index, frames, cancel)]
            _add_video(inputs, processor, tokenizer, shown, Fraction(len(frames)) / media.info(index).duration)
    progress("reading media", len(prompt.media), len(prompt.media))
    return inputs


def _add_picture(inputs: VisionInputs, processor: Any, tokenizer: Any, picture: Tensor) -> None:
    shown = tensor_to_bytes(shrunk(picture, MAX_PICTURE_PIXELS))
    encoded = processor.image_processor(images=[shown], return_tensors="pt")
    _append(inputs, "pixel_values", encoded["pixel_values"])
    _append(inputs, "image_grid_thw", encoded["image_grid_thw"])
    inputs.media_ids.append(_ids(tokenizer, _IMAGE_TOKENS, encoded["image_grid_thw"][0], processor.image_processor))


def _add_video(inputs: VisionInputs, processor: Any, tokenizer: Any, frames: Sequence[Tensor], fps: Fraction) -> None:
    import torch
    from einops import rearrange

    clip = rearrange([tensor_to_bytes(frame) for frame in frames], "t h w c -> t c h w")
    encoded = processor.video_processor(videos=[clip], do_sample_frames=False, return_tensors="pt")
    _append(inputs, "pixel_values_videos", encoded["pixel_values_videos"])
    _append(inputs, "video_grid_thw", encoded["video_grid_thw"])
    seconds = torch.tensor([processor.video_processor.temporal_patch_size / float(fps)])
    _append(inputs, "second_per_grid_ts", seconds)
    inputs.media_ids.append(_ids(tokenizer, _VIDEO_TOKENS, encoded["video_grid_thw"][0], processor.video_processor))


def _append(inputs: VisionInputs, name: str, value: Tensor) -> None:
    import torch

    inputs.tensors[name] = torch.cat([inputs.tensors[name], value]) if name in inputs.tensors else value


def _ids(tokenizer: Any, tokens: tuple[str, str, str], grid: Tensor, processor: Any) -> list[int]:
    """Opening token, one pad for every merged patch of `grid` (time, rows, columns), closing token."""
    opening, pad, closing = (pad_id(tokenizer, token) for token in tokens)
    return [opening, *[pad] * (int(grid.prod()) // processor.merge_size**2), closing]


def shrunk(image: Tensor, pixels: int) -> Tensor:
    """[H, W, 3] scaled down to at most `pixels` at its own aspect; never enlarged."""
    from ...media.resize import cover

    height, width = image.shape[:2]
    if height * width <= pixels:
        return image
    scale = math.sqrt(pixels / (height * width))
    return cover(image, max(1, int(width * scale)), max(1, int(height * scale)))
