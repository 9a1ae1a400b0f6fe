"""VACE's sources: control video, mask and references at final size, from a plan and its media.

Frames are [T, H, W, 3] float32 in 0..1, masks [T, H, W], 1 = generate and 0 = keep, grey is 0.5. Nothing goes
through a lossy file: where source and output have the same size, kept pixels are the source's own to the bit.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from . import geometry
from .errors import InputError, UnsupportedError
from .geometry import MediaInfo
from .plan import Plan
from .progress import Cancel, Progress, check, never, silent
from .spec import GenerationSpec

GREY = 0.5
# VACE splits a video at this mask value (reference: wan_vace.py); softer values only reach the mask channels.
MASK_THRESHOLD = 0.5


class Media(Protocol):
    """Pixels by index, from files or from a host's tensors."""

    def info(self, index: int) -> MediaInfo:
        """What is known of the medium without its pixels."""

    def label(self, index: int) -> str:
        """How messages call the medium."""

    def picture(self, index: int, *, as_mask: bool = False) -> Tensor:
        """A still: [H, W, 3] float32 0..1. As a mask, transparent parts are black instead of white."""

    def frames(self, index: int, indices: Sequence[int], cancel: Cancel) -> Iterator[Tensor]:
        """The video's frames at ascending `indices`: [H, W, 3] float32 0..1 each."""


@dataclass(frozen=True)
class Sources:
    """What VACE is given. video [T, H, W, 3], mask [T, H, W], references [H, W, 3] each; float32 on the CPU."""

    video: Tensor
    mask: Tensor
    references: tuple[Tensor, ...] = ()
    notices: tuple[str, ...] = ()


def prepare(
    plan: Plan, spec: GenerationSpec, media: Media, progress: Progress = silent, cancel: Cancel = never
) -> Sources:
    """The sources of a generation plan, sized and timed by `spec` alone.

    Raises InputError for an empty mask, UnsupportedError for what this version cannot make by itself (found masks,
    made control maps) and whatever `media` raises.
    """
    check_possible(plan, media)
    if plan.source is not None:
        video, mask, notices = _edit(plan, spec, media, progress, cancel)
    else:
        video, mask, notices = _unedited(plan, spec, media, progress, cancel), None, ()
    if mask is None:
        mask = _frame_mask(plan, spec)
    size = (_known(spec.width), _known(spec.height))
    references = tuple(letterbox_on_white(media.picture(i), *size) for i in plan.references)
    return Sources(video, mask, references, notices)


def check_possible(plan: Plan, media: Media | None = None) -> None:
    """Raise UnsupportedError when the plan needs a step that is not there, before any work is done."""
    name = media.label if media else lambda index: f"medium {index}"
    if plan.source is not None and plan.mask is None:
        raise UnsupportedError(
            f"the plan edits {name(plan.source)} without a mask; finding the place by itself is not built yet. "
            "Give a mask with it (white = change)."
        )
    if plan.control not in (None, "map"):
        raise UnsupportedError(
            f"the plan follows the {plan.control} of {name(plan.control_medium or 0)}; making that map from ordinary "
            "footage is not built yet. Give a ready map in its place, and set control to map when it already is one."
        )
    if plan.frames and (plan.source is not None or plan.control is not None):
        raise UnsupportedError(
            "a first or last frame cannot be combined with an edit or a control input; leave one of them out"
        )


def _unedited(plan: Plan, spec: GenerationSpec, media: Media, progress: Progress, cancel: Cancel) -> Tensor:
    """The control video of every task but editing: the map, the frame pictures on grey, or plain grey."""
    if plan.control_medium is not None:
        return _clip(plan.control_medium, spec, media, progress, cancel)
    shape = (_known(spec.num_frames), _known(spec.height), _known(spec.width), 3)
    if not plan.frames:
        # One value for all: takes no memory however long the video is.
        return torch.full((1, 1, 1, 1), GREY).expand(shape)
    video = torch.full(shape, GREY)
    for frame in plan.frames:
        video[place_index(frame.place, shape[0])] = cover(media.picture(frame.medium), shape[2], shape[1])
    return video


def place_index(place: str | int, num_frames: int) -> int:
    """The frame number of "first", "last" or a number; raises InputError beyond the video's end."""
    index = {"first": 0, "last": num_frames - 1}.get(place, place) if isinstance(place, str) else place
    if not isinstance(index, int) or not 0 <= index < num_frames:
        raise InputError(f"a picture is planned as frame {place}, but the video has the frames 0 to {num_frames - 1}")
    return index


def _frame_mask(plan: Plan, spec: GenerationSpec) -> Tensor:
    shape = (_known(spec.num_frames), _known(spec.height), _known(spec.width))
    if not plan.frames:
        return torch.ones(1, 1, 1).expand(shape)
    mask = torch.ones(shape)
    for frame in plan.frames:
        mask[place_index(frame.place, shape[0])] = 0
    return mask


