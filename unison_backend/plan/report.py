"""A plan and its specification as one JSON object (`--json`) and as lines to read."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from .as_json import JSON_VERSION, to_json
from .plan import Plan
from .spec import GenerationSpec


def as_json(plan: Plan, spec: GenerationSpec) -> dict[str, Any]:
    """Final values (None where a medium that is not here decides), with `plan` as said; the form is in docs/cli.md."""
    return {
        "version": JSON_VERSION,
        "task": str(plan.task),
        "tokens": plan.tokens,
        "width": spec.width,
        "height": spec.height,
        "num_frames": spec.num_frames,
        "fps": None if spec.fps is None else _number(spec.fps),
        "mask": plan.mask,
        "source": plan.source,
        "references": list(plan.references),
        "frames": [[frame.medium, frame.place] for frame in plan.frames],
        "control": plan.control,
        "target": plan.target,
        "answer": plan.answer,
        "reasons": [{"field": reason.field, "text": reason.text} for reason in spec.reasons],
        "plan": to_json(plan),
    }


def as_lines(plan: Plan, spec: GenerationSpec) -> Iterator[str]:
    """What a person wants to know before a run."""
    yield f"task     {plan.task}"
    yield f"tokens   {plan.tokens or '(none: an answer in words)'}"
    if not plan.task.is_generation:
        return
    size = f"{spec.width}x{spec.height}" if spec.width else "decided by a medium that is not here"
    yield f"size     {size}"
    if plan.output == "video" and spec.num_frames:
        fps = f" at {float(spec.fps):.6g} fps, {float(spec.num_frames / spec.fps):.3g} s" if spec.fps else ""
        yield f"frames   {spec.num_frames}{fps}"
    for name in ("mask", "source", "control", "target"):
        if getattr(plan, name) is not None:
            yield f"{name:<8} {getattr(plan, name)}"
    if plan.references:
        yield f"refs     {', '.join(map(str, plan.references))}"
    for frame in plan.frames:
        yield f"frame    medium {frame.medium} is {frame.place}"
    for reason in spec.reasons:
        yield f"because  {reason.field}: {reason.text}"


def _number(value: Fraction) -> int | float:
    return value.numerator if value.denominator == 1 else float(value)
