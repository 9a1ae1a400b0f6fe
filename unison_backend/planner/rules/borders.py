"""How far an instruction lets its source grow: to an aspect, or on the sides it names."""

from __future__ import annotations

from fractions import Fraction

from ...plan.borders import SIDES, Borders
from .language import Language
from .measures import RATIOS, SHAPES, parse_number, said_ratio, said_shape

UNSAID = Fraction(1, 4)
"""Of the source's width or height, on each side that grows by nobody knows how much."""


def said_borders(text: str, language: Language) -> Borders:
    """An aspect where one is said; else the named sides, or all of them, by the amount that is said."""
    sides = tuple(side for side in SIDES if language.search(f"borders.{side}", text))
    if aspect := _aspect(text, language):
        return Borders(**dict.fromkeys(sides, 1), aspect=aspect)  # type: ignore[arg-type]
    amount = _amount(text, language)
    return Borders(**dict.fromkeys(sides or SIDES, amount))  # type: ignore[arg-type]


def _aspect(text: str, language: Language) -> tuple[int, int] | None:
    found = said_ratio(text, language)
    if found is None and (shape := said_shape(text, language)):
        found = next((ratio for ratio, size in RATIOS.items() if size == shape), None)
        found = found or (("1", "1") if shape == SHAPES["square"] else None)
    return (int(found[0]), int(found[1])) if found else None


def _amount(text: str, language: Language) -> int | Fraction:
    """Pixels, a percentage, "by half", "twice as wide"; `UNSAID` where nothing is said."""
    for match in language.find("borders.pixels", text):
        if (number := parse_number(match.group("n"), language)) and number >= 1:
            return int(number)
    for match in language.find("borders.percent", text):
        if number := parse_number(match.group("n"), language):
            return number / 100
    if language.search("borders.twice", text):
        return Fraction(1, 1)
    return Fraction(1, 2) if language.search("borders.half", text) else UNSAID
