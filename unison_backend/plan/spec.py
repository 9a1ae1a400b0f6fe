"""From a plan, as said, to a specification, as made: final size, length and fps, with a reason for each default
and each rounding. This file alone decides them; everything behind it takes them as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from ..defaults import FPS, HEIGHT, NUM_FRAMES, PLAN_FPS, WIDTH
from . import geometry
from .geometry import MediaInfo
from .plan import MAX_FPS, Plan, PlanError
from .tasks import Task


@dataclass(frozen=True)
class Limits:
    """What holds where nothing was said."""

    width: int = WIDTH
    height: int = HEIGHT
    num_frames: int = NUM_FRAMES
    fps: int = FPS


@dataclass(frozen=True)
class Reason:
    """Why `field` is what it is, in words fit to be shown. is_warning: a person may well not have meant it."""

    field: str
    text: str
    is_warning: bool = False


Reasons = tuple[Reason, ...]


@dataclass(frozen=True)
class GenerationSpec:
    """Final size in pixels (multiples of 16), length in frames (4 k + 1) and fps of what will be made.

    A still has one frame and no fps, an answer has neither size nor frames. A value that a medium decides is None
    while that medium is not here. `source_frames`: which frames of the deciding video are used, in order.
    `keeps_length`: the output lasts as long as that video, so its sound still fits.
    """

    task: Task
    width: int | None = None
    height: int | None = None
    num_frames: int | None = None
    fps: Fraction | None = None
    source_frames: tuple[int, ...] = ()
    keeps_length: bool = False
    reasons: tuple[Reason, ...] = ()

    @property
    def is_complete(self) -> bool:
        """True when nothing is left open, so that making can start."""
        fps_known = self.fps is not None or self.task.output != "video"
        return None not in (self.width, self.height, self.num_frames) and fps_known


def resolve(
    plan: Plan,
    media: Sequence[MediaInfo | None] = (),
    limits: Limits = Limits(),
    fps: Fraction | None = None,
) -> GenerationSpec:
    """The specification of `plan`.

    media: what is known of each medium, None where it is not here; it may be shorter than `plan.media`.
    fps: the person's explicit choice; it wins over everything and changes no frame. Raises `PlanError`.
    """
    if fps is not None and not 0 < fps <= MAX_FPS:
        raise PlanError("fps", float(fps), f"more than 0, at most {MAX_FPS}")
    if not plan.task.is_generation:
        return GenerationSpec(plan.task)
    decider = _deciding_medium(plan)
    info = media[decider] if decider is not None and decider < len(media) else None
    if decider is None:
        made = _free(plan, limits)
    elif info is None:
        made = _unknown(plan, decider, limits)
    else:
        made = _from_medium(plan, decider, info, limits)
    return _with_fps(replace(made, reasons=(*_of_roles(plan), *made.reasons)), fps or plan.fps)


def _of_roles(plan: Plan) -> Reasons:
    """What there is to say before any size is decided."""
    unused = (Reason("media", f"medium {i} has no role in this plan") for i in plan.unused_media)
    if not plan.remakes_all:
        return tuple(unused)
    kept = "its control map" if plan.control else "nothing"
    told = f"the whole frame of medium {plan.source} is made anew: without a mask VACE keeps {kept}"
    return (*unused, Reason("target", told))


def _deciding_medium(plan: Plan) -> int | None:
    """The medium whose shape the output takes: edit source, control input, or frame picture."""
    if plan.source is not None:
        return plan.source
    if plan.control is not None:
        return plan.control_medium
    return plan.frames[0].medium if plan.frames else None


# Each of these gives its part of the specification with the reasons for it.


def _free(plan: Plan, limits: Limits) -> GenerationSpec:
    """Nothing but words decides: each side to the nearest 16, the length to 4 k + 1."""
    reasons = []
    if plan.width is None or plan.height is None:
        reasons.append(Reason("size", f"nothing said: the default {limits.width}x{limits.height}"))
    said = (plan.width or limits.width, plan.height or limits.height)
    width, height = (geometry.round_side(side) for side in said)
    if (width, height) != said:
        told = f"{said[0]}x{said[1]} is made {width}x{height}: sides are multiples of {geometry.SIDE_MULTIPLE}"
        reasons.append(Reason("size", told))
    return _with_length(GenerationSpec(plan.task, width, height, reasons=tuple(reasons)), plan, limits)


def _from_medium(plan: Plan, index: int, info: MediaInfo, limits: Limits) -> GenerationSpec:
    info, reasons = _grown(info, plan, index)
    area = (plan.width or limits.width) * (plan.height or limits.height)
    if info.kind == "video" and not any(frame.medium == index for frame in plan.frames):
        made = _from_video(plan, index, info, area, limits)
        return replace(made, reasons=(*reasons, *made.reasons))
    width, height, _ = geometry.fit_to_source(info.width, info.height, 1, area)
    made = _with_length(GenerationSpec(plan.task, width, height), plan, limits)
    return replace(made, reasons=(*reasons, *made.reasons, _size_reason(plan, index, info, (width, height), limits)))


def _grown(info: MediaInfo, plan: Plan, index: int) -> tuple[MediaInfo, Reasons]:
    """The deciding medium with the plan's borders around it."""
    if plan.borders is None:
        return info, ()
    left, top, right, bottom = plan.borders.pixels(info.width, info.height)
    if not any((left, top, right, bottom)):
        raise PlanError("borders", plan.borders.to_json(), f"something to add: medium {index} has that shape already")
    grown = replace(info, width=info.width + left + right, height=info.height + top + bottom)
    sides = {"left": left, "top": top, "right": right, "bottom": bottom}
    told = ", ".join(f"{pixels} pixels {side}" for side, pixels in sides.items() if pixels)
    return grown, (Reason("borders", f"medium {index} grows to {grown.width}x{grown.height} ({told})"),)


