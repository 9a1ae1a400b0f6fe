"""A mask that a person gave, at final size: what its pixels, its alpha and its shape say about its source."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import InputError
from ..media.black_and_white import is_black_and_white
from ..media.resize import cover
from ..plan.geometry import is_same_aspect
from . import masks
from .clips import Clips
from .masks import MASK_THRESHOLD, SAME_COLOURS


def given_mask(clips: Clips, source: int, index: int, *, scale: bool = False) -> Tensor:
    """[T, H, W] in 0..1 for every output frame; a still is repeated, a video follows the source's times.

    scale: its brightest value counts as white. Raises InputError for one that is too dark to mark anything, and for
    the source itself.
    """
    count, height, width = clips.shape
    info, media = clips.media.info(index), clips.media
    read, sides, whole = _Reading(clips, source, index), clips.sides_of(source, index), _stretched(clips, index, source)
    if info.kind == "image":
        mask = clips.fitted(read.picture(), sides, 0.0, whole)[..., 0].expand(count, height, width)
        return read.scaled(mask) if scale else read.checked(mask)
    if info.num_frames < media.info(source).num_frames:
        clips.notices.append(f"the mask {media.label(index)} is shorter than its video: its last frame is held")
    mask = torch.empty(count, height, width)
    frames = clips.frames(index, source, sides, whole=whole, as_mask=read, is_exact=scale)
    for number, frame in enumerate(frames):
        mask[number] = frame[..., 0]
    if read.brightest <= MASK_THRESHOLD and not scale:  # small things are darker once they are scaled
        for _ in clips.frames(index, source, sides, whole=whole, as_mask=read, is_exact=True):
            pass
    return read.scaled(mask) if scale else read.checked(mask)


class _Reading:
    """What the pixels of one mask mean. The first frame that says what its alpha means says it for all."""

    def __init__(self, clips: Clips, source: int, index: int) -> None:
        self.clips, self.source, self.index = clips, source, index
        self.name = f"the mask {clips.media.label(index)}"
        self.rule: masks.AlphaRule | None = None
        self.is_first, self.brightest = True, 0.0

    def picture(self) -> Tensor:
        """A mask picture, [H, W, 1]."""
        media, frames = self.clips.media, self.clips.spec.source_frames
        of_source = frames[0] if frames else 0
        layered = media.with_alpha(self.index)
        if layered is not None and self._find_rule(layered, of_source):
            return self(layered, of_source)
        return self(media.picture(self.index, as_mask=True).amax(-1, keepdim=True), of_source)

    def __call__(self, frame: Tensor, of_source: int) -> Tensor:
        """[H, W, 1] of a mask's frame [H, W, 1 or 4], which is for that frame of the source."""
        if frame.shape[-1] == 4:
            rule = self.rule or self._find_rule(frame, of_source)
            mask = rule.mask_of(frame) if rule else (frame[..., :3] * frame[..., 3:]).amax(-1, keepdim=True)
        else:
            mask = frame
        if self.is_first and self.rule is None:
            self._check_no_source(mask, of_source)
        self.is_first = False
        self.brightest = max(self.brightest, float(mask.max()))
        return mask

    def _find_rule(self, frame: Tensor, of_source: int) -> masks.AlphaRule | None:
        moving = self.clips.media.info(self.index).kind == "video"
        self.rule = masks.alpha_rule(frame, self.clips.frame_of(self.source, of_source), moving=moving)
        if self.rule is not None:
            self.clips.notices.append(
                f"{self.name} {self.rule.told} (--mask-invert, in ComfyUI invert_mask, turns it round)"
            )
        return self.rule

    def _check_no_source(self, mask: Tensor, of_source: int) -> None:
        """InputError where the mask is its source once more: it marks nothing, however bright its parts are."""
        if self.clips.size_of(self.index) != self.clips.size_of(self.source) or is_black_and_white([mask.numpy()]):
            return
        own = cover(self.clips.frame_of(self.source, of_source).amax(-1, keepdim=True), mask.shape[1], mask.shape[0])
        # What is nearly one colour all over is nobody's copy.
        if float(own.std()) > 2 * SAME_COLOURS and float((own - mask).abs().mean()) < SAME_COLOURS:
            raise InputError(
                f"{self.name} is {self.clips.media.label(self.source)} itself, without a transparent part: nothing in "
                "it says what changes. Paint a mask (white = change), or erase the place in it and save it with alpha"
            )

    def checked(self, mask: Tensor) -> Tensor:
        """The same mask; InputError where all of it is darker than what marks, but not black."""
        if 0 < self.brightest <= MASK_THRESHOLD:
            raise InputError(
                f"{self.name} marks nothing: its brightest value is {_in_steps(self.brightest)}, and white is what "
                "changes. --mask-scale (in ComfyUI mask_scale) makes its brightest value white, as masks of 0 and 1 "
                "need it"
            )
        return mask

    def scaled(self, mask: Tensor) -> Tensor:
        """With its brightest value white, which is said where it was another one."""
        if self.brightest in (0, 1):
            return mask
        self.clips.notices.append(f"{self.name}: its brightest value, {_in_steps(self.brightest)}, counts as white")
        return (mask / self.brightest).clamp(0, 1)


def _in_steps(value: float) -> str:
    """A value in the steps of the file that it came from: 8 bits, or 16 where those are too coarse."""
    top = 255 if value > 0.5 / 255 else 65535
    return f"{value * top:.3g} of {top}"


def _stretched(clips: Clips, mask: int, source: int) -> tuple[int, int]:
    """The source's shape, with its borders, which its mask is brought to whole; what that bends is said."""
    own, whole = clips.size_of(mask), clips.size_of(source)
    if not is_same_aspect(own, whole):
        name = clips.media.label(source)
        clips.notices.append(
            f"the mask {clips.media.label(mask)} is {own[0]}x{own[1]} and {name} is {whole[0]}x{whole[1]}: it "
            f"counts as a squeezed mask of all of {name} and is stretched"
        )
    return clips.grown_size_of(source)
