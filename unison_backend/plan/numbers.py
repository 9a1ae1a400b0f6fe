"""Numbers that a person, a file or a model wrote as text."""

from __future__ import annotations

from fractions import Fraction

_LONGEST = 80


def exact(text: str) -> Fraction:
    """A number such as "24", "2.5" or "30000/1001". Raises ValueError, also for those without an end: the fraction of
    1e99999999 has a hundred million digits. ZeroDivisionError for "1/0".
    """
    if len(text) > _LONGEST or "e" in text.lower():
        raise ValueError(text)
    return Fraction(text)
