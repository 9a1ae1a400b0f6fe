"""Instructions without media that the model of the kinds of order cannot be sure of: named rules, `bare.toml`.

People tell a scene ("a man opens a door and walks in"), ask for a picture politely, or only say hello.
"""

from __future__ import annotations

from unicodedata import category

from .intent_model import Intent, Reading
from .language import ANY, Language, load
from .measures import length
from .text import Text

# A scene that is told is no question unless the model is so sure of that.
_ASKED = 0.86
# What the result is called outweighs a model that is less sure of a picture or a video.
_CALLED = 0.9
# Greetings are short.
_MOST_GREETING = 60
_POLITE: tuple[Intent, ...] = ("video", "picture")


def orders_nothing(text: Text) -> bool:
    """Whether an instruction without media is a greeting, or has neither letters nor signs such as an emoji."""
    said = text.words.strip()
    return not text.kinds and (_shows_nothing(said) or _is_greeting(said))


def bare_intent(reading: Reading, text: Text, language: Language) -> Intent:
    """The kind of order of an instruction without media: `reading`'s, or what its words leave no doubt of."""
    value = text.value.strip()
    if orders_nothing(text) or language.search("bare.ability", value):
        return "ask"
    if reading.intent == "ask" and not _is_for_text(value, language):
        polite = next((kind for kind in _POLITE if language.search(f"bare.polite_{kind}", value)), None)
        if polite is not None:
            return polite
    if reading.sure < _CALLED and (called := _called(value, language)) is not None and reading.intent != "ask":
        return called
    if "?" in value:
        return reading.intent
    told = _told(reading, value, language)
    return "video" if _may_last(told, reading, value, language) and _lasts(value, language) else told


def _called(value: str, language: Language) -> Intent | None:
    """A picture or a video, if the words call the result so."""
    if language.search("orders.called_video", value):
        return "video"
    return "picture" if language.search("bare.called_picture", value) else None


def _told(reading: Reading, value: str, language: Language) -> Intent:
    """A scene that is told: what moves along is a video, else the likelier of picture and video."""
    if reading.intent == "video" or (reading.intent == "ask" and reading.sure >= _ASKED):
        return reading.intent
    if language.search("bare.moves", value):
        other = any(language.search(key, value) for key in ("bare.text", "bare.still"))
        return reading.intent if other else "video"
    told = reading.intent == "ask" and language.search("bare.told", value)
    return reading.other if told and reading.other is not None else reading.intent


def _may_last(told: Intent, reading: Reading, value: str, language: Language) -> bool:
    """Whether what is told is open to be a video: a picture, or a question that is not sure or begins with a time."""
    if told == "ask":
        return reading.sure < _ASKED or language.search("bare.timed", value) is not None
    return told == "picture"


def _lasts(value: str, language: Language) -> bool:
    """Whether what is told has a length ("2.5 s of lava flowing", "a swan lands --frames 33")."""
    keys = ("bare.timed", "lengths.said", "lengths.frames_field", "lengths.clock")
    if not any(language.search(key, value) for key in keys) or length(value, language) is None:
        return False
    return not _is_for_text(value, language) and not language.search("bare.still", value)


def _is_for_text(value: str, language: Language) -> bool:
    return any(language.search(key, value) for key in ("bare.text", "bare.asked"))


def _shows_nothing(said: str) -> bool:
    """Whether there is no letter, no sign such as an emoji and no quotation, only digits and punctuation."""
    return said != "" and not any(category(one)[0] == "L" or category(one) in ("So", "Co") for one in said)


def _is_greeting(said: str) -> bool:
    return len(said) <= _MOST_GREETING and load(ANY).search("bare.greeting", said) is not None
