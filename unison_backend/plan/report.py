"""A plan and its specification as one JSON object (`--json`) and as lines to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from .as_json import JSON_VERSION, to_json
from .names import name_of
from .plan import Plan
from .spec import GenerationSpec


def as_json(plan: Plan, spec: GenerationSpec, reading: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Final values (None where a medium that is not here decides), with `plan` as said; the form is in docs/cli.md.

    reading: how the rules took the words.
    """
    return {
        "version": JSON_VERSION,
        "task": str(plan.task),
        "tokens": plan.tokens,
        "width": spec.width,
        "height": spec.height,
        "num_frames": spec.num_frames,
        "kept_frames": spec.kept_frames,
        "segments": [list(segment) for segment in spec.segments],
        "fps": None if spec.fps is None else _number(spec.fps),
        "mask": plan.mask,
        "source": plan.source,
        "references": list(plan.references),
        "frames": [[frame.medium, frame.place] for frame in plan.frames],
        "control": plan.control,
        "target": plan.target,
        "borders": plan.borders and plan.borders.to_json(),
        "mask_keeps": plan.mask_keeps,
        "answer": plan.answer,
        "reading": None if reading is None else dict(reading),
        "reasons": [{"field": reason.field, "text": reason.text} for reason in spec.reasons],
        "plan": to_json(plan),
    }


def as_lines(
    plan: Plan, spec: GenerationSpec, reading: Mapping[str, Any] | None = None, labels: Sequence[str] = ()
) -> Iterator[str]:
    """What a person wants to know before a run. labels: how the person knows each medium."""
    yield f"task     {plan.task}"
    if reading is not None:
        other = f", else {reading['other']}" if reading["other"] else ""
        yield f"read as  {reading['intent']} ({reading['sure']:.0%} sure{other})"
    yield f"tokens   {plan.tokens or '(none: an answer in words)'}"
    if not plan.task.is_generation:
        yield from _because(spec)
        return
    yield from _shape(plan, spec)
    yield from _parts(plan, labels)
    yield from _because(spec)


def _shape(plan: Plan, spec: GenerationSpec) -> Iterator[str]:
    yield f"size     {f'{spec.width}x{spec.height}' if spec.width else 'decided by a medium that is not here'}"
    if plan.output == "video" and spec.num_frames:
        kept = spec.kept_frames or spec.num_frames
        fps = f" at {float(spec.fps):.6g} fps, {float(kept / spec.fps):.3g} s" if spec.fps else ""
        yield f"frames   {kept}{fps}"


def _parts(plan: Plan, labels: Sequence[str]) -> Iterator[str]:
    """What each medium is for, by the number that `--set` takes and by name."""

    def medium(index: int) -> str:
        return f"{index}: {name_of(index, plan.media, labels)}"

    for field, index in (("mask", plan.mask), ("source", plan.source)):
        if index is not None:
            yield f"{field:<8} {medium(index)}"
    for field, text in (("control", plan.control), ("target", plan.target)):
        if text is not None:
            yield f"{field:<8} {text}"
    if plan.references:
        yield f"refs     {', '.join(medium(index) for index in plan.references)}"
    for frame in plan.frames:
        yield f"frame    {medium(frame.medium)} is {frame.place}"
    if plan.mask_keeps:
        yield "keeps    what the mask marks"
    if plan.borders is not None:
        yield f"borders  {', '.join(f'{side} {amount}' for side, amount in plan.borders.to_json().items())}"


def _because(spec: GenerationSpec) -> Iterator[str]:
    return (f"because  {reason.field}: {reason.text}" for reason in spec.reasons)


def _number(value: Fraction) -> int | float:
    return value.numerator if value.denominator == 1 else float(value)
