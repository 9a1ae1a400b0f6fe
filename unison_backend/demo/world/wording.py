"""How an instruction is worded: what it means in the world's own words, and sentences for that in two languages."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from .canvas import SHIPPED, Canvas
from .data import read_json
from .shapes import Scene

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
NOTHING = "nothing"  # the value of a meaning that the instruction does not give


@dataclass(frozen=True)
class Meaning:
    """What an instruction says of the result, in the world's own words; `nothing` where it says nothing."""

    task: str
    colour: str = NOTHING
    shape: str = NOTHING
    background: str = NOTHING
    size: str = NOTHING
    place: str = NOTHING
    motion: str = NOTHING


def words_of(language: Language) -> dict[str, Any]:
    """Colours, shapes and the rest as a language says them, and its templates."""
    words: dict[str, Any] = read_json("words.json")[language]
    return words


def other_names(language: Language) -> dict[str, list[str]]:
    """What else colours and shapes are called, by their own names; see `names.renamed`."""
    names: dict[str, list[str]] = read_json("other_names.json")[language]
    return names


@dataclass
class Writer:
    """Words a request in one language."""

    language: Language
    random: Random
    held_out: bool
    canvas: Canvas = SHIPPED

    def write(self, kind: str, scene: Scene, meaning: Meaning, **given: Any) -> str:
        """A template of `kind` filled with the words for `meaning` and with `given`."""
        words = words_of(self.language)
        template = self.random.choice(words[f"{kind} held out" if self.held_out else kind])
        thing = scene.things[-1] if scene.things else None
        fields: dict[str, Any] = {
            "w": self.canvas.width,
            "h": self.canvas.height,
            "n": self.canvas.frames,
            "colour": words["colours"].get(meaning.colour, ""),
            "shape": words["shapes"].get(thing.shape if thing else meaning.shape, ""),
            "background": words["colours"][scene.background],
            "article_background": article(scene.background),
            "size": self._one("sizes", meaning.size, "medium"),
            "place": self._one("places", meaning.place, "centre"),
            "moving": self._one("moving", meaning.motion, "still"),
            "moves": self._one("moves", meaning.motion, "still"),
        }
        fields["article"] = article(fields["size"].strip() or meaning.colour)
        fields["thing"] = words["thing"].format(**fields)
        fields["scene"] = self.random.choice(words["scenes"]).format(**fields)
        fields["plain_scene"] = self.random.choice(words["scenes"]).format(**fields | {"place": ""})
        fields["moving_scene"] = self.random.choice(words["moving_scenes"]).format(**fields)
        old = given.pop("old_shape", None)
        return str(template.format(**fields, **given, old_shape=words["shapes"].get(old, "")))

    def _one(self, group: str, value: str, default: str) -> str:
        options = words_of(self.language)[group]
        return str(self.random.choice(options[default if value == NOTHING else value]))


def article(word: str) -> str:
    """a or an, as English has it before `word`."""
    return "an" if word[:1] in "aeiou" else "a"
