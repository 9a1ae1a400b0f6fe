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
    known = [media[i] if i < len(media) else None for i in range(len(plan.media))]
    fps = fps or plan.fps
    reasons = [Reason("media", f"medium {i} has no role in this plan") for i in plan.unused_media]
    if plan.remakes_all:
        kept = "its control map" if plan.control else "nothing"
        reasons.append(
            Reason("target", f"the whole frame of medium {plan.source} is made anew: without a mask VACE keeps {kept}")
        )
    decider = _deciding_medium(plan)
    if decider is None:
        spec = _free(plan, limits, reasons)
    else:
        info = _grown(known[decider], plan, decider, reasons)
        spec = (
            _unknown(plan, decider, limits, reasons)
            if info is None
            else _from_medium(plan, decider, info, limits, reasons)
        )
    return _with_fps(spec, fps, reasons)


def _grown(info: MediaInfo | None, plan: Plan, index: int, reasons: list[Reason]) -> MediaInfo | None:
    """The deciding medium with the plan's borders around it."""
    if info is None or plan.borders is None:
        return info
    left, top, right, bottom = plan.borders.pixels(info.width, info.height)
    if not any((left, top, right, bottom)):
        raise PlanError("borders", plan.borders.to_json(), f"something to add: medium {index} has that shape already")
    grown = replace(info, width=info.width + left + right, height=info.height + top + bottom)
    sides = {"left": left, "top": top, "right": right, "bottom": bottom}
    told = ", ".join(f"{pixels} pixels {side}" for side, pixels in sides.items() if pixels)
    reasons.append(Reason("borders", f"medium {index} grows to {grown.width}x{grown.height} ({told})"))
    return grown


def _deciding_medium(plan: Plan) -> int | None:
    """The medium whose shape the output takes: edit source, control input, or frame picture."""
    if plan.source is not None:
        return plan.source
    if plan.control is not None:
        return plan.control_medium
    return plan.frames[0].medium if plan.frames else None


def _free(plan: Plan, limits: Limits, reasons: list[Reason]) -> GenerationSpec:
    """Nothing but words decides: each side to the nearest 16, the length to 4 k + 1."""
    if plan.width is None or plan.height is None:
        reasons.append(Reason("size", f"nothing said: the default {limits.width}x{limits.height}"))
    said = (plan.width or limits.width, plan.height or limits.height)
    width, height = (geometry.round_side(side) for side in said)
    if (width, height) != said:
        reasons.append(
            Reason(
                "size", f"{said[0]}x{said[1]} is made {width}x{height}: sides are multiples of {geometry.SIDE_MULTIPLE}"
            )
        )
    return GenerationSpec(
        task=plan.task,
        width=width,
        height=height,
        num_frames=_spoken_length(plan, limits, reasons),
        fps=_default_fps(plan, limits),
    )


def _from_medium(plan: Plan, index: int, info: MediaInfo, limits: Limits, reasons: list[Reason]) -> GenerationSpec:
    area = (plan.width or limits.width) * (plan.height or limits.height)
    if info.kind == "video" and not any(frame.medium == index for frame in plan.frames):
        return _from_video(plan, index, info, area, limits, reasons)
    num_frames = _spoken_length(plan, limits, reasons)
    width, height, _ = geometry.fit_to_source(info.width, info.height, 1, area)
    _size_reason(plan, index, info, (width, height), limits, reasons)
    return GenerationSpec(
        task=plan.task, width=width, height=height, num_frames=num_frames, fps=_default_fps(plan, limits)
    )


