"""From a plan, as said, to a specification, as made: final size, length and fps, with a reason for each default
and each rounding. This file alone decides them; everything behind it takes them as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from . import geometry, length
from .continuing import clips_of, continuation
from .geometry import MediaInfo
from .length import Length, kept_of, seconds
from .names import name_of
from .plan import MAX_FPS, Plan, PlanError
from .segments import Segmenting, segments_of, told
from .specification import DEFAULTS, GenerationSpec, Limits, Reason, Reasons

__all__ = ["DEFAULTS", "MAX_FPS", "GenerationSpec", "Limits", "Reason", "Reasons", "deciding_medium", "resolve"]


def resolve(
    plan: Plan,
    media: Sequence[MediaInfo | None] = (),
    limits: Limits = DEFAULTS,
    fps: Fraction | None = None,
    labels: Sequence[str] = (),
    length: Length = "reference",
    segmenting: Segmenting | None = None,
) -> GenerationSpec:
    """The specification of `plan`.

    media: what is known of each medium, None where it is not here; it may be shorter than `plan.media`.
    fps: the person's explicit choice; it wins over everything. Beside a spoken length it keeps that length, else it
    changes no frame. labels: how the person knows each medium. length: how much of a source video is made.
    segmenting: how a video is made that is longer than the model makes at once; None: at once, whatever its length.
    Raises `PlanError`, InputError.
    """
    if fps is not None and not 0 < fps <= MAX_FPS:
        raise PlanError("fps", float(fps), f"more than 0, at most {MAX_FPS}")
    said = _Said(plan, tuple(media), limits, fps or plan.fps, tuple(labels), length, segmenting)
    if not plan.task.is_generation:
        return GenerationSpec(plan.task, reasons=tuple(said.conversions()))
    decider = deciding_medium(plan)
    info = said.info(decider)
    if decider is None:
        made = _free(said)
    elif info is None:
        made = _unknown(said, decider)
    else:
        made = _from_medium(said, decider, info)
    made = _in_segments(made, said)
    reasons = (*_of_roles(said), *said.conversions(), *made.reasons)
    made = replace(made, reasons=reasons, kept_frames=made.kept_frames or made.num_frames)
    return made if made.clips else _with_fps(made, said.fps)


@dataclass(frozen=True)
class _Said:
    """What `resolve` was given; fps is the person's or the plan's."""

    plan: Plan
    media: tuple[MediaInfo | None, ...]
    limits: Limits
    fps: Fraction | None
    labels: tuple[str, ...]
    length: Length
    segmenting: Segmenting | None

    def name(self, index: int) -> str:
        return name_of(index, self.plan.media, self.labels)

    def info(self, index: int | None) -> MediaInfo | None:
        return self.media[index] if index is not None and index < len(self.media) else None

    @property
    def trained(self) -> int | None:
        """Frames beyond which a video is longer than what the model knows; None where it is made in segments."""
        return self.limits.num_frames if self.segmenting is None else None

    @property
    def area(self) -> int:
        """Pixels a frame at most of what takes a medium's shape: a source is not made smaller for small models."""
        return (self.plan.width or DEFAULTS.width) * (self.plan.height or DEFAULTS.height)

    def conversions(self) -> Iterator[Reason]:
        """What reading the media changes in them."""
        for index, info in enumerate(self.media):
            if info is not None and index != self.plan.mask:  # a mask's values are no colours
                yield from (Reason("media", f"{self.name(index)}: {note}") for note in info.notes)


def _of_roles(said: _Said) -> Reasons:
    """What there is to say before any size is decided."""
    plan = said.plan
    unused = (Reason("media", f"{said.name(i)} has no role in this plan") for i in plan.unused_media)
    if not plan.remakes_all or plan.source is None:
        return tuple(unused)
    kept = "its control map" if plan.control else "nothing"
    told = f"the whole frame of {said.name(plan.source)} is made anew: without a mask VACE keeps {kept}"
    return (*unused, Reason("target", told))


def deciding_medium(plan: Plan) -> int | None:
    """The medium whose shape the output takes: edit source, control input, clip to go on from, or frame picture."""
    if plan.source is not None:
        return plan.source
    if plan.control is not None:
        return plan.control_medium
    return next((frame.medium for frame in (*clips_of(plan), *plan.frames)), None)


# Each of these gives its part of the specification with the reasons for it.


