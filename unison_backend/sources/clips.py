"""Media at final size: stills, the picked frames of videos, and what covering the result cuts off them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import InputError
from ..media.fit import Fit
from ..media.resize import cover
from ..plan.geometry import MediaInfo, cut_words, is_same_aspect
from ..progress import Cancel, Progress, check
from .outpaint import Sides, on_canvas

if TYPE_CHECKING:
    from ..plan.continuing import PlacedClip
    from ..plan.plan import Plan
    from ..plan.spec import GenerationSpec
    from .prepare import Media

GREY = 0.5
# A mask's frame, [H, W, 1 or 4], and the frame of the source that it is for, to [H, W, 1].
ReadMask = Callable[[Tensor, int], Tensor]


def place_index(place: str | int, num_frames: int) -> int:
    """The frame number of "first", "last" or a number; raises InputError beyond the video's end."""
    index = {"first": 0, "last": num_frames - 1}.get(place, place) if isinstance(place, str) else place
    if not isinstance(index, int) or not 0 <= index < num_frames:
        raise InputError(f"a picture is planned as frame {place}, but the video has the frames 0 to {num_frames - 1}")
    return index


def aligned(source: MediaInfo, other: MediaInfo, frames: Sequence[int]) -> tuple[int, ...]:
    """The frame of a mask or map for each of the source's `frames`: by number when both have as many, else by time.

    A mask drawn frame by frame may have been saved at another rate, so equal counts go before equal times; behind
    its end a shorter one holds its last frame.
    """
    if other.num_frames == source.num_frames:
        return tuple(frames)
    return tuple(max(0, bisect_right(other.starts, source.starts[i]) - 1) for i in frames)


def known(value: int | None) -> int:
    """A number that a complete specification has."""
    if value is None:
        raise ValueError("sources need a complete specification: resolve the plan with all its media")
    return value


class Clips:
    """The media of one plan at the size and times of its specification, and the notices that reading them leaves.

    shape: frames, height and width of the result.
    """

    def __init__(self, plan: Plan, spec: GenerationSpec, media: Media, progress: Progress, cancel: Cancel) -> None:
        self.plan, self.spec, self.media, self.progress, self.cancel = plan, spec, media, progress, cancel
        self.shape = (known(spec.num_frames), known(spec.height), known(spec.width))
        self.notices: list[str] = []

    def size_of(self, index: int) -> tuple[int, int]:
        """Width and height of a medium."""
        info = self.media.info(index)
        return info.width, info.height

    def sides_of(self, source: int, like: int | None = None) -> Sides | None:
        """What the source grows by, in its own pixels; None where the plan has no borders.

        like: a mask or map of the source, which grows by the same share, in that one's pixels.
        """
        if self.plan.borders is None:
            return None
        width, height = self.size_of(source)
        left, top, right, bottom = self.plan.borders.pixels(width, height)
        if like is None:
            return left, top, right, bottom
        own_width, own_height = self.size_of(like)
        across, down = Fraction(own_width, width), Fraction(own_height, height)
        return round(left * across), round(top * down), round(right * across), round(bottom * down)

    def grown_size_of(self, index: int) -> tuple[int, int]:
        """Width and height of the medium that decides the result's shape, with the plan's borders."""
        width, height = self.size_of(index)
        left, top, right, bottom = self.sides_of(index) or (0, 0, 0, 0)
        return left + width + right, top + height + bottom

    def frame_of(self, index: int, frame: int) -> Tensor:
        """[H, W, 3]: one frame of a video as it is, or a still."""
        if self.media.info(index).kind == "image":
            return self.media.picture(index)
        return next(self.media.frames(index, [frame], self.cancel))

    def say_cut(self, index: int, deciding: tuple[int, int]) -> None:
        """What is cut off a medium that has another shape than the one which decides the result's."""
        info = self.media.info(index)
        words = cut_words(info, (self.shape[2], self.shape[1]))
        if words and not is_same_aspect((info.width, info.height), deciding):
            self.notices.append(
                f"{self.media.label(index)} is {info.width}x{info.height} and the result "
                f"{self.shape[2]}x{self.shape[1]}{words}"
            )

    def clip(self, index: int, like: int | None = None, sides: Sides | None = None) -> Tensor:
        """A medium as [T, H, W, 3] at final size: the frames that `spec` picked of a video, or a still, repeated.

        like: the video that those frames were picked from, when it is another one. sides: a grey border.
        """
        count, height, width = self.shape
        if self.media.info(index).kind == "image":
            return self.fitted(self.media.picture(index), sides).expand(count, height, width, 3)
        video = torch.empty(count, height, width, 3)
        for number, frame in enumerate(self.frames(index, index if like is None else like, sides)):
            video[number] = frame
            self.progress("preparing sources", number + 1, count)
        return video

    def fitted(
        self,
        picture: Tensor,
        sides: Sides | None = None,
        ground: float = GREY,
        whole: tuple[int, int] | None = None,
    ) -> Tensor:
        """[H, W, C] at final size. sides: a border of `ground`. whole: the shape that it is stretched to with it."""
        _, height, width = self.shape
        return cover(picture if sides is None else on_canvas(picture, sides, ground), width, height, whole)

    def frames(
        self,
        index: int,
        source: int,
        sides: Sides | None = None,
        *,
        whole: tuple[int, int] | None = None,
        as_mask: ReadMask | None = None,
        is_exact: bool = False,
    ) -> Iterator[Tensor]:
        """The video's frame at final size for each frame that `spec` picked of `source`; each is decoded once and
        scaled as it comes.

        sides: a border, grey, of masks black. whole: the shape that each is stretched to with it. as_mask: what makes
        [H, W, 1] of a mask's frame, is_exact: before anything is scaled.
        """
        wanted = aligned(self.media.info(source), self.media.info(index), self.spec.source_frames)
        _, height, width = self.shape
        fit = Fit(width, height, whole) if sides is None and not is_exact else None
        decoded = self.media.frames(index, sorted(set(wanted)), self.cancel, as_mask=as_mask is not None, fit=fit)
        current, shown = -1, torch.empty(0)
        for number, of_source in zip(wanted, self.spec.source_frames, strict=True):
            check(self.cancel, "source preparation")
            if number != current:
                frame = next(decoded)
                current = number
                if as_mask is None:
                    shown = self.fitted(frame, sides, GREY, whole)
                else:
                    shown = self.fitted(as_mask(frame, of_source), sides, 0.0, whole)
            yield shown

    def lay(self, clip: PlacedClip, video: Tensor, mask: Tensor) -> None:
        """Put a clip's frames in their places of `video`, kept (mask 0)."""
        number = clip.start
        for number, shown in enumerate(self._going_on(clip), clip.start):
            video[number], mask[number] = shown, 0
            self.progress("preparing sources", number + 1, len(video))
        if clip.start:  # behind a clip at the end nothing is new: what fills a segment up is its last frame
            video[number + 1 :], mask[number + 1 :] = video[number].clone(), 0

    def _going_on(self, clip: PlacedClip) -> Iterator[Tensor]:
        """The frames of a clip that goes on, at final size; each is decoded once."""
        _, height, width = self.shape
        fit = Fit(width, height)
        decoded = self.media.frames(clip.medium, sorted(set(clip.frames)), self.cancel, fit=fit)
        for _, same in groupby(clip.frames):
            check(self.cancel, "source preparation")
            shown = self.fitted(next(decoded))
            yield from (shown for _ in same)
