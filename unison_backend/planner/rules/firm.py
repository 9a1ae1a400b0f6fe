"""What kind of order some words make, whatever the model of the kinds reads: named rules, `orders.toml`."""

from __future__ import annotations

from .intent_model import Intent
from .language import Language
from .phrases import is_
from .text import PAD, Text, index_of


def firm_intent(intent: Intent, text: Text, language: Language) -> Intent:
    """`intent`, or what words that leave no doubt make of it."""
    value = text.value.strip()
    if intent == "ask" and text.kinds and "?" not in value and language.search("orders.lettering", value):
        return "edit"
    if intent in ("edit", "restyle") and language.search("orders.ask", value):
        return "ask"
    if intent != "edit":
        return intent
    if {"image", "video"} <= set(text.kinds) and language.search("orders.motion", value):
        return "reference_video"
    if style_medium(text, language) is not None or language.whole("orders.whole", value):
        return "restyle"
    return intent


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
