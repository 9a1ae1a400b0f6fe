"""VACE's sources: control video, mask and references at final size, from a plan and its media.

Frames are [T, H, W, 3] float32 in 0..1, masks [T, H, W], 1 = generate and 0 = keep, grey is 0.5. Nothing goes
through a lossy file: where source and output have the same size, kept pixels are the source's own to the bit.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..errors import InputError, UnsupportedError
from ..media.resize import cover, letterbox_on_white
from ..plan.geometry import MediaInfo, cut_words, is_same_aspect
from ..plan.names import name_of
from ..plan.plan import WHOLE_FRAME, Plan, is_whole_frame
from ..plan.restyle import RESTYLE_BY, RESTYLE_ELSE
from ..plan.spec import GenerationSpec, deciding_medium
from ..progress import Cancel, Progress, check, never, silent
from . import masks
from .masks import MASK_THRESHOLD, MaskOptions
from .outpaint import Sides, new_area, on_canvas

GREY = 0.5
UNCHANGED = MaskOptions()


class Media(Protocol):
    """Pixels by index, from files or from a host's tensors."""

    def info(self, index: int) -> MediaInfo:
        """What is known of the medium without its pixels."""

    def label(self, index: int) -> str:
        """How messages call the medium."""

    def picture(self, index: int, *, as_mask: bool = False) -> Tensor:
        """A still: [H, W, 3] float32 0..1. As a mask, transparent parts are black instead of white."""

    def with_alpha(self, index: int) -> Tensor | None:
        """A still with its alpha, [H, W, 4] float32 0..1; None for one without."""

    def frames(self, index: int, indices: Sequence[int], cancel: Cancel) -> Iterator[Tensor]:
        """The video's frames at ascending `indices`: [H, W, 3] float32 0..1 each."""


# (phrase, source [T, H, W, 3]) to its mask [T, H, W] of 0 and 1, and how it was found.
FindMask = Callable[[str, Tensor, Progress, Cancel], tuple[Tensor, str]]
# (kind of map, footage [T, H, W, 3]) to the map [T, H, W, 3], and what was done.
MakeMap = Callable[[str, Tensor, Progress, Cancel], tuple[Tensor, str]]


@dataclass(frozen=True)
class Annotators:
    """What can be made of media beyond showing them; None: not here."""

    find_mask: FindMask | None = None
    make_map: MakeMap | None = None


NO_ANNOTATORS = Annotators()


@dataclass(frozen=True)
class Sources:
    """What VACE is given. video [T, H, W, 3], mask [T, H, W], references [H, W, 3] each; float32 on the CPU."""

    video: Tensor
    mask: Tensor
    references: tuple[Tensor, ...] = ()
    notices: tuple[str, ...] = ()


def prepare(
    plan: Plan,
    spec: GenerationSpec,
    media: Media,
    progress: Progress = silent,
    cancel: Cancel = never,
    *,
    annotators: Annotators = NO_ANNOTATORS,
    mask_options: MaskOptions = UNCHANGED,
) -> Sources:
    """The sources of a generation plan, sized and timed by `spec` alone.

    Raises InputError for an empty mask, UnsupportedError for what takes annotators that are not here, and whatever
    `media` and the annotators raise.
    """
    check_possible(plan, media, annotators)
    make = _Preparation(plan, spec, media, progress, cancel, annotators)
    if plan.source is not None:
        video, mask = make.edited(plan.source, mask_options)
    else:
        video = make.control_video() if plan.control is not None else _expanded(GREY, (*make.shape, 3))
        mask = _expanded(1.0, make.shape)
    if plan.frames:
        video, mask = make.with_frames(video, mask)
    width, height = make.shape[2], make.shape[1]
    references = tuple(letterbox_on_white(media.picture(i), width, height) for i in plan.references)
    return Sources(video, mask, references, tuple(make.notices))


def check_possible(plan: Plan, media: Media | None = None, annotators: Annotators = NO_ANNOTATORS) -> None:
    """Raise UnsupportedError when the plan needs a step that is not there, before any work is done."""

    def name(index: int) -> str:
        return media.label(index) if media else name_of(index, plan.media)

    if clip := next((frame for frame in plan.frames if plan.media[frame.medium] == "video"), None):
        raise UnsupportedError(
            f"the plan goes on from {name(clip.medium)}, and continuing a video cannot be made yet. Give a frame of it "
            "as a picture and say how it goes on, as in 'Animate this picture: ...'."
        )
    if plan.source is not None and plan.mask is None and plan.borders is None and not plan.remakes_all:
        if plan.target is None:
            raise UnsupportedError(
                f"the plan edits {name(plan.source)} without a mask and names nothing in it to look for. Give a mask "
                f"with it (white = change), say what to change, or set the target to {WHOLE_FRAME!r} to have all of it "
                "made anew."
            )
        if annotators.find_mask is None:
            raise UnsupportedError(
                f"the plan edits {name(plan.source)} without a mask; finding {plan.target!r} takes a detector and a "
                "segmenter, which are not here. Give them, or give a mask (white = change)."
            )
    if plan.control not in (None, "map") and annotators.make_map is None:
        raise UnsupportedError(
            f"the plan follows the {plan.control} of {name(plan.control_medium or 0)}; making that map from ordinary "
            "footage is not possible here. Give a ready map, and set control to map when it already is one."
        )


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


