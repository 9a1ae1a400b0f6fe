"""Outpainting: a source that grows by borders, which are made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..errors import InputError
from ..media.from_files import FileMedia
from ..plan.geometry import MediaInfo
from ..plan.prompt import Medium
from ..progress import Cancel

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
