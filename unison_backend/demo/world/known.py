"""Whether an instruction is about what the embedded models know at all, and what the person is told when it is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from .data import read_json

_WORD = re.compile(r"[^\W\d_]+")
_PAD = re.compile(r"<(?:IMG|VID)PAD>")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_NAMED = 6


def names_a_shape(text: str) -> bool:
    """True when a shape of the world stands in the text, in English (also several of it) or Chinese."""
    return _shapes().search(text.lower()) is not None


def unknown_words(text: str) -> list[str]:
    """Words (Chinese: characters) of a question that the embedded Qwen never saw, in their order, each once."""
    known = _vocabulary()
    return list(dict.fromkeys(word for word in _words(_PAD.sub(" ", text)) if word.lower() not in known))


def unknown_notice(text: str, makes: bool, real: str) -> str | None:
    """What to tell of an instruction outside the world of shapes, None when it is inside.

    makes: a picture or video is to come of it, else an answer. real: what takes the embedded models' place.
    """
    if makes:
        if names_a_shape(text):
            return None
        shapes = ", ".join(_names("en"))
        return (
            f"this instruction names none of the shapes that the embedded models know ({shapes}), so what they make "
            f"will not show what it says. {real}"
        )
    unknown = unknown_words(text)
    if not unknown:
        return None
    named = ", ".join(unknown[:_NAMED]) + (", \u2026" if len(unknown) > _NAMED else "")
    return f"the embedded model knows coloured shapes only and never saw: {named}. Its answer is a guess. {real}"


def _words(text: str) -> Iterator[str]:
    for word in _WORD.findall(text):
        if _CHINESE.search(word):
            yield from word
        else:
            yield word


@cache
def _vocabulary() -> frozenset[str]:
    """Every word of the world's own questions, with the names of colours and shapes."""
    return frozenset(
        word.lower()
        for name in ("questions.json", "words.json")
        for text in _texts(read_json(name))
        for word in _words(text)
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _names(language: str) -> list[str]:
    return list(read_json("words.json")[language]["shapes"].values())


@cache
def _shapes() -> re.Pattern[str]:
    english = "|".join(_names("en"))
    # The last character of a Chinese shape's name is dropped in everyday words ("round").
    chinese = "|".join(name.removesuffix("\u5f62") for name in _names("zh"))
    return re.compile(rf"\b(?:{english})s?\b|{chinese}")