def _from_video(plan: Plan, index: int, info: MediaInfo, area: int, limits: Limits) -> GenerationSpec:
    """A source video: cut to the spoken length, never stretched, sampled down to what the model holds."""
    kept, duration, cut = _cut(plan, index, info)
    width, height, num_frames = geometry.fit_to_source(info.width, info.height, kept, area)
    reasons = [*cut, _size_reason(plan, index, info, (width, height), limits)]
    if num_frames != kept:
        why = (
            "more than the model holds at this size"
            if kept - num_frames >= geometry.FRAME_MULTIPLE
            else "not a multiple of 4 plus 1"
        )
        told = f"medium {index} gives {kept} frames, {why}: {num_frames} are taken evenly"
        reasons.append(Reason("num_frames", told))
    reasons.append(Reason("fps", f"{num_frames} frames over the {_seconds(duration)} of medium {index}"))
    return GenerationSpec(
        task=plan.task,
        width=width,
        height=height,
        num_frames=num_frames,
        fps=Fraction(num_frames) / duration if duration > 0 else Fraction(limits.fps),
        source_frames=geometry.pick_frames(info.starts[:kept], duration, num_frames),
        keeps_length=duration == info.duration,
        reasons=tuple(reasons),
    )


def _cut(plan: Plan, index: int, info: MediaInfo) -> tuple[int, Fraction, Reasons]:
    """How many frames of a video are kept, and how long they last."""
    if plan.num_frames is None:
        return info.num_frames, info.duration, ()
    spoken = Fraction(plan.num_frames, PLAN_FPS)
    if spoken < info.duration:
        kept = geometry.frames_within(info.starts, spoken)
        told = f"medium {index} is cut to its first {_seconds(spoken)}: {kept} frames"
        return kept, spoken, (Reason("num_frames", told),)
    told = f"{_seconds(spoken)} said, but medium {index} lasts {_seconds(info.duration)}: it is not stretched"
    return info.num_frames, info.duration, (Reason("num_frames", told),) if spoken > info.duration else ()


def _unknown(plan: Plan, index: int, limits: Limits) -> GenerationSpec:
    """The deciding medium is not here: what it decides stays open."""
    why = f"decided by medium {index}"
    size = Reason("size", why)
    if plan.output == "image" or plan.media[index] == "image":
        return _with_length(GenerationSpec(plan.task, reasons=(size,)), plan, limits)
    return GenerationSpec(plan.task, reasons=(size, Reason("num_frames", why), Reason("fps", why)))


def _with_length(made: GenerationSpec, plan: Plan, limits: Limits) -> GenerationSpec:
    """The length and rate of an output that no video decides."""
    length, reasons = _spoken_length(plan, limits)
    fps = Fraction(limits.fps) if plan.output == "video" else None
    return replace(made, num_frames=length, fps=fps, reasons=(*made.reasons, *reasons))


def _spoken_length(plan: Plan, limits: Limits) -> tuple[int, Reasons]:
    if plan.output == "image":
        return 1, ()
    if plan.num_frames is None:
        return limits.num_frames, (Reason("num_frames", f"nothing said: the default {limits.num_frames}"),)
    length = geometry.round_length(plan.num_frames)
    reasons = []
    if length != plan.num_frames:
        told = f"{plan.num_frames} is made {length}: lengths are a multiple of 4 plus 1"
        reasons.append(Reason("num_frames", told))
    if length > limits.num_frames:
        told = f"longer than the {limits.num_frames} frames that the model was trained on"
        reasons.append(Reason("num_frames", told))
    return length, tuple(reasons)


def _with_fps(spec: GenerationSpec, fps: Fraction | None) -> GenerationSpec:
    """The explicit fps put in; a default one gets its reason."""
    if spec.task.output == "video" and fps is not None:
        others = tuple(reason for reason in spec.reasons if reason.field != "fps")
        keeps = spec.keeps_length and fps == spec.fps
        return replace(spec, fps=fps, keeps_length=keeps, reasons=(*others, Reason("fps", "as said")))
    if spec.fps is not None and not any(reason.field == "fps" for reason in spec.reasons):
        return replace(spec, reasons=(*spec.reasons, Reason("fps", f"nothing said: the default {spec.fps}")))
    return spec


def _size_reason(plan: Plan, index: int, info: MediaInfo, size: tuple[int, int], limits: Limits) -> Reason:
    if size == (info.width, info.height) and not plan.width:
        return Reason("size", f"as medium {index}")
    budget = f"{plan.width}x{plan.height} said" if plan.width else f"default {limits.width}x{limits.height}"
    shape = f"its aspect in the area of {budget} is {size[0]}x{size[1]}"
    return Reason("size", f"medium {index} is {info.width}x{info.height}: {shape}")


def _seconds(duration: Fraction) -> str:
    return f"{float(duration):g} s" if duration.denominator == 1 else f"{float(duration):.3g} s"
