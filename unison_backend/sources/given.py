"""Files and borders given beside the instruction; they win over what it says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..media.from_files import FileMedia
from ..media.moving import shown_kind
from ..plan.borders import Borders
from ..plan.controls import CONTROLS, MAP, Control
from ..plan.kinds import kind_of
from ..plan.names import naming
from ..plan.overrides import apply
from ..plan.plan import Frame, Place, Plan, is_whole_frame
from ..plan.prompt import Medium, check_characters


@dataclass(frozen=True)
class GivenSources:
    """What the person gave by name. control is "map" or a kind of map to make from `control_file`.

    mask_invert: the mask is turned round, whether it is given or found.
    """

    mask: Path | None = None
    mask_phrase: str | None = None
    control_file: Path | None = None
    control: Control = MAP
    references: tuple[Path, ...] = ()
    first_frame: Path | None = None
    last_frame: Path | None = None
    outpaint: Borders | None = None
    mask_invert: bool = False

    def __post_init__(self) -> None:
        if self.control not in CONTROLS:
            raise InputError(f"control is {self.control!r}; it is one of {', '.join(CONTROLS)}")
        check_characters(self.mask_phrase or "", "--mask-phrase")


def put(plan: Plan, media: FileMedia, given: GivenSources) -> tuple[Plan, FileMedia]:
    """The plan with `given` in it, and the media with the given files behind them. Raises InputError, PlanError."""
    if given == GivenSources():
        return plan, media
    files = list(media.media)
    values = _edit(plan, files, given)
    if given.control_file:
        values |= _control(plan, files, given.control_file, given.control)
    if given.references:
        kept = values.get("references", plan.references)
        values["references"] = (*kept, *(_add(files, path, "--reference", still=True) for path in given.references))
    if given.first_frame or given.last_frame:
        values |= {"frames": _frames(plan, files, given), "output": "video"}
    if given.mask_invert:
        if values.get("source", plan.source) is None:
            raise InputError(
                "--mask-invert turns a mask round, but nothing is edited here: give --mask or --mask-phrase"
            )
        values["mask_keeps"] = not plan.mask_keeps
    found = FileMedia(files, media)
    kinds = tuple(medium.kind for medium in found.media)
    with naming(found.labels):
        return apply(plan, values | {"media": kinds}), found


def _add(files: list[Medium], path: Path, option: str, *, still: bool = False) -> int:
    """still: of a picture that moves the first frame is meant."""
    files.append(Medium(kind_of(path) if still else shown_kind(path), path=str(path), name=option))
    return len(files) - 1


def _edit(plan: Plan, files: list[Medium], given: GivenSources) -> dict[str, Any]:
    """What a given mask, phrase or border makes of a plan: an edit of its source."""
    if not (given.mask or given.mask_phrase or given.outpaint):
        return {}
    source = _source(plan)
    values: dict[str, Any] = {"source": source, "references": tuple(i for i in plan.references if i != source)}
    if plan.output == "text":
        values["output"] = plan.media[source]
    if _is_restyled(plan):  # what was to steer the result is edited now
        values |= {"control": None, "target": None}
    if given.mask_phrase:
        values |= {"target": given.mask_phrase, "mask": None}
    if given.mask:
        values["mask"] = _add(files, given.mask, "--mask")
    if given.outpaint:
        values |= {"borders": given.outpaint, "target": None}
    return values


def _control(plan: Plan, files: list[Medium], path: Path, kind: str) -> dict[str, Any]:
    """The control file in the place of the plan's own control medium, else behind the other media."""
    index = plan.control_medium
    if index is None:
        _add(files, path, "--control")
    else:
        files[index] = Medium(shown_kind(path), path=str(path), name="--control")
    return {"control": kind, **({"output": shown_kind(path)} if plan.output == "text" else {})}


def _frames(plan: Plan, files: list[Medium], given: GivenSources) -> tuple[Frame, ...]:
    """The plan's frames with the given ends in place of its own."""
    frames: dict[Place, Frame] = {frame.place: frame for frame in plan.frames}
    if given.first_frame:
        frames["first"] = Frame(_add(files, given.first_frame, "--first-frame", still=True), "first")
    if given.last_frame:
        frames["last"] = Frame(_add(files, given.last_frame, "--last-frame", still=True), "last")
    return tuple(frames.values())


def _is_restyled(plan: Plan) -> bool:
    """Whether all of the control medium changes, for want of a mask."""
    return plan.source is None and plan.control is not None and is_whole_frame(plan.target)


def _source(plan: Plan) -> int:
    """What a mask is for: the plan's source, else its first medium without another use."""
    if plan.source is not None:
        return plan.source
    if _is_restyled(plan) and plan.control_medium is not None:
        return plan.control_medium
    taken = {frame.medium for frame in plan.frames} | {plan.control_medium}
    free = [
        i for i in range(len(plan.media)) if i not in taken and (i not in plan.references or len(plan.references) == 1)
    ]
    if not free:
        raise InputError("a mask needs a picture or video that it belongs to: put one into the instruction")
    return next((i for i in free if plan.media[i] == "video"), free[0])
