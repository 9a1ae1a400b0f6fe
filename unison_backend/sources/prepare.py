"""VACE's sources: control video, mask and references at final size, from a plan and its media.

Frames are [T, H, W, 3] float32 in 0..1, masks [T, H, W], 1 = generate and 0 = keep, grey is 0.5. Nothing goes
through a lossy file: where source and output have the same size, kept pixels are the source's own to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..errors import InputError, UnsupportedError
from ..media.fit import Fit
from ..media.resize import cover, letterbox_on_white
from ..plan.continuing import clips_of
from ..plan.geometry import MediaInfo, is_same_aspect
from ..plan.names import name_of
from ..plan.plan import WHOLE_FRAME, Plan, is_whole_frame
from ..plan.restyle import RESTYLE_BY, RESTYLE_ELSE
from ..plan.spec import GenerationSpec, deciding_medium
from ..progress import Cancel, Progress, check, never, silent
from . import masks
from .clips import GREY, Clips, known, place_index
from .given_mask import given_mask
from .masks import MASK_THRESHOLD, MaskOptions
from .outpaint import Sides, new_area

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

    def frames(
        self, index: int, indices: Sequence[int], cancel: Cancel, *, as_mask: bool = False, fit: Fit | None = None
    ) -> Iterator[Tensor]:
        """The video's frames at ascending `indices`: [H, W, 3] float32 0..1 each, one in memory at a time.

        As a mask: [H, W, 1], the brightest channel, or with alpha all as it is, [H, W, 4].
        fit: the size that they will be brought to (`cover`). Frames may come in it, if that is the less work.
        """


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
    check_possible(plan, media, annotators, spec)
    clips = Clips(plan, spec, media, progress, cancel)
    if mask_options.scale and plan.mask is None:
        clips.notices.append("mask_scale is not used: no mask is given here")
    make = _Preparation(clips, annotators)
    if plan.source is not None:
        video, mask = make.edited(plan.source, mask_options)
    else:
        video = make.control_video() if plan.control is not None else _expanded(GREY, (*clips.shape, 3))
        mask = _expanded(1.0, clips.shape)
    if plan.frames:
        video, mask = make.with_frames(video, mask)
    _, height, width = clips.shape
    references = tuple(letterbox_on_white(media.picture(i), width, height) for i in plan.references)
    return Sources(video, mask, references, tuple(clips.notices))


def check_possible(
    plan: Plan,
    media: Media | None = None,
    annotators: Annotators = NO_ANNOTATORS,
    spec: GenerationSpec | None = None,
) -> None:
    """Raise UnsupportedError when the plan needs a step that is not there, before any work is done.

    spec: with the places of the clips that are to go on, where that can be made.
    """

    def name(index: int) -> str:
        return media.label(index) if media else name_of(index, plan.media)

    if clips := clips_of(plan):
        _check_clips(plan, name(clips[0].medium), spec)
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


def _check_clips(plan: Plan, name: str, spec: GenerationSpec | None) -> None:
    """Whether a plan's clips can go on here. name: of the first of them."""
    if spec is None or not spec.clips:
        raise UnsupportedError(
            f"the plan goes on from {name}, which has no place in what is to be made here. Give a frame of it as a "
            "picture and say how it goes on, as in 'Animate this picture: ...'."
        )
    if plan.source is not None or plan.control is not None:
        raise UnsupportedError(
            f"{name} is to go on, and beside that something is edited or followed: make the one, and the other from "
            "its result"
        )


def _expanded(value: float, shape: tuple[int, ...]) -> Tensor:
    """One value for all: takes no memory however long the video is."""
    return torch.full((1,) * len(shape), value).expand(shape)


