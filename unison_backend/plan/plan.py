"""The plan: one instruction compiled into a task and its fields, as a frozen value and as JSON.

A plan's text is untrusted: a model wrote it from untrusted words. `Plan` checks itself however it was made, so
nothing invalid gets past its constructor, and nothing is allocated before it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from ..errors import InputError
from ..errors import shown as told_value
from .borders import Borders
from .controls import CONTROLS, Control
from .tasks import MediaKind, Output, Role, Task, task_for

MIN_SIDE, MAX_SIDE = 16, 4096
MIN_FRAMES, MAX_FRAMES = 1, 2400
MAX_FPS = 240

Place = Literal["first", "last"] | int

# A plan's target that needs no detector: all of the source is changed, as by a mask that is white everywhere.
WHOLE_FRAME = "the whole frame"
# The mask phrase on the command line that stands for the main noun of the instruction.
MAIN = "main"

# What `<BOFIDX>` calls the two ends of a video (paper, result figures).
PLACE_VALUES = {"first": 0, "last": 1}


class PlanError(InputError):
    """A plan that cannot be meant: `field` has `value`, `allowed` says what it may be, `raw` is the whole text.

    medium: the index of the medium that is to blame, and wrong what is wrong with it, in words that follow its name.
    """

    def __init__(
        self, field: str, value: object, allowed: str, raw: str = "", *, medium: int | None = None, wrong: str = ""
    ) -> None:
        self.field, self.value, self.allowed, self.raw = field, value, allowed, raw
        self.medium, self.wrong = medium, wrong
        shown = raw if len(raw) <= 200 else raw[:200] + "..."
        super().__init__(
            f"plan: {field} is {told_value(value)}; allowed is {allowed}" + (f" (plan text: {shown!r})" if raw else "")
        )

    def told_of(self, label: str) -> PlanError:
        """The same error in a sentence about its medium, which a person knows as `label`."""
        told = PlanError(self.field, self.value, self.allowed, self.raw, medium=self.medium, wrong=self.wrong)
        told.args = (f"{label} {self.wrong}",)
        return told


def is_whole_frame(target: str | None) -> bool:
    """True for `WHOLE_FRAME` however it is typed."""
    words = (target or "").casefold().strip(" .'\"").split()
    return words in (WHOLE_FRAME.split(), WHOLE_FRAME.split()[1:])


@dataclass(frozen=True)
class Frame:
    """A picture that is a frame of the video: `medium` is its index among the media, `place` where it goes."""

    medium: int
    place: Place


@dataclass(frozen=True)
class Plan:
    """What was asked, as said: nothing rounded, no default filled in (`resolve` does that).

    width, height: pixels, both or none, 16..4096. num_frames: at 24 a second, 1..2400, videos only.
    mask, source, references, frames[].medium: indices into `media`. target: the noun phrase to find and edit.
    control: "map" when the control medium already is one, else the kind of map to make from it.
    frames[].medium may be a video: first, the result goes on from its end; last, it leads to its
    beginning; num_frames is then what is new. fps: of the result, above 0, at most 240.
    borders: what the source grows by, which is made. mask_keeps: the mask marks what stays, not what changes.
    in_all: num_frames is the length of all, clips included, not of what is new.
    counted: num_frames was said as a number of frames, which keeps its number at any fps; else it is a time.
    answer: the text of an understanding task. prompt: the instruction with pads. raw: the planner's own text.
    """

    task: Task
    width: int | None = None
    height: int | None = None
    num_frames: int | None = None
    frames: tuple[Frame, ...] = ()
    mask: int | None = None
    source: int | None = None
    references: tuple[int, ...] = ()
    control: Control | None = None
    target: str | None = None
    answer: str | None = None
    prompt: str = ""
    media: tuple[MediaKind, ...] = ()
    raw: str = ""
    fps: Fraction | None = None
    borders: Borders | None = None
    mask_keeps: bool = False
    counted: bool = False
    in_all: bool = False

    def __post_init__(self) -> None:
        _check_texts(self)
        _check_numbers(self)
        _check_media(self)
        _check_task(self)

    @property
    def output(self) -> Output:
        return self.task.output

    @property
    def remakes_all(self) -> bool:
        """True for an edit of the whole frame, which takes neither a mask nor a detector."""
        return self.source is not None and self.mask is None and is_whole_frame(self.target)

    @property
    def control_medium(self) -> int | None:
        """Index of the medium that steers a control task: the first fitting one that has no other role."""
        if self.control is None:
            return None
        return next((i for i, kind in enumerate(self.media) if kind == self.output and i not in _roles(self)), None)

    @property
    def unused_media(self) -> tuple[int, ...]:
        """Media without a role in a generation plan; an understanding task looks at all of them."""
        if not self.task.is_generation:
            return ()
        used = _roles(self) | {self.control_medium}
        return tuple(i for i in range(len(self.media)) if i not in used)

    @property
    def tokens(self) -> str:
        """The plan as signal tokens in canonical order; "" for an understanding task."""
        if not self.task.is_generation:
            return ""
        parts = []
        if self.width is not None:
            parts.append(f"<BORES>{self.width},{self.height}<EORES>")
        if self.num_frames is not None:
            parts.append(f"<BONF>{self.num_frames}<EONF>")
        if spoken := [f for f in self.frames if isinstance(f.place, str) and self.media[f.medium] == "image"]:
            parts.append(f"<BOFIDX>{','.join(str(PLACE_VALUES[str(f.place)]) for f in spoken)}<EOFIDX>")
        if self.source is not None:
            parts.append(f"<BOEDIT>{'' if self.mask is None else f'{self.mask},'}{self.source}<EOEDIT>")
        parts += ["<REF>"] * bool(self.references) + ["<CTRL>"] * (self.control is not None)
        return "".join([*parts, "<CFI>" if self.output == "image" else "<CFV>"])


def task_of(
    output: Output,
    media: Sequence[MediaKind],
    *,
    edit: bool = False,
    control: bool = False,
    frames: bool = False,
    reference: bool = False,
) -> Task:
    """The task that a plan's parts name: editing before control, image to video, reference, text alone."""
    if output == "text":
        return task_for(output, "videos" if "video" in media else "pictures" if media else "words")
    if frames and output == "image":
        raise PlanError("frames", "first or last frame", "nothing in a plan for a picture")
    parts: tuple[tuple[bool, Role], ...] = (
        (edit, "editing"), (control, "control"), (frames, "frames"), (reference, "reference")
    )  # fmt: skip
    return task_for(output, next((role for given, role in parts if given), "words"))


