"""Signal tokens: a planner's text read back into a plan (`Plan.tokens` writes it; docs/plan.md has the grammar).

What every planner owes to masks, which only the instruction knows, is in mask_rule.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .mask_rule import check_mask_fits, check_masks
from .plan import PLACE_VALUES, Frame, Place, Plan, PlanError, task_of
from .tasks import MediaKind, Output

# The 14 added tokens, in the order in which they join the tokenizer (reference: merged tokenizer).
ADDED_TOKENS = (
    *("<CFI>", "<CFV>", "<BORES>", "<EORES>", "<BONF>", "<EONF>", "<BOFIDX>", "<EOFIDX>"),
    *("<REF>", "<CTRL>", "<BOEDIT>", "<EOEDIT>", "<IMGPAD>", "<VIDPAD>"),
)

_PLACES: dict[int, Place] = {value: place for place, value in PLACE_VALUES.items()}  # type: ignore[misc]
_SIGNALS = re.compile("|".join(ADDED_TOKENS[:12]))
_CLOSERS = {"<BORES>": "<EORES>", "<BONF>": "<EONF>", "<BOFIDX>": "<EOFIDX>", "<BOEDIT>": "<EOEDIT>"}
_FIELDS = {"<BORES>": "size", "<BONF>": "num_frames", "<BOFIDX>": "frames", "<BOEDIT>": "edit"}


def parse(text: str, prompt: str = "", media: Sequence[MediaKind] = (), masks: Sequence[int] = ()) -> Plan:
    """A plan from a planner's text; tokens may stand in any order, other text around them is kept in `raw`.

    masks: indices of the media that are masks; they get no other role, and what is made is an edit with one.
    Raises `PlanError` for contradictions, unclosed or repeated fields, numbers out of range and indices that do
    not exist or have the wrong kind. Without `<CFI>` / `<CFV>` the text is the answer of an understanding task.
    """
    media = tuple(media)
    found = _scan(text)
    if not found:
        return Plan(task_of("text", media),
                    answer=text.strip(), prompt=prompt, media=media, raw=text)  # fmt: skip
    if ("<CFI>" in found) == ("<CFV>" in found):
        raise PlanError("task", "".join(found), "exactly one of <CFI> and <CFV>", text)
    output: Output = "image" if "<CFI>" in found else "video"
    try:
        check_mask_fits(media, masks)
        plan = _assemble(found, output, prompt, media, masks, text)
        check_masks(plan, masks)
    except PlanError as error:
        raise PlanError(error.field, error.value, error.allowed, text) from None
    return plan


def _scan(text: str) -> dict[str, tuple[int, ...]]:
    """Every signal token in `text` with its integers; each opener consumes up to its closer."""
    found: dict[str, tuple[int, ...]] = {}
    position = 0
    while match := _SIGNALS.search(text, position):
        token, position = match.group(), match.end()
        numbers: tuple[int, ...] = ()
        if token in _CLOSERS:
            closing = _SIGNALS.search(text, position)
            if closing is None or closing.group() != _CLOSERS[token]:
                raise PlanError(
                    _FIELDS[token], text[position : position + 20], f"numbers closed by {_CLOSERS[token]}", text
                )
            numbers = _integers(_FIELDS[token], text[position : closing.start()], text)
            position = closing.end()
        elif token in _CLOSERS.values():
            raise PlanError("tokens", token, "a closing token behind its opening one", text)
        if token in found:
            raise PlanError(_FIELDS.get(token, token), token, "said at most once", text)
        found[token] = numbers
    return found


def _integers(field: str, payload: str, raw: str) -> tuple[int, ...]:
    """Comma-separated ASCII integers of at most six digits (no number in a plan needs more)."""
    if not re.fullmatch(r"\s*[0-9]{1,6}\s*(,\s*[0-9]{1,6}\s*){0,15}", payload):
        raise PlanError(field, payload[:40], "whole numbers separated by commas", raw)
    return tuple(int(number) for number in payload.split(","))


def _assemble(
    found: dict[str, tuple[int, ...]],
    output: Output,
    prompt: str,
    media: tuple[MediaKind, ...],
    masks: Sequence[int],
    raw: str,
) -> Plan:
    """Roles by the design's rule: edit names its media, frames take the next pictures, control the next fitting
    medium, references all the pictures that are left."""
    width, height = _counted("size", found.get("<BORES>"), 2, "width,height") or (None, None)
    (num_frames,) = _counted("num_frames", found.get("<BONF>"), 1, "one number of frames") or (None,)
    edit = found.get("<BOEDIT>")
    if edit is not None and len(edit) not in (1, 2):
        raise PlanError("edit", edit, "mask,source or source alone")
    mask, source = (None, None) if edit is None else (None, edit[0]) if len(edit) == 1 else edit
    taken = {i for i in (mask, source, *masks) if i is not None}
    pictures = [i for i, kind in enumerate(media) if kind == "image" and i not in taken]
    frames = _frames(found.get("<BOFIDX>", ()), pictures)
    taken |= {frame.medium for frame in frames}
    steering = next((i for i, kind in enumerate(media) if kind == output and i not in taken), None)
    if "<CTRL>" in found:
        taken.add(-1 if steering is None else steering)
    references = tuple(i for i in pictures if i not in taken) if "<REF>" in found else ()
    if "<REF>" in found and not references:
        raise PlanError("references", "<REF>", "a picture without another role among the media")
    task = task_of(
        output, media, edit=edit is not None, control="<CTRL>" in found, frames=bool(frames), reference=bool(references)
    )
    return Plan(
        task=task,
        width=width,
        height=height,
        num_frames=num_frames,
        frames=frames,
        mask=mask,
        source=source,
        references=references,
        control="map" if "<CTRL>" in found else None,
        prompt=prompt,
        media=media,
        raw=raw,
    )


def _counted(field: str, numbers: tuple[int, ...] | None, count: int, allowed: str) -> tuple[int, ...] | None:
    if numbers is not None and len(numbers) != count:
        raise PlanError(field, numbers, allowed)
    return numbers


def _frames(values: tuple[int, ...], pictures: Sequence[int]) -> tuple[Frame, ...]:
    if any(value not in _PLACES for value in values):
        raise PlanError("frames", values, "0 (first frame) and 1 (last frame), one for each picture")
    if len(values) > len(pictures):
        raise PlanError("frames", values, f"one value for each picture; {len(pictures)} have no other role")
    return tuple(Frame(picture, _PLACES[value]) for picture, value in zip(pictures, values, strict=False))