class _Preparation:
    """One call of `prepare`: what is made of the clips of a plan."""

    def __init__(self, clips: Clips, annotators: Annotators) -> None:
        self.clips, self.annotators = clips, annotators
        self.plan, self.media, self.shape = clips.plan, clips.media, clips.shape

    def edited(self, source: int, options: MaskOptions) -> tuple[Tensor, Tensor]:
        """Source with its masked part grey (or the control map there), and the mask at the source's size and times."""
        if self.plan.remakes_all:
            return self._all_of(source)
        sides = self.clips.sides_of(source)
        video = self.clips.clip(source, sides=sides)
        mask, name = self._mask_of(source, video, sides, scale=options.scale)
        mask = masks.changed(mask, options, self.clips.cancel)
        if not mask.amax() > MASK_THRESHOLD:
            raise InputError(f"{name} marks nothing: paint what shall change white (lighter than half grey)")
        if mask.amin() > MASK_THRESHOLD:
            self.clips.notices.append(f"{name} marks everything: nothing of {self.media.label(source)} is kept")
        return self._emptied(video, mask, None if self.plan.control is None else self.control_video(source)), mask

    def _emptied(self, video: Tensor, mask: Tensor, inside: Tensor | None) -> Tensor:
        """`video` with `inside` (None: grey) where the mask marks; in place, but for a still, which is the person's."""
        if self.media.info(known(self.plan.source)).kind == "image":
            video = video.clone()
        grey = torch.tensor(GREY)
        for number, frame in enumerate(video):
            check(self.clips.cancel, "source preparation")
            marked = mask[number] > MASK_THRESHOLD
            rows = marked.any(1).nonzero()
            if len(rows):
                part = slice(int(rows[0]), int(rows[-1]) + 1)
                filling = grey if inside is None else inside[number, part]
                torch.where(marked[part, :, None], filling, frame[part], out=frame[part])
        return video

    def _mask_of(self, source: int, video: Tensor, sides: Sides | None, *, scale: bool) -> tuple[Tensor, str]:
        """[T, H, W], white where something is made, and how messages call it."""
        if self.plan.mask is not None:
            mask = given_mask(self.clips, source, self.plan.mask, scale=scale)
            name = f"the mask {self.media.label(self.plan.mask)}"
        elif sides is not None:
            mask, name = self._border_mask(source, sides), "the mask of the borders"
        else:
            mask, name = self._found_mask(video), f"the mask of {self.plan.target!r}"
        if self.plan.mask_keeps:
            self.clips.notices.append(f"{name} marks what stays: it is turned round, and all the rest is changed")
            mask = 1 - mask
        if sides is not None and self.plan.mask is not None:
            mask = torch.maximum(mask, self._border_mask(source, sides))
        return mask, name

    def _border_mask(self, source: int, sides: Sides) -> Tensor:
        width, height = self.clips.size_of(source)
        area = cover(new_area(height, width, sides)[..., None], self.shape[2], self.shape[1])
        return area[..., 0].expand(self.shape)

    def _all_of(self, source: int) -> tuple[Tensor, Tensor]:
        """The whole frame is the mask: it cannot grow, and what the source shows only counts as a control map."""
        name = self.media.label(source)
        held = f"here the map of {self.media.label(known(self.plan.control_medium))}" if self.plan.control else (
            "here nothing: give it as a control input too (canny, depth, pose) to keep its shapes"
        )  # fmt: skip
        self.clips.notices.append(
            f"the mask is the whole frame: VACE repaints all of {name} and keeps only what its control channels hold, "
            f"{held}"
        )
        inside = _expanded(GREY, (*self.shape, 3)) if self.plan.control is None else self.control_video(source)
        return inside, _expanded(1.0, self.shape)

    def control_video(self, source: int | None = None) -> Tensor:
        """The control medium as a map; beside an edit source it follows that one's times."""
        medium = known(self.plan.control_medium)
        sides = self._sides_of_map(medium, source)
        if source is not None and sides is None:
            self.clips.say_cut(medium, self.clips.grown_size_of(source))
        footage = self.clips.clip(medium, like=source, sides=sides)
        if self.plan.control in (None, "map") or self.annotators.make_map is None:
            return footage
        try:
            video, told = self.annotators.make_map(self.plan.control, footage, self.clips.progress, self.clips.cancel)
        except UnsupportedError as error:
            if self.plan.control != RESTYLE_BY or not is_whole_frame(self.plan.target):
                raise
            self.clips.notices.append(
                f"shapes are held by a scribble map, since there is no depth model here ({error})"
            )
            video, told = self.annotators.make_map(RESTYLE_ELSE, footage, self.clips.progress, self.clips.cancel)
        self.clips.notices.append(told)
        return video

    def _sides_of_map(self, medium: int, source: int | None) -> Sides | None:
        """A ready map of the source's own shape grows with it; any other one covers the result."""
        if source is None or self.plan.borders is None or self.plan.control != "map":
            return None
        if not is_same_aspect(self.clips.size_of(medium), self.clips.size_of(source)):
            return None
        name, whole = self.media.label(medium), self.media.label(source)
        self.clips.notices.append(f"{name} has the shape of {whole}: it grows with it, grey where nothing is known")
        return self.clips.sides_of(source, medium)

    def with_frames(self, video: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Both with the plan's pictures and clips at their places, as they are (reference: frameref, composition)."""
        video, mask = video.clone(), mask.clone()
        _, height, width = self.shape
        deciding = known(deciding_medium(self.plan))
        for clip in self.clips.spec.clips:
            self.clips.say_cut(clip.medium, self.clips.grown_size_of(deciding))
            self.clips.lay(clip, video, mask)
        for frame in self.plan.frames:
            if self.plan.media[frame.medium] == "video":
                continue
            index = place_index(frame.place, known(self.clips.spec.kept_frames))
            self.clips.say_cut(frame.medium, self.clips.grown_size_of(deciding))
            video[index] = cover(self.media.picture(frame.medium), width, height)
            mask[index] = 0
        return video, mask

    def _found_mask(self, video: Tensor) -> Tensor:
        find = self.annotators.find_mask
        if find is None or self.plan.target is None:
            raise ValueError("check_possible comes first")
        mask, told = find(self.plan.target, video, self.clips.progress, self.clips.cancel)
        self.clips.notices.append(told)
        return mask
