"""The JSON of a plan by prompt: its fields, and the schemas that hold a model to them.

Two schemas for one instruction. `flat_schema` is what every server takes: one object, no reference, pattern or limit of
length. `exact_schema` is for an automaton here: an object for each way to fill the roles, texts bounded, so that
whatever comes out is a plan. Both name only tasks and media that the instruction has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import InputError
from ...plan.controls import CONTROLS, made_kinds
from ...plan.mask_rule import check_mask_fits, mask_edits
from ...plan.plan import MAX_FPS, MAX_FRAMES, MAX_SIDE, MIN_FRAMES, MIN_SIDE, WHOLE_FRAME, task_of
from ...plan.prompt import Prompt
from ...plan.tasks import ROWS, Make, MediaKind, Output, Task

Schema = dict[str, Any]

FIELDS = (
    *("task", "width", "height", "num_frames", "fps", "mask", "source", "references", "first_frame", "last_frame"),
    *("control", "target", "mask_keeps", "answer", "other_reading"),
)
"""In the order in which they are written."""
EMPTY: dict[str, Any] = dict.fromkeys(FIELDS) | {"references": [], "mask_keeps": False}
"""What a plan says where nothing is said."""
MAX_TARGET = 80  # characters, where an automaton counts them
MAX_SAID_TARGET = 200  # elsewhere; a detector reads no longer phrase
MAX_ANSWER = 4000

_NULL: Schema = {"type": "null"}
_OUTPUTS: dict[Make, tuple[Output, ...]] = {
    "auto": ("image", "video", "text"),
    "made": ("image", "video"),
    "picture": ("image",),
    "video": ("video",),
    "answer": ("text",),
}


@dataclass(frozen=True)
class Asked:
    """What an instruction leaves open: its media in order, which of them are masks, and what the person wants."""

    kinds: tuple[MediaKind, ...] = ()
    masks: tuple[int, ...] = ()
    make: Make = "auto"

    @classmethod
    def of(cls, prompt: Prompt, make: Make) -> Asked:
        return cls(prompt.kinds, prompt.masks, make)

    @property
    def free(self) -> tuple[int, ...]:
        """Media that are no masks."""
        return tuple(i for i in range(len(self.kinds)) if i not in self.masks)

    def of_kind(self, kind: str) -> tuple[int, ...]:
        """Media of a kind that are no masks."""
        return tuple(i for i in self.free if self.kinds[i] == kind)

    def masks_for(self, source: int) -> tuple[int, ...]:
        """What may be the mask of an edit of `source`: the masks, or any medium that could be one."""
        among = self.masks or self.free
        image = self.kinds[source] == "image"
        fitting = [m for m, s in mask_edits(self.kinds, among) if s == source] if self.masks else among
        return tuple(m for m in fitting if m != source and not (image and self.kinds[m] == "video"))


def tasks(asked: Asked) -> tuple[Task, ...]:
    """The tasks that are possible. Raises PlanError for masks that fit nothing, InputError where none is left."""
    if asked.make != "auto":
        check_mask_fits(asked.kinds, asked.masks if asked.make != "answer" else ())
    found = [task for task, row in ROWS.items() if row.output in _OUTPUTS[asked.make] and _fits(task, asked)]
    if not found:
        raise InputError(f"a {asked.make} cannot be made of these media; give a picture, or set the output to auto")
    return tuple(found)


def _fits(task: Task, asked: Asked) -> bool:
    output, role = ROWS[task].output, ROWS[task].role
    if output == "text":
        return task == task_of("text", asked.kinds)
    if asked.masks:
        return role == "editing" and any(asked.masks_for(source) for source in asked.of_kind(output))
    if role in ("editing", "control"):
        return bool(asked.of_kind(output))
    return role == "words" or bool(asked.of_kind("image") if role == "reference" else asked.free)


def flat_schema(asked: Asked) -> Schema:
    """One object with every field; which go together is not in it. The dialect is the least that servers share."""
    names = [str(task) for task in tasks(asked)]
    media = _ids(asked.free)
    pictures = asked.of_kind("image")
    controls: Schema = {"type": "string", "enum": list(CONTROLS)}
    return _object(
        {
            "task": {"type": "string", "enum": names},
            **dict.fromkeys(("width", "height"), _or_null(_integer(MIN_SIDE, MAX_SIDE))),
            "num_frames": _or_null(_integer(MIN_FRAMES, MAX_FRAMES)),
            "fps": _or_null({"type": "number"}),
            "mask": _or_null(_ids(asked.masks or asked.free)),
            "source": _or_null(media),
            "references": {"type": "array", "items": _ids(pictures) or {"type": "integer"}},
            **dict.fromkeys(("first_frame", "last_frame"), _or_null(media)),
            "control": _or_null(controls),
            "target": _or_null({"type": "string"}),
            "mask_keeps": {"type": "boolean"},
            "answer": _or_null({"type": "string"}),
            "other_reading": _or_null({"type": "string", "enum": names}),
        }
    )


def exact_schema(asked: Asked, max_answer: int = MAX_ANSWER) -> Schema:
    """An object for each task and each way to give its roles away: whatever fits is a plan that can be meant."""
    names = tasks(asked)
    other = _or_null({"type": "string", "enum": [str(task) for task in names]})
    text: Schema = {"type": "string", "minLength": 1, "maxLength": max_answer}
    ways = []
    for task in names:
        output = ROWS[task].output
        shared = {"task": {"const": str(task)}, "other_reading": other}
        if output == "text":
            ways.append(_row(**shared, answer=text))
            continue
        for size in _sizes(output):
            ways += [_row(**shared, **size, **roles) for roles in _roles(task, asked)]
    return {"anyOf": ways}


def _sizes(output: Output) -> Iterator[dict[str, Schema]]:
    """Sizes come in pairs or not at all; only videos have a length and a rate."""
    side = _integer(MIN_SIDE, MAX_SIDE)
    times = {"num_frames": _or_null(_integer(MIN_FRAMES, MAX_FRAMES)), "fps": _or_null(_integer(1, MAX_FPS))}
    for sides in ({}, {"width": side, "height": side}):
        yield {**sides, **(times if output == "video" else {})}


def _roles(task: Task, asked: Asked) -> Iterator[dict[str, Schema]]:
    """Each way to fill the roles of a task for these media. References that have another role are left out later."""
    output, role = ROWS[task].output, ROWS[task].role
    pictures = asked.of_kind("image")
    phrase: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_TARGET}
    if role == "words":
        yield {}
    elif role == "reference":
        yield {"references": _list(pictures, at_least=1)}
    elif role == "frames":
        yield from _frames(asked.free)
    elif role == "control":
        followed, *_ = asked.of_kind(output)
        more = _list([i for i in pictures if i != followed])
        yield {"control": {"enum": list(CONTROLS)}, "references": more}
        yield {"control": {"enum": list(made_kinds())}, "references": more, "target": {"const": WHOLE_FRAME}}
    else:
        for source in asked.of_kind(output):
            others = [i for i in pictures if i != source]
            given: dict[str, Schema] = {"source": {"const": source}, "references": _list(others)}
            if masks := asked.masks_for(source):
                yield {**given, "mask": _ids(masks), "mask_keeps": {"type": "boolean"}}
            if not asked.masks:
                yield {**given, "target": phrase}


def _frames(media: Sequence[int]) -> Iterator[dict[str, Schema]]:
    yield {"first_frame": _ids(media)}
    yield {"last_frame": _ids(media)}
    for first in media if len(media) > 1 else ():
        yield {"first_frame": {"const": first}, "last_frame": _ids([i for i in media if i != first])}


def _row(**fields: Schema) -> Schema:
    """An object with these fields; every other one is empty."""
    empty = dict.fromkeys(FIELDS, _NULL) | {"references": _list(()), "mask_keeps": {"const": False}}
    return _object({name: fields.get(name, empty[name]) for name in FIELDS})


def _object(properties: dict[str, Schema]) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _integer(low: int, high: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high}


def _ids(media: Sequence[int]) -> Schema:
    """One of these media; nothing at all for none."""
    return {"type": "integer", "enum": list(media)} if media else {}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, _NULL]} if schema else _NULL


def _list(media: Sequence[int], at_least: int = 0) -> Schema:
    if not media:
        return {"type": "array", "items": {"type": "integer"}, "maxItems": 0}
    return {"type": "array", "items": _ids(media), "minItems": at_least, "maxItems": len(media)}