def _free(said: _Said) -> GenerationSpec:
    """Nothing but words decides: each side to the nearest 16, the length to 4 k + 1."""
    plan, limits, reasons = said.plan, said.limits, []
    if plan.width is None or plan.height is None:
        reasons.append(Reason("size", f"nothing said: the default {limits.size}"))
    wanted = (plan.width or limits.width, plan.height or limits.height)
    width, height = (geometry.round_side(side) for side in wanted)
    if (width, height) != wanted:
        told = f"{wanted[0]}x{wanted[1]} is made {width}x{height}: sides are multiples of {geometry.SIDE_MULTIPLE}"
        reasons.append(Reason("size", told))
    return _with_length(GenerationSpec(plan.task, width, height, reasons=tuple(reasons)), said)


def _from_medium(said: _Said, index: int, info: MediaInfo) -> GenerationSpec:
    info, reasons = _grown(said, index, info)
    if info.kind == "video" and not any(frame.medium == index for frame in said.plan.frames):
        made = _from_video(said, index, info)
        return replace(made, reasons=(*reasons, *made.reasons))
    width, height, _ = geometry.fit_to_source(info.width, info.height, 1, said.area)
    made = GenerationSpec(said.plan.task, width, height)
    continues = info.kind == "video" and said.segmenting is not None
    made = _continued(made, said) if continues else _with_length(made, said)
    return replace(made, reasons=(*reasons, *made.reasons, _size_reason(said, index, info, (width, height))))


def _grown(said: _Said, index: int, info: MediaInfo) -> tuple[MediaInfo, Reasons]:
    """The deciding medium with the plan's borders around it."""
    borders = said.plan.borders
    if borders is None:
        return info, ()
    left, top, right, bottom = borders.pixels(info.width, info.height)
    if not any((left, top, right, bottom)):
        raise PlanError("borders", borders.to_json(), f"something to add: {said.name(index)} has that shape already")
    grown = replace(info, width=info.width + left + right, height=info.height + top + bottom)
    sides = {"left": left, "top": top, "right": right, "bottom": bottom}
    told = ", ".join(f"{pixels} pixels {side}" for side, pixels in sides.items() if pixels)
    return grown, (Reason("borders", f"{said.name(index)} grows to {grown.width}x{grown.height} ({told})"),)


def _from_video(said: _Said, index: int, info: MediaInfo) -> GenerationSpec:
    """A source video: cut to the spoken length, never stretched; whole, or sampled down to what the model holds."""
    name = said.name(index)
    kept = kept_of(said.plan, name, info, said.fps, said.length)
    if said.length == "whole":
        width, height, _ = geometry.fit_to_source(info.width, info.height, 1, said.area)
        made, picked, texts = length.whole(name, info, kept, said.trained)
        count = kept.count
    else:
        width, height, made = geometry.fit_to_source(info.width, info.height, kept.count, said.area)
        picked = geometry.pick_frames(info.starts[: kept.frames], kept.duration, made)
        count, texts = made, _sampled(name, kept.count, made)
    reasons = [Reason("num_frames", text) for text in (*kept.reasons, *texts)]
    return GenerationSpec(
        task=said.plan.task,
        width=width,
        height=height,
        num_frames=made,
        fps=Fraction(count) / kept.duration if kept.duration > 0 else Fraction(said.limits.fps),
        source_frames=picked,
        keeps_length=kept.duration == info.duration,
        kept_frames=count,
        reasons=(
            *reasons[: len(kept.reasons)],
            _size_reason(said, index, info, (width, height)),
            *reasons[len(kept.reasons) :],
            Reason("fps", f"{count} frames over the {seconds(kept.duration)} of {name}"),
        ),
    )


def _continued(made: GenerationSpec, said: _Said) -> GenerationSpec:
    """A clip and what goes on from it, at the clip's own rate."""
    plan, how = said.plan, said.segmenting or Segmenting()
    clips = [frame.medium for frame in clips_of(plan)]
    infos = {clip: info for clip in clips if (info := said.info(clip)) is not None}
    if len(infos) < len(clips):
        return _unknown(said, next(clip for clip in clips if clip not in infos))
    found = continuation(plan, infos, {clip: said.name(clip) for clip in clips}, how)
    reasons = [Reason("num_frames", text) for text in found.reasons]
    if len(found.segments) > 1:
        reasons.append(Reason("segments", told(found.new, found.segments, how)))
    kept = f"as {said.name(clips[0])}"
    if said.fps not in (None, found.fps):
        reasons.append(Reason("fps", f"{kept}: a clip that goes on keeps its rate, whatever is said", is_warning=True))
    else:
        reasons.append(Reason("fps", kept))
    return replace(
        made,
        num_frames=found.made,
        kept_frames=found.count,
        fps=found.fps,
        segments=found.segments,
        clips=found.clips,
        reasons=(*made.reasons, *reasons),
    )


