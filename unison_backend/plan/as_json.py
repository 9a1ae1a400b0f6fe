"""A plan as JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args

from .plan import Frame, Plan, PlanError
from .tasks import MediaKind, Task

JSON_VERSION = 1
_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("width", "height", "num_frames", "mask", "source"), (int, type(None))),
    **dict.fromkeys(("control", "target", "answer"), (str, type(None))),
    **dict.fromkeys(("frames", "references", "media"), (list, tuple)),
    **dict.fromkeys(("task", "prompt", "raw"), (str,)),
}


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as said, as values that JSON holds; `from_json` gives an equal plan back."""
    data: dict[str, Any] = {"version": JSON_VERSION}
    data |= {field.name: getattr(plan, field.name) for field in fields(plan)}
    data["task"] = str(plan.task)
    data["frames"] = [[frame.medium, frame.place] for frame in plan.frames]
    return data | {"references": list(plan.references), "media": list(plan.media)}


def from_json(data: Mapping[str, Any]) -> Plan:
    """A plan from `to_json`'s form; fields that are absent keep their default. Raises `PlanError`."""
    if not isinstance(data, Mapping):
        raise PlanError("plan", type(data).__name__, "a JSON object")
    if data.get("version") != JSON_VERSION:
        raise PlanError("version", data.get("version"), str(JSON_VERSION))
    given = {name: value for name, value in data.items() if name != "version"}
    for name, value in given.items():
        if name not in _TYPES:
            raise PlanError("plan", name, "the fields " + ", ".join(_TYPES))
        if not isinstance(value, _TYPES[name]) or isinstance(value, bool):
            raise PlanError(name, value, " or ".join(t.__name__ for t in _TYPES[name]))
    if given.get("task") not in set(Task):
        raise PlanError("task", given.get("task"), ", ".join(Task))
    if any(kind not in get_args(MediaKind) for kind in given.get("media", ())):
        raise PlanError("media", given["media"], "image or video each")
    given["task"] = Task(given["task"])
    given["frames"] = tuple(_frame_from_json(frame) for frame in given.get("frames", ()))
    return Plan(**given | {name: tuple(given.get(name, ())) for name in ("references", "media")})


def _frame_from_json(frame: Any) -> Frame:
    if not (isinstance(frame, (list, tuple)) and len(frame) == 2):
        raise PlanError("frames", frame, "[medium, place] each")
    return Frame(*frame)
