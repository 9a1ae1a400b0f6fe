"""Signal tokens: a planner's text read back into a plan (`Plan.tokens` writes it; docs/plan.md has the grammar).

What every planner owes to masks, which only the instruction knows, is in mask_rule.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .controls import MAP
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
    """The plan of the tokens' numbers; `_roles` deals out the media."""
    width, height = _counted("size", found.get("<BORES>"), 2, "width,height") or (None, None)
    (num_frames,) = _counted("num_frames", found.get("<BONF>"), 1, "one number of frames") or (None,)
    roles = _roles(found, output, media, masks)
    return Plan(
        task=task_of(
            output,
            media,
            edit=roles.source is not None,
            control="<CTRL>" in found,
            frames=bool(roles.frames),
            reference=bool(roles.references),
        ),
        width=width,
        height=height,
        num_frames=num_frames,
        frames=roles.frames,
        mask=roles.mask,
        source=roles.source,
        references=roles.references,
        control=MAP if "<CTRL>" in found else None,
        prompt=prompt,
        media=media,
        raw=raw,
    )


@dataclass(frozen=True)
class _Roles:
    """Which medium is what."""

    mask: int | None
    source: int | None
    frames: tuple[Frame, ...]
    references: tuple[int, ...]


def _roles(
    found: dict[str, tuple[int, ...]], output: Output, media: tuple[MediaKind, ...], masks: Sequence[int]
) -> _Roles:
    """By the design's rule: edit names its media, frames take the next pictures, control the next fitting medium,
    references all the pictures that are left."""
    mask, source = _edit(found.get("<BOEDIT>"))
    taken = {i for i in (mask, source, *masks) if i is not None}
    frames = _frames(found.get("<BOFIDX>", ()), _free("image", media, taken))
    taken |= {frame.medium for frame in frames}
    if "<CTRL>" in found:
        taken |= set(_free(output, media, taken)[:1])
    references = tuple(_free("image", media, taken)) if "<REF>" in found else ()
    if "<REF>" in found and not references:
        raise PlanError("references", "<REF>", "a picture without another role among the media")
    return _Roles(mask, source, frames, references)


def _edit(numbers: tuple[int, ...] | None) -> tuple[int | None, int | None]:
    """(mask, source) of an edit's numbers."""
    if numbers is None:
        return None, None
    if len(numbers) not in (1, 2):
        raise PlanError("edit", numbers, "mask,source or source alone")
    return (None, numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])


def _free(kind: str, media: tuple[MediaKind, ...], taken: set[int]) -> list[int]:
    return [i for i, of in enumerate(media) if of == kind and i not in taken]


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
