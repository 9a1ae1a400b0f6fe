"""What kind of order an instruction is: a linear model over words and pieces of words.

It reads any language by what the sentences have in common that it was trained on (`training.intent`). The weights are
in a file beside this one; an instruction touches a few hundred of them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Literal, get_args

from .fired import judge
from .linear import LinearModel, softmax

Intent = Literal[
    "ask",
    "picture",
    "video",
    "edit",
    "restyle",
    "outpaint",
    "extend",
    "control",
    "frames",
    "reference_picture",
    "reference_video",
]
INTENTS: tuple[Intent, ...] = get_args(Intent)
IN_WORDS: dict[Intent, str] = {
    "ask": "a question, or an order for text",
    "picture": "an order for a new picture",
    "video": "an order for a new video",
    "edit": "an edit of a part",
    "restyle": "a new look for everything",
    "outpaint": "an order to make it larger beyond its edges",
    "extend": "an order to continue a video",
    "control": "an order for something new that follows a medium",
    "frames": "an order to set a picture in motion",
    "reference_picture": "an order for a new picture with what is shown",
    "reference_video": "an order for a new video with what is shown",
}

WEIGHTS = Path(__file__).with_name("intent.weights")
# What is read of a long text: its two ends, where orders stand.
MOST_CHARACTERS = 600

PICTURE, VIDEO, QUOTED = "\ue000", "\ue400", "\ue800"
_MEDIA = re.compile(f"[{PICTURE}-\ue3ff]|[{VIDEO}-\ue7ff]")
_DIGITS = re.compile(r"\d+")
_SPACES = re.compile(r"\s+")
# Scripts without spaces between words: each character counts as one.
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_TOKEN = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+|[^\w\s]")
_LETTERS = re.compile(r"[^\W\d_]+")
_PASSED_OVER = frozenset(f"{PICTURE}{VIDEO},.:;")
_LENGTH_STEP, _LENGTH_STEPS = 4, 8  # words that make one step of length, and the most steps


def features(text: str, kinds: Sequence[str]) -> set[str]:
    """What the model looks at.

    text: as `language.read` makes it (lower case, media as characters of their own). kinds: of the media, in order.
    """
    text = _plain(text)
    media = _media_of(kinds)
    given = "1" if kinds else "0"
    words = list(_words(text))
    found = {f"m{media}", f"l{given}{min(len(words) // _LENGTH_STEP, _LENGTH_STEPS)}"}
    found |= {f"w{word}" for word in words} | {f"x{given}{word}" for word in words}
    ends = ["^", *words, "$"]
    found |= {f"b{a} {b}" for a, b in pairwise(ends)}
    found |= {f"t{a} {b} {c}" for (a, b), (_, c) in pairwise(pairwise(ends))}
    told = [word for word in words if word not in _PASSED_OVER]
    found |= {f"s{given}{count}{' '.join(told[:count])}" for count in (1, 2, 3)}
    found.add(f"e{''.join(told[-1:])}")
    return found.union(*map(_pieces, set(_LETTERS.findall(text)))) if words else found


def _plain(text: str) -> str:
    """The two ends of a text, with every number the same and every medium by its kind alone."""
    if len(text) > MOST_CHARACTERS:
        text = f"{text[: MOST_CHARACTERS // 2]} {text[-MOST_CHARACTERS // 2 :]}"
    text = _MEDIA.sub(lambda m: PICTURE if m.group() < VIDEO else VIDEO, text)
    return _SPACES.sub(" ", _DIGITS.sub("0", text)).strip()


def _media_of(kinds: Sequence[str]) -> str:
    pictures = list(kinds).count("image")
    return ("v" if "video" in kinds else "") + ("i" if pictures == 1 else "I" if pictures else "") or "n"


def _words(text: str) -> Iterator[str]:
    for token in _TOKEN.findall(text):
        if _UNSPACED.search(token):
            yield from token
        else:
            yield token


def _pieces(word: str) -> Iterator[str]:
    """Pieces of 3 to 5 characters of a word with its ends, of 2 to 4 where characters are words."""
    unspaced = _UNSPACED.search(word) is not None
    word, sizes = (word, (2, 3, 4)) if unspaced else (f"<{word}>", (3, 4, 5))
    for size in sizes:
        for start in range(len(word) - size + 1):
            yield f"c{word[start : start + size]}"


def possible(kinds: Sequence[str]) -> frozenset[Intent]:
    """The intents that these media leave open."""
    if not kinds:
        return frozenset(("ask", "picture", "video"))
    found: set[Intent] = {"ask", "edit", "restyle", "outpaint", "control"}
    if "image" in kinds:
        found |= {"frames", "reference_picture", "reference_video"}
    if "video" in kinds:
        found |= {"extend"}
    return frozenset(found)


@dataclass(frozen=True)
class Reading:
    """The likeliest intent, how sure the model is of it (0..1), and the next likeliest."""

    intent: Intent
    sure: float
    other: Intent | None


class IntentModel:
    """The model in the file that `training.intent` wrote."""

    def __init__(self, path: Path = WEIGHTS) -> None:
        self._model = LinearModel(path)
        if self._model.classes != INTENTS:
            raise ValueError(f"{path} is of another version: write it again with `unison train intent`")

    def knows(self, word: str) -> bool:
        """Whether a word stood in the sentences that the model was trained on, often enough to be kept."""
        return self._model.knows(f"w{word}")

    def read(self, text: str, kinds: Sequence[str], among: Collection[Intent]) -> Reading:
        """The intent of an instruction, one of `among`."""
        scores = self._model.scores(features(text, kinds))
        ranked = sorted(among, key=lambda intent: (-scores[intent], intent))
        sure = softmax({intent: scores[intent] for intent in ranked})[ranked[0]]
        judge("kind of order", ranked[0], sure)
        return Reading(ranked[0], sure, ranked[1] if len(ranked) > 1 else None)

    def shares(self, text: str, kinds: Sequence[str]) -> dict[Intent, float]:
        """How much the model believes in each intent; together 1."""
        scores = self._model.scores(features(text, kinds))
        return softmax({intent: scores[intent] for intent in INTENTS})


@lru_cache(maxsize=1)
def intent_model() -> IntentModel:
    """The pack's own model, read once a process."""
    return IntentModel()
