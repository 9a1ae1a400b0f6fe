"""Planning records in the shape world's own orders, with any size and length: what the embedded models are asked.

The world's examples are all of 64x64 and 9 frames; here only the words are drawn, so that no number is remembered.
Some things (a colour and a shape) are kept apart for measuring and are named in no training record.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

from ..demo import world
from ..plan.plan import Frame, Plan
from ..plan.tasks import MediaKind, Task
from .planning_apart import is_kept_apart
from .planning_numbers import Wide
from .planning_record import IMAGE_PAD, VIDEO_PAD, Language, Record

# Colour and shape of what README's orders name, and some more.
THINGS_APART = frozenset((
    ("red", "circle"), ("green", "circle"), ("yellow", "circle"), ("white", "circle"), ("yellow", "star"),
    ("orange", "triangle"), ("purple", "square"), ("black", "triangle"), ("blue", "star"), ("white", "square"),
))  # fmt: skip
# How often each comes in `draw_shapes`: most where a size or a length is said.
_WEIGHTS = {
    Task.TEXT_TO_IMAGE: 4, Task.IMAGE_REFERENCE: 4, Task.TEXT_TO_VIDEO: 5, Task.VIDEO_REFERENCE: 5,
    Task.IMAGE_TO_VIDEO: 4, Task.IMAGE_EDITING: 1, Task.VIDEO_EDITING: 1, Task.IMAGE_CONTROL: 2, Task.VIDEO_CONTROL: 2,
}  # fmt: skip
CHINESE = 0.2
_HARD = re.compile(r"<BONF>\d<|(\d)\1")
_EDITS = ("recolour", "replace", "remove")
_FRAMES: dict[str, tuple[Frame, ...]] = {
    "first": (Frame(0, "first"),), "last": (Frame(0, "last"),), "both": (Frame(0, "first"), Frame(1, "last")),
}  # fmt: skip
_MASK = {"en": "mask", "zh": "\u8499\u7248"}


def shape_order(
    task: Task, language: Language, random: Random, *, held_out: bool = False, apart: bool | None = False
) -> Record:
    """One order of `task`, which makes something. apart: with numbers and things that are kept for measuring,
    only others, or (None) any.
    """
    lists = _words()[language]
    kind = _kind(task, random)
    template = str(random.choice(lists[f"{kind} held out" if held_out else kind]))
    words = _Words(lists, random, apart)
    fields, said = _measures(template, task, random, apart)
    moving = task.output == "video"
    edits = task.value.endswith("editing")
    source = VIDEO_PAD if moving else IMAGE_PAD
    pads = {"source": source, "mask": source, "control": source, "reference": IMAGE_PAD, "frame": IMAGE_PAD}
    text = template.format(**words.fields(), **said, **pads)
    media: tuple[MediaKind, ...] = tuple(
        "image" if pad == IMAGE_PAD else "video" for pad in _in_order(text, (IMAGE_PAD, VIDEO_PAD))
    )
    if edits:
        mask_first = 0 <= text.find(_MASK[language]) < text.find("PAD>")
        fields |= {"mask": int(not mask_first), "source": int(mask_first)}
    elif task.value.endswith("control"):
        fields["control"] = "map"
    elif task.value.endswith("reference"):
        fields["references"] = (0,)
    elif task is Task.IMAGE_TO_VIDEO:
        fields["frames"] = _FRAMES[kind]
    return Record(task, language, text, Plan(task, media=media, prompt=text, **fields).tokens, media)


def draw_shapes(count: int, seed: int = 0, *, hard: bool = False) -> list[Record]:
    """`count` different orders for training, a fifth of them Chinese, most with a size or a length.

    hard: only those with a number that is hard to copy: of one digit, or with the same digit twice running.
    """
    random = Random(f"more shapes {seed}")
    tasks = [task for task, weight in _WEIGHTS.items() for _ in range(weight)]
    found: dict[str, Record] = {}
    while len(found) < count:
        task = random.choice(tasks)
        record = shape_order(task, "zh" if random.random() < CHINESE else "en", random)
        if not is_kept_apart(record) and (not hard or _HARD.search(record.tokens)):
            found.setdefault(record.prompt, record)
    return list(found.values())


def _kind(task: Task, random: Random) -> str:
    """The name of the list that has the orders of a task."""
    if task.value.endswith("editing"):
        return random.choice(_EDITS)
    return random.choice(sorted(_FRAMES)) if task is Task.IMAGE_TO_VIDEO else task.value


def _in_order(text: str, parts: tuple[str, ...]) -> list[str]:
    """Each of `parts` as often as it stands in `text`, in its order."""
    found = sorted((place, part) for part in parts for place in range(len(text)) if text.startswith(part, place))
    return [part for _, part in found]


def _measures(template: str, task: Task, random: Random, apart: bool | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """(plan's fields, the template's) of the size and the number of frames that the template says."""
    fields: dict[str, Any] = {}
    said: dict[str, Any] = {}
    numbers = Wide((), apart=apart)
    if "{w}" in template:
        width, height = _explicit(numbers, random)
        fields |= {"width": width, "height": height}
        said |= {"w": width, "h": height}
    if "{n}" in template and task.output == "video":
        fields["num_frames"] = said["n"] = _frames(numbers, random)
    return fields, said


def _explicit(numbers: Wide, random: Random) -> tuple[int, int]:
    while True:
        kind, size, _ = numbers.size(random)
        if kind == "explicit":
            return size


def _frames(numbers: Wide, random: Random) -> int:
    while True:
        kind, frames, _ = numbers.length(random)
        if kind == "frames":
            return frames


@cache
def _words() -> dict[str, Any]:
    text = files(world).joinpath("words.json").read_text(encoding="utf-8")
    words: dict[str, Any] = json.loads(text)
    return words


@dataclass(frozen=True)
class _Words:
    """The world's words of one language for a thing, drawn."""

    lists: dict[str, Any]
    random: Random
    apart: bool | None

    def fields(self) -> dict[str, str]:
        """Every field of a template that is neither a number nor a pad."""
        lists, pick = self.lists, self.random.choice
        colours, shapes = sorted(lists["colours"]), sorted(lists["shapes"])
        things = [(c, s) for c in colours for s in shapes if self.apart in (None, (c, s) in THINGS_APART)]
        colour, shape = pick(things)
        background = pick([name for name in colours if name != colour])
        motion = pick(sorted(lists["moving"]))
        given = {
            "colour": lists["colours"][colour],
            "shape": lists["shapes"][shape],
            "old_shape": lists["shapes"][pick([name for name in shapes if name != shape])],
            "background": lists["colours"][background],
            "article_background": _article(background),
            "size": pick(lists["sizes"][pick(sorted(lists["sizes"]))]),
            "place": pick(lists["places"][pick(sorted(lists["places"]))]),
            "moving": pick(lists["moving"][motion]),
            "moves": pick(lists["moves"][motion]),
        }
        given["article"] = _article(given["size"].strip() or colour)
        given["thing"] = lists["thing"].format(**given)
        given["scene"] = pick(lists["scenes"]).format(**given)
        given["plain_scene"] = pick(lists["scenes"]).format(**given | {"place": ""})
        given["moving_scene"] = pick(lists["moving_scenes"]).format(**given)
        return given


def _article(word: str) -> str:
    return "an" if word[:1] in "aeiou" else "a"