def _from_video(
    plan: Plan, index: int, info: MediaInfo, area: int, limits: Limits, reasons: list[Reason]
) -> GenerationSpec:
    """A source video: cut to the spoken length, never stretched, sampled down to what the model holds."""
    kept, duration = info.num_frames, info.duration
    if plan.num_frames is not None:
        spoken = Fraction(plan.num_frames, PLAN_FPS)
        if spoken < duration:
            kept, duration = geometry.frames_within(info.starts, spoken), spoken
            reasons.append(
                Reason("num_frames", f"medium {index} is cut to its first {_seconds(spoken)}: {kept} frames")
            )
        elif spoken > duration:
            reasons.append(
                Reason(
                    "num_frames",
                    f"{_seconds(spoken)} said, but medium {index} lasts {_seconds(duration)}: it is not stretched",
                )
            )
    width, height, num_frames = geometry.fit_to_source(info.width, info.height, kept, area)
    _size_reason(plan, index, info, (width, height), limits, reasons)
    if num_frames != kept:
        why = (
            "more than the model holds at this size"
            if kept - num_frames >= geometry.FRAME_MULTIPLE
            else "not a multiple of 4 plus 1"
        )
        reasons.append(
            Reason("num_frames", f"medium {index} gives {kept} frames, {why}: {num_frames} are taken evenly")
        )
    frames = geometry.pick_frames(info.starts[:kept], duration, num_frames)
    fps = Fraction(num_frames) / duration if duration > 0 else Fraction(limits.fps)
    reasons.append(Reason("fps", f"{num_frames} frames over the {_seconds(duration)} of medium {index}"))
    return GenerationSpec(
        task=plan.task,
        width=width,
        height=height,
        num_frames=num_frames,
        fps=fps,
        source_frames=frames,
        keeps_length=duration == info.duration,
    )


def _unknown(plan: Plan, index: int, limits: Limits, reasons: list[Reason]) -> GenerationSpec:
    """The deciding medium is not here: what it decides stays open."""
    why = f"decided by medium {index}"
    reasons.append(Reason("size", why))
    if plan.output == "image" or plan.media[index] == "image":
        return GenerationSpec(
            task=plan.task,
            width=None,
            height=None,
            num_frames=_spoken_length(plan, limits, reasons),
            fps=_default_fps(plan, limits),
        )
    reasons += [Reason("num_frames", why), Reason("fps", why)]
    return GenerationSpec(plan.task)


def _spoken_length(plan: Plan, limits: Limits, reasons: list[Reason]) -> int:
    """Frames of an output that no video decides."""
    if plan.output == "image":
        return 1
    if plan.num_frames is None:
        reasons.append(Reason("num_frames", f"nothing said: the default {limits.num_frames}"))
        return limits.num_frames
    length = geometry.round_length(plan.num_frames)
    if length != plan.num_frames:
        reasons.append(Reason("num_frames", f"{plan.num_frames} is made {length}: lengths are a multiple of 4 plus 1"))
    if length > limits.num_frames:
        reasons.append(
            Reason("num_frames", f"longer than the {limits.num_frames} frames that the model was trained on")
        )
    return length


def _default_fps(plan: Plan, limits: Limits) -> Fraction | None:
    return Fraction(limits.fps) if plan.output == "video" else None


def _with_fps(spec: GenerationSpec, fps: Fraction | None, reasons: list[Reason]) -> GenerationSpec:
    """The explicit fps put in; a default one gets its reason; the reasons are sealed."""
    if spec.task.output == "video" and fps is not None:
        reasons[:] = [r for r in reasons if r.field != "fps"] + [Reason("fps", "as said")]
        spec = replace(spec, fps=fps, keeps_length=spec.keeps_length and fps == spec.fps)
    elif spec.fps is not None and not any(r.field == "fps" for r in reasons):
        reasons.append(Reason("fps", f"nothing said: the default {spec.fps}"))
    return replace(spec, reasons=tuple(reasons))


def _size_reason(
    plan: Plan, index: int, info: MediaInfo, size: tuple[int, int], limits: Limits, reasons: list[Reason]
) -> None:
    budget = f"{plan.width}x{plan.height} said" if plan.width else f"default {limits.width}x{limits.height}"
    if size != (info.width, info.height) or plan.width:
        made = (
            f"medium {index} is {info.width}x{info.height}: its aspect in the area of {budget} is {size[0]}x{size[1]}"
        )
    else:
        made = f"as medium {index}"
    reasons.append(Reason("size", made))


def _seconds(duration: Fraction) -> str:
    return f"{float(duration):g} s" if duration.denominator == 1 else f"{float(duration):.3g} s"