def _expanded(value: float, shape: tuple[int, ...]) -> Tensor:
    """One value for all: takes no memory however long the video is."""
    return torch.full((1,) * len(shape), value).expand(shape)


class _Preparation:
    """One call of `prepare`: what every step needs, and the notices that they leave."""

    def __init__(
        self,
        plan: Plan,
        spec: GenerationSpec,
        media: Media,
        progress: Progress,
        cancel: Cancel,
        annotators: Annotators,
    ) -> None:
        self.plan, self.spec, self.media, self.annotators = plan, spec, media, annotators
        self.progress, self.cancel = progress, cancel
        self.shape = (_known(spec.num_frames), _known(spec.height), _known(spec.width))
        self.notices: list[str] = []

    def edited(self, source: int, options: MaskOptions) -> tuple[Tensor, Tensor]:
        """Source with its masked part grey (or the control map there), and the mask at the source's size and times."""
        if self.plan.remakes_all:
            return self._all_of(source)
        sides = self._sides(source)
        video = self._clip(source, sides=sides)
        mask, name = self._mask_of(source, video, sides)
        mask = masks.changed(mask, options, self.cancel)
        marked = (mask > MASK_THRESHOLD)[..., None]
        if not marked.any():
            raise InputError(f"{name} marks nothing: paint what shall change white (lighter than half grey)")
        if marked.all():
            self.notices.append(f"{name} marks everything: nothing of {self.media.label(source)} is kept")
        inside = torch.tensor(GREY) if self.plan.control is None else self.control_video(source)
        return torch.where(marked, inside, video), mask

    def _sides(self, source: int) -> Sides | None:
        """What the source grows by, in its own pixels."""
        if self.plan.borders is None:
            return None
        info = self.media.info(source)
        return self.plan.borders.pixels(info.width, info.height)

    def _mask_of(self, source: int, video: Tensor, sides: Sides | None) -> tuple[Tensor, str]:
        """[T, H, W], white where something is made, and how messages call it."""
        if self.plan.mask is not None:
            mask, name = self._given_mask(source, self.plan.mask), f"the mask {self.media.label(self.plan.mask)}"
        elif sides is not None:
            mask, name = self._border_mask(source, sides), "the mask of the borders"
        else:
            mask, name = self._found_mask(video), f"the mask of {self.plan.target!r}"
        if self.plan.mask_keeps:
            self.notices.append(f"{name} marks what stays: it is turned round, and all the rest is changed")
            mask = 1 - mask
        if sides is not None and self.plan.mask is not None:
            mask = torch.maximum(mask, self._border_mask(source, sides))
        return mask, name

    def _border_mask(self, source: int, sides: Sides) -> Tensor:
        info = self.media.info(source)
        count, height, width = self.shape
        area = new_area(info.height, info.width, sides)[..., None].expand(-1, -1, 3)
        return cover(area, width, height)[..., 0].expand(count, height, width)

    def _all_of(self, source: int) -> tuple[Tensor, Tensor]:
        """The whole frame is the mask: it cannot grow, and what the source shows only counts as a control map."""
        name = self.media.label(source)
        held = f"here the map of {self.media.label(_known(self.plan.control_medium))}" if self.plan.control else (
            "here nothing: give it as a control input too (canny, depth, pose) to keep its shapes"
        )  # fmt: skip
        self.notices.append(
            f"the mask is the whole frame: VACE repaints all of {name} and keeps only what its control channels hold, "
            f"{held}"
        )
        inside = _expanded(GREY, (*self.shape, 3)) if self.plan.control is None else self.control_video(source)
        return inside, _expanded(1.0, self.shape)

    def control_video(self, source: int | None = None) -> Tensor:
        """The control medium as a map; beside an edit source it follows that one's times."""
        medium = _known(self.plan.control_medium)
        if source is not None:
            self._say_cut(medium, self._shape_of(source))
        footage = self._clip(medium, like=source)
        if self.plan.control in (None, "map") or self.annotators.make_map is None:
            return footage
        try:
            video, told = self.annotators.make_map(self.plan.control, footage, self.progress, self.cancel)
        except UnsupportedError as error:
            if self.plan.control != RESTYLE_BY or not is_whole_frame(self.plan.target):
                raise
            self.notices.append(f"shapes are held by a scribble map, since there is no depth model here ({error})")
            video, told = self.annotators.make_map(RESTYLE_ELSE, footage, self.progress, self.cancel)
        self.notices.append(told)
        return video

    def with_frames(self, video: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Both with the plan's pictures at their places, kept as they are (reference: frameref, and composition)."""
        video, mask = video.clone(), mask.clone()
        count, height, width = self.shape
        deciding = _known(deciding_medium(self.plan))
        for frame in self.plan.frames:
            index = place_index(frame.place, count)
            self._say_cut(frame.medium, self._shape_of(deciding))
            video[index] = cover(self.media.picture(frame.medium), width, height)
            mask[index] = 0
        return video, mask

    def _found_mask(self, video: Tensor) -> Tensor:
        find = self.annotators.find_mask
        if find is None or self.plan.target is None:
            raise ValueError("check_possible comes first")
        mask, told = find(self.plan.target, video, self.progress, self.cancel)
        self.notices.append(told)
        return mask

    def _given_mask(self, source: int, index: int) -> Tensor:
        """[T, H, W] in 0..1 for every output frame; a still is repeated, a video follows the source's times."""
        count, height, width = self.shape
        info = self.media.info(index)
        if info.kind == "image":
            sides = None if self.plan.borders is None else self.plan.borders.pixels(info.width, info.height)
            picture = self._mask_picture(source, index)
            if sides is not None:
                return self._fitted(picture, sides, ground=0.0).amax(-1).expand(count, height, width)
            whole = self._stretched(index, source)
            return cover(picture, width, height, whole).amax(-1).expand(count, height, width)
        frames = self._aligned_frames(index, source, whole=self._stretched(index, source))
        if info.num_frames < self.media.info(source).num_frames:
            self.notices.append(f"the mask {self.media.label(index)} is shorter than its video: its last frame is held")
        return torch.stack([frame.amax(-1) for frame in frames])

    def _mask_picture(self, source: int, index: int) -> Tensor:
        """A mask picture, [H, W, C], white where it marks; what its alpha means is said."""
        layered = self.media.with_alpha(index)
        if layered is not None:
            if self.media.info(source).kind == "image":
                own = self.media.picture(source)
            else:
                own = next(self.media.frames(source, [0], self.cancel))
            found = masks.of_alpha(layered, own)
            if found is not None:
                mask, told = found
                self.notices.append(f"the mask {self.media.label(index)} {told} (--mask-invert turns it round)")
                return mask[..., None]
        return self.media.picture(index, as_mask=True)

    def _shape_of(self, index: int) -> tuple[int, int]:
        info = self.media.info(index)
        return info.width, info.height

    def _stretched(self, mask: int, source: int) -> tuple[int, int]:
        """The source's shape, which its mask is brought to whole; what that bends is said."""
        own, whole = self._shape_of(mask), self._shape_of(source)
        if not is_same_aspect(own, whole):
            name = self.media.label(source)
            self.notices.append(
                f"the mask {self.media.label(mask)} is {own[0]}x{own[1]} and {name} is {whole[0]}x{whole[1]}: it "
                f"counts as a squeezed mask of all of {name} and is stretched"
            )
        return whole

    def _say_cut(self, index: int, deciding: tuple[int, int]) -> None:
        """What is cut off a medium that has another shape than the one which decides the result's."""
        info = self.media.info(index)
        words = cut_words(info, (self.shape[2], self.shape[1]))
        if words and not is_same_aspect((info.width, info.height), deciding):
            self.notices.append(
                f"{self.media.label(index)} is {info.width}x{info.height} and the result "
                f"{self.shape[2]}x{self.shape[1]}{words}"
            )

    def _clip(self, index: int, like: int | None = None, sides: Sides | None = None) -> Tensor:
        """A medium as [T, H, W, 3] at final size: the frames that `spec` picked of a video, or a still.

        like: the video that those frames were picked from, when it is another one. sides: a grey border.
        """
        count, height, width = self.shape
        if self.media.info(index).kind == "image":
            return self._fitted(self.media.picture(index), sides).expand(count, height, width, 3)
        video = torch.empty(count, height, width, 3)
        for number, frame in enumerate(self._aligned_frames(index, index if like is None else like, sides)):
            video[number] = frame
            self.progress("preparing sources", number + 1, count)
        return video

    def _fitted(self, picture: Tensor, sides: Sides | None = None, ground: float = GREY) -> Tensor:
        _, height, width = self.shape
        return cover(picture if sides is None else on_canvas(picture, sides, ground), width, height)

    def _aligned_frames(
        self, index: int, source: int, sides: Sides | None = None, whole: tuple[int, int] | None = None
    ) -> Iterator[Tensor]:
        """The video's frame at final size for each frame that `spec` picked of `source`; each is decoded once.

        whole: the shape that each is stretched to.
        """
        wanted = aligned(self.media.info(source), self.media.info(index), self.spec.source_frames)
        decoded = self.media.frames(index, sorted(set(wanted)), self.cancel)
        current, shown = -1, torch.empty(0)
        for number in wanted:
            check(self.cancel, "source preparation")
            if number != current:
                frame = next(decoded)
                current = number
                shown = (
                    self._fitted(frame, sides) if whole is None else cover(frame, self.shape[2], self.shape[1], whole)
                )
            yield shown


def _known(value: int | None) -> int:
    if value is None:
        raise ValueError("sources need a complete specification: resolve the plan with all its media")
    return value
