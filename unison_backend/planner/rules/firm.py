"""What kind of order some words make, whatever the model of the kinds reads: named rules, `orders.toml`."""

from __future__ import annotations

from .controls import control_input
from .intent_model import Intent
from .language import Language
from .phrases import is_
from .text import PAD, Text, index_of

# What the model takes orders for that make something new of people in pictures.
_MISTAKEN = frozenset(("ask", "edit", "restyle", "outpaint", "frames", "control"))
# What words make of one medium.
_OF_ONE: dict[str, Intent] = {
    "orders.one_edit": "edit",
    "orders.one_looks": "edit",
    "orders.one_restyle": "restyle",
    "orders.one_new": "reference_picture",
    "orders.one_steers": "control",
}


def firm_intent(intent: Intent, text: Text, language: Language) -> Intent:
    """`intent`, or what words that leave no doubt make of it."""
    value = text.value.strip()
    if intent in _MISTAKEN and (new := _something_new(value, text, language)) is not None:
        return new
    if intent == "ask" and text.kinds and "?" not in value and language.search("orders.lettering", value):
        return "edit"
    if intent in ("edit", "restyle") and language.search("orders.ask", value):
        return "ask"
    if intent == "control" and _is_out_of_focus(text, language):
        return "reference_picture"
    if intent in ("reference_picture", "reference_video"):
        return _with_what_is_shown(intent, value, text, language)
    return _all_of_it(value, text, language) if intent == "edit" else intent


def _is_out_of_focus(text: Text, language: Language) -> bool:
    """Whether the only depth that is spoken of beside a picture is how sharp what is far away is."""
    is_said = text.kinds == ("image",) and language.search("orders.focus", text.words) is not None
    return is_said and control_input(text, language) is None


def _all_of_it(value: str, text: Text, language: Language) -> Intent:
    """An edit, or one of a whole medium, or a video that moves as another does."""
    if {"image", "video"} <= set(text.kinds) and language.search("orders.motion", value):
        return "reference_video"
    if style_medium(text, language) is not None or language.whole("orders.whole", value):
        return "restyle"
    return "edit"


def _with_what_is_shown(intent: Intent, value: str, text: Text, language: Language) -> Intent:
    """A new picture or video with what is shown, or what words leave no doubt of."""
    if len(text.kinds) == 1:
        if language.search("orders.clothes", value):
            return "edit"
        if language.search("orders.combined", value):
            return "ask"  # what the other one is
    return "reference_video" if language.search("orders.called_video", value) else intent


def _something_new(value: str, text: Text, language: Language) -> Intent | None:
    """What is to be made of people in pictures: a new picture or video with them, or a picture set in motion."""
    if len(text.kinds) == 1:
        wished = next((kind for key, kind in _OF_ONE.items() if language.search(key, value)), None)
        if wished is not None and (text.kinds == ("image",) or wished != "reference_picture"):
            return wished
        if text.kinds == ("image",) and language.search("orders.styled", text.words.strip()):
            return "reference_picture"
    if set(text.kinds) != {"image"}:
        return None
    if len(text.kinds) == 1 and language.search("orders.moved", value):
        return "frames"
    key = "orders.place" if len(text.kinds) == 1 else "orders.combined"
    if not language.search(key, value):
        return None
    return "reference_video" if language.search("orders.as_video", value) else "reference_picture"


def style_medium(text: Text, language: Language) -> int | None:
    """Of several media the picture that lends its style; None where words call none so."""
    if len(text.kinds) < 2:
        return None
    for match in language.find("orders.style", text.words):
        index = index_of(found.group()) if (found := PAD.search(match.group())) else None
        if index is not None and text.kinds[index] == "image":
            return index
    return None


def is_to_be_written(phrase: str, text: Text, language: Language) -> bool:
    """Whether an edit's thing is the words that it puts there, which cannot be found before."""
    written = language.search("orders.lettering", text.value.strip()) is not None
    return written and is_("orders.lettering_noun", phrase, language)