def _check_texts(plan: Plan) -> None:
    """A plan is untrusted, and JSON can hold half a character, which no tokenizer and no file takes."""
    for field in ("prompt", "raw", "target", "control", "answer"):
        text = getattr(plan, field)
        if text is not None and not is_whole_text(text):
            raise PlanError(field, ascii(text[:40]), "text of whole characters (UTF-8)")


def is_whole_text(text: str) -> bool:
    """Whether a text has no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_numbers(plan: Plan) -> None:
    if (plan.width is None) != (plan.height is None):
        raise PlanError("size", (plan.width, plan.height), "width and height together")
    for field, value in (("width", plan.width), ("height", plan.height)):
        if not _is_within(value, MIN_SIDE, MAX_SIDE):
            raise PlanError(field, value, f"{MIN_SIDE} to {MAX_SIDE} pixels")
    if not _is_within(plan.num_frames, MIN_FRAMES, MAX_FRAMES):
        raise PlanError("num_frames", plan.num_frames, f"{MIN_FRAMES} to {MAX_FRAMES} frames (100 seconds)")
    places = [f.place for f in plan.frames]
    for place in places:
        if not (place in PLACE_VALUES if isinstance(place, str) else _is_within(place, 0, MAX_FRAMES - 1)):
            raise PlanError("frames", place, f"first, last or a frame number from 0 to {MAX_FRAMES - 1}")
    if len(set(places)) != len(places):
        raise PlanError("frames", places, "each place once")
    if plan.control is not None and plan.control not in CONTROLS:
        raise PlanError("control", plan.control, ", ".join(CONTROLS))
    if plan.fps is not None and not (isinstance(plan.fps, Fraction) and 0 < plan.fps <= MAX_FPS):
        raise PlanError("fps", plan.fps, f"more than 0, at most {MAX_FPS}")


def _is_within(value: object, low: int, high: int) -> bool:
    """True for nothing, and for a whole number from `low` to `high`."""
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and low <= value <= high)


def _check_media(plan: Plan) -> None:
    """Every index exists, has the kind its role needs and has one role only."""
    if plan.mask is not None and plan.source is None:
        raise PlanError("source", None, "a picture or video to go with the mask")
    _check_index(plan, "source", plan.source, plan.output)
    _check_index(plan, "mask", plan.mask, "image" if plan.output == "image" else None)
    for frame in plan.frames:
        _check_index(plan, "frames", frame.medium, None)
    _check_references(plan)
    roles = [i for i in (plan.mask, plan.source) if i is not None]
    roles += [frame.medium for frame in plan.frames] + list(plan.references)
    if len(set(roles)) != len(roles):
        raise PlanError("media", tuple(roles), "one role for each medium")
    if plan.control is not None and plan.control_medium is None:
        raise PlanError("control", plan.control, f"a control {plan.output} without another role among the media")


def _check_references(plan: Plan) -> None:
    pictures = {i for i, kind in enumerate(plan.media) if kind == "image"}
    for reference in plan.references:
        if type(reference) is not int or reference not in pictures:
            _check_index(plan, "references", reference, "image")


def _check_index(plan: Plan, field: str, index: int | None, kind: str | None) -> None:
    if index is None:
        return
    if not (_is_int(index) and 0 <= index < len(plan.media)):
        allowed = f"0 to {len(plan.media) - 1}" if plan.media else "nothing: the instruction holds no media"
        raise PlanError(field, index, allowed)
    if kind is not None and plan.media[index] != kind:
        allowed = f"a medium of kind {kind}; number {index} is a {plan.media[index]}"
        raise PlanError(field, index, allowed, medium=index, wrong=_wrong_kind(field, kind))


def _wrong_kind(field: str, kind: str) -> str:
    """What is wrong with a medium that is not of the kind that its role takes."""
    if field == "mask":
        return "is a moving mask (a video), and a still takes one picture: give one frame of it as a picture"
    if field == "source" and kind == "image":
        return "is a video, and a picture is made: make a video of it, or give one frame of it as a picture"
    if field == "source":
        return "is a picture, and an edited video is made from a video: make a picture of it, or animate it"
    return "is a video, and references are pictures: give one frame of it as a picture"


def _check_task(plan: Plan) -> None:
    named = task_of(plan.output, plan.media, edit=plan.source is not None, control=plan.control is not None,
                    frames=bool(plan.frames), reference=bool(plan.references))  # fmt: skip
    if plan.task != named:
        raise PlanError("task", str(plan.task), f"{named}, which is what the other fields say")
    if plan.output != "video" and (plan.num_frames is not None or plan.frames or plan.fps is not None):
        raise PlanError("task", str(plan.task), "a video task: num_frames, frames and fps belong to videos")
    if plan.source is None and (plan.borders is not None or plan.mask_keeps):
        raise PlanError("source", None, "a picture or video that borders or a mask belong to")
    if plan.task.is_generation:
        if plan.answer is not None:
            raise PlanError("answer", plan.answer[:40], "nothing in a generation plan")
    elif any((plan.width, plan.source is not None, plan.references, plan.control, plan.target)):
        raise PlanError("task", str(plan.task), "a generation task: an answer has no size, source or reference")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _roles(plan: Plan) -> set[int | None]:
    return {plan.mask, plan.source, *plan.references, *(frame.medium for frame in plan.frames)} - {None}