def _sampled(name: str, frames: int, made: int) -> tuple[str, ...]:
    """Why VACE's rule takes fewer frames than there are."""
    if made == frames:
        return ()
    too_many = frames - made >= geometry.FRAME_MULTIPLE
    why = "more than the model holds at this size" if too_many else "not a multiple of 4 plus 1"
    return (f"{name} gives {frames} frames, {why}: {made} are taken evenly",)


def _unknown(said: _Said, index: int) -> GenerationSpec:
    """The deciding medium is not here: what it decides stays open."""
    plan, why = said.plan, f"decided by {said.name(index)}"
    size = Reason("size", why)
    if plan.output == "image" or plan.media[index] == "image":
        return _with_length(GenerationSpec(plan.task, reasons=(size,)), said)
    return GenerationSpec(plan.task, reasons=(size, Reason("num_frames", why), Reason("fps", why)))


def _with_length(made: GenerationSpec, said: _Said) -> GenerationSpec:
    """The length and rate of an output that no video decides."""
    if said.plan.output == "image":
        return replace(made, num_frames=1)
    frames, texts = length.spoken(said.plan, said.limits.num_frames, said.trained, said.fps)
    reasons = (Reason("num_frames", text) for text in texts)
    return replace(made, num_frames=frames, fps=Fraction(said.limits.fps), reasons=(*made.reasons, *reasons))


def _in_segments(made: GenerationSpec, said: _Said) -> GenerationSpec:
    """A long video cut into segments, and what of its frames only the later ones see."""
    if said.segmenting is None or made.num_frames is None or made.clips:
        return made
    segments = segments_of(made.num_frames, said.segmenting)
    if not segments:
        return made
    reasons = [Reason("segments", told(made.num_frames, segments, said.segmenting))]
    for frame in said.plan.frames:
        place = made.num_frames - 1 if frame.place == "last" else 0 if frame.place == "first" else frame.place
        first = next((number for number, part in enumerate(segments, 1) if place < part.stop), len(segments))
        if first > 1:
            reasons.append(Reason("frames", f"{said.name(frame.medium)} steers from segment {first} on"))
    return replace(made, segments=segments, reasons=(*made.reasons, *reasons))


def _with_fps(spec: GenerationSpec, fps: Fraction | None) -> GenerationSpec:
    """The explicit fps put in; a default one gets its reason."""
    if spec.task.output == "video" and fps is not None:
        others = tuple(reason for reason in spec.reasons if reason.field != "fps")
        keeps = spec.keeps_length and spec.fps is not None and _lasts_alike(spec, fps)
        return replace(spec, fps=fps, keeps_length=keeps, reasons=(*others, Reason("fps", "as said")))
    if spec.fps is not None and not any(reason.field == "fps" for reason in spec.reasons):
        return replace(spec, reasons=(*spec.reasons, Reason("fps", f"nothing said: the default {spec.fps}")))
    return spec


def _lasts_alike(spec: GenerationSpec, fps: Fraction) -> bool:
    """Whether the result at `fps` ends within a frame of where it ended."""
    frames = Fraction(spec.kept_frames or 0)
    return spec.fps is not None and abs(frames / spec.fps - frames / fps) < 1 / fps


def _size_reason(said: _Said, index: int, info: MediaInfo, size: tuple[int, int]) -> Reason:
    name, plan = said.name(index), said.plan
    if size == (info.width, info.height) and not plan.width:
        return Reason("size", f"as {name}")
    budget = f"{plan.width}x{plan.height} said" if plan.width else f"default {DEFAULTS.size}"
    shape = f"its aspect in the area of {budget} is {size[0]}x{size[1]}"
    return Reason("size", f"{name} is {info.width}x{info.height}: {shape}{geometry.cut_words(info, size)}")
