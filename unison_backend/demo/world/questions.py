"""Questions about the shape world with their exact answers: about pictures, videos and shapes in general."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, Literal

from torch import Tensor

from .data import read_json
from .shapes import COLOURS, MOTIONS, PLACES, SHAPES, SIZES, Scene, Thing, render
from .tasks import ENGLISH_SHARE, FRAMES, IMAGE_PAD, SIDE, VIDEO_PAD, size_of
from .wording import Language, article

Subject = Literal["image", "video", "text"]
FPS = 24


@dataclass(frozen=True)
class Question:
    """prompt: with a pad for the medium [T, H, W, 3] (none: about no picture); answer: what is right; kind: of what."""

    prompt: str
    answer: str
    kind: str
    medium: Tensor | None = None


def question(subject: Subject, random: Random, *, held_out: bool = False, language: Language | None = None) -> Question:
    """One question; with `held_out` in words that training never uses (plain text questions have no such words)."""
    language = language or ("en" if random.random() < ENGLISH_SHARE else "zh")
    words = _words()[language]
    if subject == "text":
        asked, answer = random.choice(words["text"])
        return Question(asked, answer, "text")
    templates = words[f"{subject} held out" if held_out else subject]
    kind = random.choice(sorted(templates))
    thing, background, place, motion = draw_thing(subject, random)
    values = _values(words, thing, background, place, motion)
    values |= _asked(language, thing, random)
    template = random.choice(templates[kind])
    prompt = template.format(image=IMAGE_PAD, video=VIDEO_PAD, **values)
    frames = 1 if subject == "image" else FRAMES
    clip = render(Scene(background, (thing,)), frames, SIDE, SIDE)
    return Question(prompt, _answer(kind, words, values), f"{subject} {kind}", clip)


@cache
def _words() -> dict[str, Any]:
    names = read_json("words.json")
    return {
        language: words | {"names": {group: names[language][group] for group in ("colours", "shapes")}}
        for language, words in read_json("questions.json").items()
    }


def draw_thing(subject: Subject, random: Random) -> tuple[Thing, str, str, str]:
    """What a picture or video shows: the thing, its background, its place and its motion."""
    background, place, motion = (random.choice(list(group)) for group in (COLOURS, PLACES, MOTIONS))
    colour = random.choice([name for name in COLOURS if name != background])
    radius = SIZES[random.choice(list(SIZES))] * random.uniform(0.97, 1.03)
    x, y = PLACES[place] if subject == "image" else PLACES["centre"]
    thing = Thing(
        random.choice(SHAPES), colour, x + random.uniform(-0.03, 0.03), y + random.uniform(-0.03, 0.03), radius
    )
    return (
        (thing, background, place, motion) if subject == "image" else (thing.moving(motion), background, place, motion)
    )


def _values(words: dict[str, Any], thing: Thing, background: str, place: str, motion: str) -> dict[str, str]:
    return {
        "colour": words["names"]["colours"][thing.colour],
        "shape": words["names"]["shapes"][thing.shape],
        "background": words["names"]["colours"][background],
        "article": article(thing.colour),
        "article_background": article(background),
        "place": words["places"][place],
        "size": words["sizes"][size_of(thing)],
        "direction": words["directions"][motion],
    }


def _asked(language: str, thing: Thing, random: Random) -> dict[str, str]:
    """What a yes-or-no question asks for: half the time it is there."""
    names = _words()[language]["names"]
    colour, shape = thing.colour, thing.shape
    if random.random() < 0.5:
        colour, shape = random.choice(
            [(c, s) for c in COLOURS for s in SHAPES if (c == colour) != (s == shape) or random.random() < 0.1]
        )
    right = (colour, shape) == (thing.colour, thing.shape)
    return {
        "article_asked": article(colour),
        "asked_colour": names["colours"][colour],
        "asked_shape": names["shapes"][shape],
        "right": "yes" if right else "no",
    }


def _answer(kind: str, words: dict[str, Any], values: dict[str, str]) -> str:
    if kind == "is":
        return str(words[values["right"]])
    template = words["answer"].get(kind)
    if not template:
        return values[kind]
    sentence = str(template.format(**values))
    return sentence[:1].upper() + sentence[1:]
