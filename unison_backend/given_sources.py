"""Files and borders given beside the instruction; they win over what it says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .file_media import FileMedia
from .geometry import MediaInfo
from .media_file import kind_of
from .overrides import apply
from .plan import CONTROLS, Control, Frame, Place, Plan
from .progress import Cancel
from .prompt import Medium

if TYPE_CHECKING:
    from torch import Tensor

MAX_BORDER = 4096
GREY = 0.5


@dataclass(frozen=True)
class Borders:
    """Pixels that a source grows by on each side; the new area is made (VACE's outpainting)."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def __post_init__(self) -> None:
        sides = (self.left, self.top, self.right, self.bottom)
        if not all(0 <= side <= MAX_BORDER for side in sides) or not any(sides):
            raise InputError(
                f"outpaint is {','.join(map(str, sides))}: write left,top,right,bottom in pixels, as 64,0,64,0"
            )


def parse_borders(text: str) -> Borders:
    """`left,top,right,bottom` in pixels; raises InputError."""
    try:
        left, top, right, bottom = (int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"outpaint is {text!r}: write left,top,right,bottom in pixels, as in 64,0,64,0") from None
    return Borders(left, top, right, bottom)


@dataclass(frozen=True)
class GivenSources:
    """What the person gave by name. control is "map" or a kind of map to make from `control_file`."""

    mask: Path | None = None
    mask_phrase: str | None = None
    control_file: Path | None = None
    control: Control = "map"
    references: tuple[Path, ...] = ()
    first_frame: Path | None = None
    last_frame: Path | None = None
    outpaint: Borders | None = None

    def __post_init__(self) -> None:
        if self.control not in CONTROLS:
            raise InputError(f"control is {self.control!r}; it is one of {', '.join(CONTROLS)}")


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
        values["references"] = (*kept, *(_add(files, path) for path in given.references))
    if given.first_frame or given.last_frame:
        values |= {"frames": _frames(plan, files, given), "output": "video"}
    found = FileMedia(files)
    if given.outpaint:
        values["mask"] = len(files)
        found = Outpainted(files, _known(values["source"]), given.outpaint)
    kinds = tuple(medium.kind for medium in found.media)
    return apply(plan, values | {"media": kinds}), found


def _add(files: list[Medium], path: Path) -> int:
    files.append(Medium(kind_of(path), path=str(path)))
    return len(files) - 1


def _edit(plan: Plan, files: list[Medium], given: GivenSources) -> dict[str, Any]:
    """What a given mask, phrase or border makes of a plan: an edit of its source."""
    if not (given.mask or given.mask_phrase or given.outpaint):
        return {}
    source = _source(plan)
    values: dict[str, Any] = {"source": source, "references": tuple(i for i in plan.references if i != source)}
    if plan.output == "text":
        values["output"] = plan.media[source]
    if given.mask_phrase:
        values |= {"target": given.mask_phrase, "mask": None}
    if given.mask:
        values["mask"] = _add(files, given.mask)
    return values


def _control(plan: Plan, files: list[Medium], path: Path, kind: str) -> dict[str, Any]:
    """The control file in the place of the plan's own control medium, else behind the other media."""
    index = plan.control_medium
    if index is None:
        _add(files, path)
    else:
        files[index] = Medium(kind_of(path), path=str(path))
    return {"control": kind, **({"output": kind_of(path)} if plan.output == "text" else {})}


def _frames(plan: Plan, files: list[Medium], given: GivenSources) -> tuple[Frame, ...]:
    """The plan's frames with the given ends in place of its own."""
    frames: dict[Place, Frame] = {frame.place: frame for frame in plan.frames}
    if given.first_frame:
        frames["first"] = Frame(_add(files, given.first_frame), "first")
    if given.last_frame:
        frames["last"] = Frame(_add(files, given.last_frame), "last")
    return tuple(frames.values())


def _source(plan: Plan) -> int:
    """What a mask is for: the plan's source, else its first medium without another use."""
    if plan.source is not None:
        return plan.source
    taken = {frame.medium for frame in plan.frames} | {plan.control_medium}
    free = [
        i for i in range(len(plan.media)) if i not in taken and (i not in plan.references or len(plan.references) == 1)
    ]
    if not free:
        raise InputError("a mask needs a picture or video that it belongs to: put one into the instruction")
    return next((i for i in free if plan.media[i] == "video"), free[0])


def _known(value: int | None) -> int:
    if value is None:
        raise ValueError("a source comes first")
    return value


class Outpainted(FileMedia):
    """Files of which one stands on a larger grey canvas, and behind them the mask of what is new."""

    def __init__(self, media: Sequence[Medium], source: int, borders: Borders) -> None:
        super().__init__([*media, Medium("image", name="outpaint", is_mask=True)])
        self._source, self._borders = source, borders

    @property
    def _mask(self) -> int:
        return len(self.media) - 1

    def info(self, index: int) -> MediaInfo:
        if index == self._mask:
            return MediaInfo("image", *self._size(super().info(self._source)))
        info = super().info(index)
        if index != self._source:
            return info
        width, height = self._size(info)
        return replace(info, width=width, height=height)

    @property
    def infos(self) -> tuple[MediaInfo | None, ...]:
        files = super().infos
        return tuple(self.info(i) if i in (self._source, self._mask) else info for i, info in enumerate(files))

    def _size(self, info: MediaInfo) -> tuple[int, int]:
        borders = self._borders
        return info.width + borders.left + borders.right, info.height + borders.top + borders.bottom

    def picture(self, index: int, *, as_mask: bool = False) -> Tensor:
        import torch

        if index == self._mask:
            info = super().info(self._source)
            return self._on_canvas(torch.zeros(info.height, info.width, 3), 1.0)
        picture = super().picture(index, as_mask=as_mask)
        return self._on_canvas(picture, GREY) if index == self._source else picture

    def frames(self, index: int, indices: Sequence[int], cancel: Cancel) -> Iterator[Tensor]:
        frames = super().frames(index, indices, cancel)
        return (self._on_canvas(frame, GREY) for frame in frames) if index == self._source else frames

    def _on_canvas(self, picture: Tensor, value: float) -> Tensor:
        from torch.nn import functional

        borders = self._borders
        sides = (0, 0, borders.left, borders.right, borders.top, borders.bottom)
        padded: Tensor = functional.pad(picture, sides, value=value)
        return padded
