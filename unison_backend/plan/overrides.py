"""The person's own word over the plan: `--set field=value` on the command line, the edit node in the graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from fractions import Fraction
from typing import Any

from ..defaults import PLAN_FPS
from ..errors import InputError
from .geometry import round_half_up
from .plan import Frame, Plan, task_of
from .spec import DEFAULTS, Limits

_INTEGERS = ("width", "height", "num_frames", "mask", "source")
_WORDS = ("control", "target")
# More digits than any field means, and larger than any of them may be; what is longer is never computed.
_LONGEST_NUMBER, _LARGEST_NUMBER = 40, 10**9
FIELDS = (*_INTEGERS, *_WORDS, "references", "frames", "seconds", "fps", "output")


def parse_settings(settings: Sequence[str], prefix: str = "--set ") -> dict[str, Any]:
    """`["width=640", "frames=0:first"]` as values by field; "none" clears a field.

    Raises InputError, in which a setting is called by `prefix` and its own words.
    """
    values: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        name, text = name.strip().lower(), text.strip()
        if not equals or name not in FIELDS:
            raise InputError(f"{prefix}{setting[:80]}: write field=value; the fields are {', '.join(FIELDS)}")
        try:
            values[name] = None if text.lower() in ("none", "") else _value(name, text)
        except ValueError:
            told = _HELP.get(name, "it is a whole number")
            raise InputError(f"{prefix}{setting[:80]}: {text[:60]!r} is no value for {name}; {told}") from None
    return values


_HELP = {
    "references": "it is a list of media numbers, as in 0,2",
    "frames": "it is a list of medium:place, as in 0:first,1:last or 0:40",
    "fps": "it is a number above 0, as in 24 or 30000/1001",
    "seconds": "it is a number above 0, as in 2.5",
    "output": "it is image or video",
}


def _value(name: str, text: str) -> Any:
    if name in _INTEGERS:
        return _whole(text)
    if name in ("fps", "seconds"):
        return _positive(text)
    if name == "references":
        return tuple(_whole(part) for part in text.split(","))
    if name == "frames":
        return tuple(_frame(part) for part in text.split(","))
    if name == "output" and text not in ("image", "video"):
        raise ValueError(text)
    return text


def _whole(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(text)
    return int(text)


def _positive(text: str) -> Fraction:
    # As a float first: the fraction of 1e99999999 would have a hundred million digits.
    if len(text) > _LONGEST_NUMBER or ("/" not in text and not 1 / _LARGEST_NUMBER < float(text) < _LARGEST_NUMBER):
        raise ValueError(text)
    try:
        number = Fraction(text)
    except ZeroDivisionError:
        raise ValueError(text) from None
    if number <= 0:
        raise ValueError(text)
    return number


def _frame(text: str) -> Frame:
    medium, _, place = text.partition(":")
    return Frame(_whole(medium), place if place in ("first", "last") else _whole(place))  # type: ignore[arg-type]


def apply(plan: Plan, values: dict[str, Any], limits: Limits = DEFAULTS) -> Plan:
    """`plan` with `values` put in (`fps` is not a plan's field and is left to `resolve`); raises PlanError.

    A single side takes the other one from the plan or the default; the task follows from the fields.
    """
    changes = _changes(plan, values, limits)
    merged = {field.name: getattr(plan, field.name) for field in fields(Plan)} | changes
    output = values.get("output") or plan.output
    if output == "text" and changes:
        raise InputError("this instruction asks a question; set output to image or video to make one of it")
    if output != "video":
        merged["num_frames"] = None
    if output != "text":
        merged["answer"] = None
    merged["task"] = task_of(
        output,
        merged["media"],
        edit=merged["source"] is not None,
        control=merged["control"] is not None,
        frames=bool(merged["frames"]),
        reference=bool(merged["references"]),
    )
    return Plan(**merged)


def _changes(plan: Plan, values: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """The plan's fields that `values` set."""
    names = {field.name for field in fields(Plan)}
    changes = {name: value for name, value in values.items() if name in names}
    if values.get("seconds") is not None:
        changes["num_frames"] = round_half_up(values["seconds"] * PLAN_FPS)
    if values.get("num_frames") is not None or values.get("seconds") is not None:
        changes["counted"] = values.get("seconds") is None
        changes["in_all"] = False
    for side, other in (("width", "height"), ("height", "width")):
        if changes.get(side) is not None and changes.get(other, getattr(plan, other)) is None:
            changes[other] = getattr(limits, other)
    for name in {"references", "frames"} & changes.keys():
        changes[name] = changes[name] or ()
    return changes
