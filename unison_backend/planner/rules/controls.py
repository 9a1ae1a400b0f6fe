"""Which medium steers the result, and by what of it: a map that it already is, or one to be made of it."""

from __future__ import annotations

import re

from ...plan.controls import MAP, Control
from . import roles
from .fired import note
from .language import Language
from .text import Text

# Characters before a control word in which "into a" makes it the result and not the input.
_INTO = 30
# Characters before a control word in which the medium that has it is named ("<pad>'s depth").
_DERIVED = 24


def control_input(text: Text, language: Language) -> tuple[int, Control] | None:
    """A control map, or footage whose pose, depth, edges or motion is to be followed: its index and kind."""
    for index, match in roles.linked("controls.kind", text, language):
        before = text.value[max(0, match.start() - _INTO) : match.start()]
        if _is_given(match, index, before, text, language):
            return index, _kind(index, text, language)
    return followed_motion(text, language) or _followed_pose(text, language)


def kind_said(text: Text, language: Language) -> Control:
    """The kind of map that the words speak of, wherever; `MAP` when they speak of none."""
    kinds = (
        rule.name
        for rule, pattern in language.compiled("controls.kind")
        if (match := pattern.search(text.value)) and note(rule, match)
    )
    return next(kinds, MAP)


def followed_motion(text: Text, language: Language) -> tuple[int, Control] | None:
    """ "the robot dances like the woman in <pad>"."""
    if "video" not in text.kinds:
        return None
    follows = language.search("orders.motion", text.value) or (
        language.search("controls.motion", text.value) and language.search("controls.followed", text.value)
    )
    return (text.kinds.index("video"), "pose") if follows else None


def _followed_pose(text: Text, language: Language) -> tuple[int, Control] | None:
    """ "in the pose of the man in <pad>"."""
    posed = [i for i, _ in roles.linked("controls.same_pose", text, language) if text.kinds[i] == "image"]
    return (posed[0], "pose") if posed else None


def _is_given(match: re.Match[str], index: int, before: str, text: Text, language: Language) -> bool:
    """False for a word that names the result ("into a sketch") or only describes it ("striking a victory pose")."""
    position = next((p for p, i in text.pads if i == index), len(text.value))
    described = position < match.start() and language.search("controls.indefinite", before)
    linked = language.match("roles.linked", text.value[position + 1 : match.start()])
    return not language.search("controls.into", before) and (not described or linked is not None)


def _kind(index: int, text: Text, language: Language) -> Control:
    """ "map" when the words call the medium a map ("pose video", "sketch"), else what is to be made of it."""
    named: list[Control] = []
    for rule, pattern in language.compiled("controls.kind"):
        for match in pattern.finditer(text.value):
            if roles.labelled(match, text, language) != index:
                continue
            note(rule, match)
            if language.match("controls.map_noun", text.value[match.end() :]):
                return MAP
            if language.match("controls.is_map", match.group()) and not _is_derived(match, text, language):
                return MAP
            named.append(rule.name)
    return named[0] if named else MAP


def _is_derived(match: re.Match[str], text: Text, language: Language) -> bool:
    """True for what a medium has and a map would be made of ("the depth of <pad>"), not what it is ("depth <pad>").

    A sketch of a medium is what it shows, not one that would be made of it.
    """
    before = text.value[max(0, match.start() - _DERIVED) : match.start()]
    if language.search("controls.owner", before):
        return True
    of = language.match("controls.owned", text.value[match.end() :])
    return of is not None and not language.match("controls.drawn", match.group())
