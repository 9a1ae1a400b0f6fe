"""A plan as JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from fractions import Fraction
from typing import Any, get_args

from ..errors import InputError
from .borders import Borders, borders_from_json
from .numbers import exact
from .plan import Frame, Plan, PlanError
from .tasks import MediaKind, Task

JSON_VERSION = 2
_READ = (1, 2)  # version 1 lacks fps, borders, mask_keeps, counted and in_all
_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("width", "height", "num_frames", "mask", "source"), (int, type(None))),
    **dict.fromkeys(("control", "target", "answer"), (str, type(None))),
    **dict.fromkeys(("frames", "references", "media"), (list, tuple)),
    **dict.fromkeys(("task", "prompt", "raw"), (str,)),
    "fps": (int, str, type(None)),
    "borders": (dict, type(None)),
    "mask_keeps": (bool,),
    "counted": (bool,),
    "in_all": (bool,),
}


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as said, as values that JSON holds; `from_json` gives an equal plan back."""
    data: dict[str, Any] = {"version": JSON_VERSION}
    data |= {field.name: getattr(plan, field.name) for field in fields(plan)}
    data["task"] = str(plan.task)
    data["frames"] = [[frame.medium, frame.place] for frame in plan.frames]
    data["fps"] = plan.fps if plan.fps is None or plan.fps.denominator != 1 else plan.fps.numerator
    data["fps"] = str(data["fps"]) if isinstance(data["fps"], Fraction) else data["fps"]
    data["borders"] = plan.borders and plan.borders.to_json()
    return data | {"references": list(plan.references), "media": list(plan.media)}


def from_json(data: Mapping[str, Any]) -> Plan:
    """A plan from `to_json`'s form; fields that are absent keep their default. Raises `PlanError`."""
    if not isinstance(data, Mapping):
        raise PlanError("plan", type(data).__name__, "a JSON object")
    if data.get("version") not in _READ or isinstance(data["version"], bool):
        raise PlanError("version", data.get("version"), " or ".join(map(str, _READ)))
    given = {name: value for name, value in data.items() if name != "version"}
    for name, value in given.items():
        _check_type(name, value)
    if given.get("task") not in set(Task):
        raise PlanError("task", given.get("task"), ", ".join(Task))
    if any(kind not in get_args(MediaKind) for kind in given.get("media", ())):
        raise PlanError("media", given["media"], "image or video each")
    given["task"] = Task(given["task"])
    given["frames"] = tuple(_frame_from_json(frame) for frame in given.get("frames", ()))
    given["fps"] = _fps_from_json(given.get("fps"))
    given["borders"] = _borders_from_json(given.get("borders"))
    return Plan(**given | {name: tuple(given.get(name, ())) for name in ("references", "media")})


def _check_type(name: str, value: Any) -> None:
    if name not in _TYPES:
        raise PlanError("plan", name, "the fields " + ", ".join(_TYPES))
    if not isinstance(value, _TYPES[name]) or (isinstance(value, bool) and bool not in _TYPES[name]):
        raise PlanError(name, value, " or ".join(t.__name__ for t in _TYPES[name]))


def _borders_from_json(borders: Any) -> Borders | None:
    try:
        return None if borders is None else borders_from_json(borders)
    except InputError as error:
        raise PlanError("borders", borders, f"an object of sides ({error})") from error


def _fps_from_json(fps: int | str | None) -> Fraction | None:
    try:
        return exact(fps) if isinstance(fps, str) else None if fps is None else Fraction(fps)
    except (ValueError, ZeroDivisionError):
        raise PlanError("fps", fps, "a number or a fraction such as '30000/1001'") from None


def _frame_from_json(frame: Any) -> Frame:
    if not (isinstance(frame, (list, tuple)) and len(frame) == 2):
        raise PlanError("frames", frame, "[medium, place] each")
    return Frame(*frame)
