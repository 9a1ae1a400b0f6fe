"""The kinds of control maps: one row each, and everything that offers, checks or makes maps asks this table.

A further kind is a row here and a file `annotators/maps/<kind>.py` (`annotators.maps.kinds` says what is in it); one
that takes weights has a `Need` of the same key in `weights.needs`; words for it stand in the languages' `control`.
"""

from __future__ import annotations

from dataclasses import dataclass

Control = str
"""A key of `CONTROLS`."""

MAP: Control = "map"
"""The medium is a map already, of whatever kind; nothing is made of it."""


@dataclass(frozen=True)
class ControlKind:
    """What sets a kind apart. takes_weights: maps of it are made by a model that has to be there."""

    takes_weights: bool = False


# In the order in which they are offered everywhere; `MAP` first, since it needs nothing.
CONTROLS: dict[Control, ControlKind] = {
    MAP: ControlKind(),
    "canny": ControlKind(),
    "scribble": ControlKind(),
    "grey": ControlKind(),
    "depth": ControlKind(takes_weights=True),
    "pose": ControlKind(takes_weights=True),
    "flow": ControlKind(takes_weights=True),
}


def made_kinds() -> tuple[Control, ...]:
    """The kinds that are made of ordinary footage."""
    return tuple(kind for kind in CONTROLS if kind != MAP)


def weighted_kinds() -> tuple[Control, ...]:
    """The kinds whose making takes weights."""
    return tuple(kind for kind, row in CONTROLS.items() if row.takes_weights)
