"""A model's answer read back into a plan.

The text is untrusted: it is searched for one JSON object, every value is checked, and `Plan` and the mask rule judge
the whole as they judge signal tokens. Only two things are put right, both with a reason: a reference that has another
role is left out, and an answer that reached its limit is kept as far as it goes.
"""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ...plan.mask_rule import check_masks
from ...plan.numbers import exact
from ...plan.plan import MAX_FPS, Frame, Plan, PlanError, task_of
from ...plan.prompt import Prompt
from ...plan.spec import Reason
from ...plan.tasks import ROWS, Task
from .plan_schema import EMPTY, MAX_SAID_TARGET, Asked, tasks

MAX_TEXT = 100_000
"""Longer answers are no plan, whatever is in them."""
_MAX_BRACES = 8  # that are tried: words in front of an object may hold one
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_NUMBERS = ("width", "height", "num_frames", "mask", "source", "first_frame", "last_frame")
_TEXTS = ("control", "target", "answer", "other_reading")


@dataclass(frozen=True)
class ReadPlan:
    """A plan and what there is to say about it."""

    plan: Plan
    notices: tuple[Reason, ...] = ()


def read_plan(text: str, prompt: Prompt, asked: Asked, *, is_cut: bool = False) -> ReadPlan:
    """The plan in a model's answer to `prompt`. is_cut: it ended at the limit of its length.

    A question without an answer is a plan too: it is answered on its own.

    Raises PlanError naming the field, its value and what it may be.
    """
    found, was_cut = _object_in(text, is_cut)
    values = _checked(EMPTY | {name: value for name, value in found.items() if name in EMPTY})
    task = _task(values["task"], asked, prompt)
    notices = []
    if was_cut:
        notices.append(Reason("answer", "the answer reached its limit (max_new_tokens) and ends there", True))
    roles = {values[name] for name in ("mask", "source", "first_frame", "last_frame")}
    for reference in sorted(roles.intersection(values["references"])):
        notices.append(Reason("references", f"medium {reference} has another role, so it is no reference as well"))
    references = tuple(dict.fromkeys(i for i in values["references"] if i not in roles))
    frames = [Frame(values[f"{place}_frame"], place) for place in ("first", "last")  # type: ignore[arg-type]
              if values[f"{place}_frame"] is not None]  # fmt: skip
    plan = Plan(
        task=task,
        width=values["width"],
        height=values["height"],
        num_frames=values["num_frames"],
        fps=values["fps"],
        frames=tuple(frames),
        mask=values["mask"],
        source=values["source"],
        references=references,
        control=values["control"],
        target=values["target"],
        mask_keeps=values["mask_keeps"],
        answer=values["answer"],
        prompt=prompt.text,
        media=prompt.kinds,
        raw=text,
    )
    check_masks(plan, asked.masks)
    return ReadPlan(plan, (*notices, *_other_reading(values["other_reading"], task)))


def _task(name: Any, asked: Asked, prompt: Prompt) -> Task:
    """The task of that name, if it is possible here; of an answer the one that the media make it."""
    possible = tasks(asked)
    allowed = ", ".join(map(str, possible))
    if not isinstance(name, str) or name not in set(Task):
        raise PlanError("task", name, allowed)
    task = Task(name)
    if ROWS[task].output == "text":
        task = task_of("text", prompt.kinds)
    if task not in possible:
        raise PlanError("task", name, allowed)
    return task


def _other_reading(name: str | None, task: Task) -> tuple[Reason, ...]:
    if name is None or name == task or name not in set(Task):
        return ()
    taken, other = (value.replace("_", " ") for value in (str(task), name))
    return (Reason("reading", f"taken as {taken}; the model says that it could also be {other}"),)


def _object_in(text: str, is_cut: bool) -> tuple[dict[str, Any], bool]:
    """The first JSON object in a text, and whether it had to be closed because its answer was cut."""
    if len(text) > MAX_TEXT:
        raise PlanError("plan", f"{len(text)} characters", f"a JSON object of at most {MAX_TEXT}")
    plain = _THOUGHT.sub("", text)
    starts = [found.start() for found in re.finditer("{", plain)][:_MAX_BRACES]
    if not starts:
        raise PlanError("plan", _shortened(plain), "one JSON object")
    for start in starts:
        with suppress(ValueError, RecursionError):
            found = _decoded(plain[start:])
            if not EMPTY.keys().isdisjoint(found):
                return found, False
    if is_cut and (closed := _closed(plain[starts[0] :])) is not None:
        return closed, True
    why = "it ended before the object did" if is_cut else "no whole one with a plan's fields can be read"
    raise PlanError("plan", _shortened(plain), f"one JSON object ({why})")


def _decoded(text: str) -> dict[str, Any]:
    found, _ = json.JSONDecoder(parse_constant=_no_number).raw_decode(text)
    return dict(found)


def _closed(text: str) -> dict[str, Any] | None:
    """An object that breaks off inside its answer, as far as it goes; None where it breaks off elsewhere."""
    if not re.search(r'"answer"\s*:\s*"', text):
        return None
    for drop in range(7):  # an escape such as backslash-u takes six characters
        try:
            return _decoded(f'{text[: len(text) - drop]}"}}')
        except (ValueError, RecursionError):
            continue
    return None


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """Every value with the type of its field."""
    checked = values | {name: _whole(name, values[name]) for name in _NUMBERS}
    checked |= {name: _text(name, values[name]) for name in _TEXTS}
    listed = values["references"] if values["references"] is not None else []
    if not isinstance(listed, list):
        raise PlanError("references", listed, "a list of media")
    checked["references"] = [_whole("references", value) for value in listed]
    if None in checked["references"]:
        raise PlanError("references", listed, "a list of media")
    if not isinstance(values["mask_keeps"], bool | None):
        raise PlanError("mask_keeps", values["mask_keeps"], "true or false")
    return checked | {"mask_keeps": bool(values["mask_keeps"]), "fps": _rate(values["fps"])}


def _whole(name: str, value: Any) -> int | None:
    """A whole number; a model may write it as 640.0."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return int(value)
    raise PlanError(name, value, "a whole number or null")


def _text(name: str, value: Any) -> str | None:
    """A text; one that is empty says nothing."""
    if value is not None and not isinstance(value, str):
        raise PlanError(name, value, "text or null")
    said = (value or "").strip()
    if name == "target" and len(said) > MAX_SAID_TARGET:
        raise PlanError(name, _shortened(said), f"at most {MAX_SAID_TARGET} characters")
    return said or None


def _rate(value: Any) -> Fraction | None:
    if value is None:
        return None
    allowed = f"a number above 0, at most {MAX_FPS}, or null"
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_FPS:
        raise PlanError("fps", value, allowed)
    try:
        return exact(str(value))
    except ValueError:  # so small that it is written with an exponent
        raise PlanError("fps", value, allowed) from None


def _shortened(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 80 else f"{flat[:80]} ..."
