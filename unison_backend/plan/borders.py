"""How far a picture or video is to grow beyond its edges (VACE's outpainting)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

from ..errors import InputError, shown
from .numbers import exact

MAX_BORDER = 4096
Amount = int | Fraction
"""Pixels of the source, or a share of its width (left, right) or height (top, bottom)."""
SIDES = ("left", "top", "right", "bottom")


@dataclass(frozen=True)
class Borders:
    """What a source grows by on each side. aspect: width and height; what lacks of it comes in equal parts on the
    sides that have an amount, on both sides where none has."""

    left: Amount = 0
    top: Amount = 0
    right: Amount = 0
    bottom: Amount = 0
    aspect: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        sides = [getattr(self, side) for side in SIDES]
        known = all(isinstance(side, int | Fraction) and not isinstance(side, bool) for side in sides)
        if not known or not all(0 <= side <= MAX_BORDER for side in sides) or not (any(sides) or self.aspect):
            raise InputError(
                f"outpaint is {','.join(map(str, sides))}: write left,top,right,bottom in pixels, as 64,0,64,0"
            )
        if self.aspect is not None and not all(isinstance(n, int) and 0 < n <= MAX_BORDER for n in self.aspect):
            raise InputError(f"outpaint is to {self.aspect}: write an aspect as 16:9")

    def pixels(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom in pixels of a source of this size."""
        if self.aspect is None:
            left, right = (_pixels(side, width) for side in (self.left, self.right))
            top, bottom = (_pixels(side, height) for side in (self.top, self.bottom))
            return left, top, right, bottom
        across, down = self.aspect
        wide = max(0, -(-height * across // down) - width)
        high = max(0, -(-width * down // across) - height)
        left, right = _shared(wide, self.left, self.right)
        top, bottom = _shared(high, self.top, self.bottom)
        return left, top, right, bottom

    def to_json(self) -> dict[str, Any]:
        """Pixels as numbers, shares as text ("1/4")."""
        sides = {side: getattr(self, side) for side in SIDES if getattr(self, side)}
        made: dict[str, Any] = {side: str(v) if isinstance(v, Fraction) else v for side, v in sides.items()}
        return made | ({"aspect": list(self.aspect)} if self.aspect else {})


def borders_from_json(data: Any) -> Borders:
    """What `Borders.to_json` gives; raises InputError."""
    if not isinstance(data, Mapping) or not set(data) <= {field.name for field in fields(Borders)}:
        raise InputError(f"borders is {shown(data)}; it is an object of {', '.join(SIDES)} and aspect")
    try:
        sides = {side: exact(v) if isinstance(v, str) else v for side, v in data.items() if side != "aspect"}
        aspect = tuple(data["aspect"]) if data.get("aspect") else None
    except (ValueError, TypeError, ZeroDivisionError):
        raise InputError(f"borders is {shown(dict(data))}: sides are pixels or shares such as '1/4'") from None
    if aspect is not None and len(aspect) != 2:
        raise InputError(f"borders has the aspect {shown(aspect)}: it is two numbers")
    return Borders(**sides, aspect=aspect)


def parse_borders(text: str) -> Borders:
    """`left,top,right,bottom` in pixels; raises InputError."""
    try:
        left, top, right, bottom = (int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"outpaint is {shown(text)}: write left,top,right,bottom in pixels, as in 64,0,64,0") from None
    return Borders(left, top, right, bottom)


def _pixels(amount: Amount, side: int) -> int:
    return amount if isinstance(amount, int) else min(MAX_BORDER, round(amount * side))


def _shared(total: int, first: Amount, second: Amount) -> tuple[int, int]:
    """`total` on the side that has an amount, in halves on both where neither or both have."""
    if bool(first) == bool(second):
        return total // 2, total - total // 2
    return (total, 0) if first else (0, total)