def _edit(
    plan: Plan, spec: GenerationSpec, media: Media, progress: Progress, cancel: Cancel
) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Source with its masked part grey (or the control map there), and the mask at the source's size and times."""
    source, mask_index = _known(plan.source), _known(plan.mask)
    mask, notices = _mask(source, mask_index, spec, media, cancel)
    video = _clip(source, spec, media, progress, cancel)
    marked = (mask > MASK_THRESHOLD)[..., None]
    inside: Tensor | float = GREY
    if plan.control_medium is not None:
        inside = _clip(plan.control_medium, spec, media, progress, cancel)
    return torch.where(marked, torch.as_tensor(inside), video), mask, notices


def _mask(
    source: int, index: int, spec: GenerationSpec, media: Media, cancel: Cancel
) -> tuple[Tensor, tuple[str, ...]]:
    """The mask [T, H, W] in 0..1 for every output frame; a still is repeated, a video follows the source's times."""
    width, height, count = _known(spec.width), _known(spec.height), _known(spec.num_frames)
    notices: list[str] = []
    info = media.info(index)
    if info.kind == "image":
        still = cover(media.picture(index, as_mask=True), width, height).amax(-1)
        mask = still.expand(count, height, width)
    else:
        indices = aligned(media.info(source), info, spec.source_frames)
        frames = media.frames(index, sorted(set(indices)), cancel)
        by_index = {i: cover(f, width, height).amax(-1) for i, f in zip(sorted(set(indices)), frames, strict=True)}
        mask = torch.stack([by_index[i] for i in indices])
        if info.num_frames < media.info(source).num_frames:
            notices.append(f"the mask {media.label(index)} is shorter than its video: its last frame is held")
    if not (mask > MASK_THRESHOLD).any():
        raise InputError(
            f"the mask {media.label(index)} marks nothing: paint what shall change white (lighter than half grey)"
        )
    if (mask > MASK_THRESHOLD).all():
        notices.append(f"the mask {media.label(index)} marks everything: nothing of {media.label(source)} is kept")
    return mask, tuple(notices)


def aligned(source: MediaInfo, mask: MediaInfo, frames: Sequence[int]) -> tuple[int, ...]:
    """The mask's frame for each of the source's `frames`: by number when both have equally many, else by time.

    A mask drawn frame by frame may have been saved at another rate, so equal counts go before equal times; behind
    its end a shorter mask holds its last frame.
    """
    if mask.num_frames == source.num_frames:
        return tuple(frames)
    return tuple(max(0, bisect_right(mask.starts, source.starts[i]) - 1) for i in frames)


def _clip(index: int, spec: GenerationSpec, media: Media, progress: Progress, cancel: Cancel) -> Tensor:
    """A medium as [T, H, W, 3] at final size: the frames that `spec` picked of a video, or a still."""
    width, height, count = _known(spec.width), _known(spec.height), _known(spec.num_frames)
    if media.info(index).kind == "image":
        return cover(media.picture(index), width, height).expand(count, height, width, 3)
    video = torch.empty(count, height, width, 3)
    indices = spec.source_frames
    for number, frame in enumerate(media.frames(index, indices, cancel)):
        check(cancel, "source preparation")
        video[number] = cover(frame, width, height)
        progress("preparing sources", number + 1, count)
    return video


def cover(image: Tensor, width: int, height: int) -> Tensor:
    """[H, W, C] scaled to cover width x height (bicubic, antialiased) and cropped at the centre, in 0..1.

    An image of that size already is returned as it is, to the bit. Reference: preprocessor.py, resize and crop.
    """
    if image.shape[:2] == (height, width):
        return image
    scaled_width, scaled_height, left, top = geometry.cover(image.shape[1], image.shape[0], width, height)
    pixels = image.permute(2, 0, 1)[None]
    scaled = functional.interpolate(pixels, (scaled_height, scaled_width), mode="bicubic", antialias=True).clamp(0, 1)
    return scaled[0, :, top : top + height, left : left + width].permute(1, 2, 0)


def letterbox_on_white(image: Tensor, width: int, height: int) -> Tensor:
    """[H, W, 3] scaled to fit width x height (bilinear) in the middle of a white canvas (reference: prepare_source)."""
    if image.shape[:2] == (height, width):
        return image
    scaled_width, scaled_height, left, top = geometry.letterbox(image.shape[1], image.shape[0], width, height)
    pixels = image.permute(2, 0, 1)[None]
    scaled = functional.interpolate(pixels, (scaled_height, scaled_width), mode="bilinear", align_corners=False)
    canvas = torch.ones(height, width, 3)
    canvas[top : top + scaled_height, left : left + scaled_width] = scaled[0].permute(1, 2, 0)
    return canvas


def _known(value: int | None) -> int:
    if value is None:
        raise ValueError("sources need a complete specification: resolve the plan with all its media")
    return value
