"""Planning records from templates: a plan is drawn, then written down in one of many ways.

The plain templates alone, with few sizes and lengths, trained the rules planner's models; they stay as they are, so
that these come out the same again. All others stand in `planning_wordings.json` and are drawn with any numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any, Literal

from ..plan.plan import Frame, Plan
from ..plan.prompt import parse_pads
from ..plan.tasks import MediaKind, Task
from .planning_numbers import RATES, SMALLEST_BARE, Numbers, Plain, Wide
from .planning_record import IMAGE_PAD, VIDEO_PAD, Language, Record

SIZE_SAID, LENGTH_SAID = 0.6, 0.6  # how often a size or a length is said
ADJECTIVE = 0.5  # of those, how often before the noun instead of behind the scene
UNMASKED = 0.25  # of the edits, how many have no mask
BARE = 0.2  # of what is made from words alone, how often without an order
RATE_SAID = 0.12  # of the videos, how many have a frame rate, which no token says
CAPITAL = 0.8  # how often an instruction begins with one
_DOUBLED = re.compile("(?:[,\uff0c] ?)+([.,?:\uff0c\u3002\uff1a])")
PIXELS = ("px", "pixel", "\u50cf\u7d20")


@cache
def templates(wide: bool) -> dict[str, Any]:
    """The plain lists by language and name; with `wide` the others behind them."""
    plain = _read("planning_templates.json")
    return _joined(plain, _read("planning_wordings.json")) if wide else plain


def _read(name: str) -> dict[str, Any]:
    lists: dict[str, Any] = json.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))
    return lists


def _joined(one: Any, more: Any) -> Any:
    if isinstance(one, list):
        return one + more
    return one | {name: _joined(one[name], value) if name in one else value for name, value in more.items()}


@dataclass
class Writer:
    """Draws words of one language. numbers: the plain ones, or those that the wide wordings take."""

    language: Language
    random: Random
    held_out: bool
    wide: bool = False
    numbers: Numbers = field(default_factory=Plain)

    def __post_init__(self) -> None:
        if self.wide:
            self.numbers = Wide(tuple(self.words["numbers"]), apart=None if self.held_out else False)

    @property
    def words(self) -> dict[str, Any]:
        words: dict[str, Any] = templates(self.wide)[self.language]
        return words

    def pick(self, *path: str, only: Sequence[str] = ()) -> str:
        """One of the texts at `path`. only: those that have one of these in them."""
        options: Any = self.words
        for name in path:
            options = options[name]
        return str(self.random.choice([text for text in options if any(part in text for part in only)] or options))

    def template(self, name: str) -> str:
        """One of the templates of `name`: of the training ones or of the held-out ones."""
        return self.pick(f"{name} held out" if self.held_out else name)

    def scene(self, moving: bool) -> str:
        """What is to be seen."""
        if self.language == "zh":
            action = self.pick("actions") if moving else ""
            return (
                self.pick("things") + self.pick("places") + ("\uff0c" + action if action else "") + self.pick("styles")
            )
        parts = [self.pick("things"), self.pick("places"), *([self.pick("actions")] if moving else [])]
        return " ".join(parts) + self.pick("styles")

    def output(
        self, task: Task, template: str, *, measured: bool = True, timed: bool = False
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """(plan fields, template fields) of what comes out: noun with its adjectives, and a tail.

        measured: whether a size and a length may be said (those of an edit are its source's). timed: a length is.
        """
        moving, nameless = task.output == "video", "{noun}" not in template
        fields: dict[str, Any] = {}
        before, behind = "", ""
        if measured and moving and (timed or self.random.random() < LENGTH_SAID):
            kind, frames, values = self.numbers.length(self.random)
            fields["num_frames"] = frames
            before, behind = self._placed("length", kind, values, before, behind, nameless)
        if measured and self.random.random() < SIZE_SAID:
            kind, (width, height), values = self.numbers.size(self.random)
            fields |= {"width": width, "height": height}
            before, behind = self._placed("size", kind, values, before, behind, nameless)
        if measured and moving and self.wide and self.random.random() < RATE_SAID:
            behind += self.pick("rates").format(r=self.random.choice(RATES))
        noun = before + self.pick("nouns", task.output)
        words = {
            "noun": noun,
            "a": ("an" if _vowel(noun) else "a"),
            "tail": behind,
            "classifier": "\u6bb5" if moving else "\u5f20",
        }
        return fields, words

    def _placed(
        self, group: str, kind: str, values: dict[str, Any], before: str, behind: str, nameless: bool
    ) -> tuple[str, str]:
        if not nameless and self.random.random() < ADJECTIVE:
            return self.pick(f"{group} words", kind).format(**values) + before, behind
        small = kind == "explicit" and min(values.values()) < SMALLEST_BARE
        return before, behind + self.pick(f"{group} tails", kind, only=PIXELS if small else ()).format(**values)


def tidy(text: str, writer: Writer) -> str:
    """A capital in front, mostly, and no second comma or full stop where a tail met the template's own."""
    text = _DOUBLED.sub(r"\1", text.strip())
    return text[:1].upper() + text[1:] if writer.random.random() < CAPITAL else text


def _vowel(noun: str) -> bool:
    """Whether English says "an" before it; "8" and "11" and "18" begin with a vowel when spoken."""
    digits = noun.split("x")[0].split("-")[0].split(":")[0].split("p")[0]
    if digits.isdigit():
        return digits[0] == "8" or (digits[:2] in ("11", "18") and len(digits) % 3 == 2)
    return noun[:1] in "aeiou"


def _record(task: Task, writer: Writer, text: str, kinds: Sequence[MediaKind], **fields: Any) -> Record:
    text = tidy(text, writer) if writer.wide else text.strip()
    plan = Plan(task, media=tuple(kinds), prompt=text, **fields)
    return Record(task, writer.language, text, plan.tokens, tuple(kinds))


def _text_to(task: Task, writer: Writer) -> Record:
    bare = writer.wide and not writer.held_out and writer.random.random() < BARE
    template = writer.pick(f"bare {task.output}") if bare else writer.template("text_to")
    fields, words = writer.output(task, template, timed=bare and "{noun}" not in template)
    text = template.format(what=writer.scene(task.output == "video"), **words)
    return _record(task, writer, text, (), **fields)


def _editing(task: Task, writer: Writer) -> Record:
    kind: MediaKind = "image" if task is Task.IMAGE_EDITING else "video"
    pad = IMAGE_PAD if kind == "image" else VIDEO_PAD
    unmasked = writer.random.random() < UNMASKED
    template = writer.template("editing without mask" if unmasked else "editing")
    fields, words = writer.output(task, template, measured=False)
    edit = writer.pick("edits").format(
        part=writer.pick("parts"), look=writer.pick("looks"), thing=writer.pick("things")
    )
    if unmasked:
        return _record(task, writer, template.format(source=pad, edit=edit, **words), (kind,), source=0, **fields)
    mask_kind: MediaKind = "image" if kind == "image" or writer.random.random() < 0.3 else "video"
    mask_pad = IMAGE_PAD if mask_kind == "image" else VIDEO_PAD
    text = template.format(source=pad, mask=mask_pad, edit=edit, **words)
    mask_first = template.index("{mask}") < template.index("{source}")
    mask, source = (0, 1) if mask_first else (1, 0)
    kinds = (mask_kind, kind) if mask_first else (kind, mask_kind)
    return _record(task, writer, text, kinds, mask=mask, source=source, **fields)


def _control(task: Task, writer: Writer) -> Record:
    kind: MediaKind = "image" if task is Task.IMAGE_CONTROL else "video"
    template = writer.template("control")
    fields, words = writer.output(task, template)
    text = template.format(
        control=IMAGE_PAD if kind == "image" else VIDEO_PAD,
        map=writer.pick("maps"),
        what=writer.scene(kind == "video"),
        **words,
    )
    return _record(task, writer, text, (kind,), control="map", **fields)


def _reference(task: Task, writer: Writer) -> Record:
    template = writer.template("reference")
    fields, words = writer.output(task, template)
    moving = task.output == "video"
    place = writer.pick("places") + (
        "" if not moving else (", " if writer.language == "en" else "\uff0c") + writer.pick("actions")
    )
    text = template.format(reference=IMAGE_PAD, what=writer.scene(moving), place=place, **words)
    return _record(task, writer, text, ("image",), references=(0,), **fields)


def _to_video(task: Task, writer: Writer) -> Record:
    which = writer.random.choice(["first", "first", "last", "both"])
    template = writer.template(which)
    fields, words = writer.output(task, template)
    text = template.format(frame=IMAGE_PAD, what=writer.scene(True), **words)
    places: dict[str, tuple[Literal["first", "last"], ...]] = {
        "first": ("first",), "last": ("last",), "both": ("first", "last"),
    }  # fmt: skip
    frames = tuple(Frame(index, place) for index, place in enumerate(places[which]))
    kinds: list[MediaKind] = ["image"] * len(frames)
    return _record(task, writer, text, kinds, frames=frames, **fields)


def _question(task: Task, writer: Writer) -> Record:
    subject = task.value.split("_")[0]
    text = writer.template(f"questions {subject}").format(
        image=IMAGE_PAD,
        video=VIDEO_PAD,
        thing=writer.pick("things"),
        place=writer.pick("places"),
        country=writer.pick("countries"),
        x=writer.random.randint(2, 200),
        y=writer.random.randint(2, 200),
    )
    text = tidy(text, writer) if writer.wide else text
    return Record(task, writer.language, text, "", parse_pads(text).kinds)


def record_of(task: Task, language: Language, random: Random, *, held_out: bool = False, wide: bool = False) -> Record:
    """One record of `task` in a template. wide: of all templates, with any numbers."""
    writer = Writer(language, random, held_out, wide)
    return MAKERS[task](task, writer) if task.is_generation else _question(task, writer)


MAKERS = {
    Task.TEXT_TO_IMAGE: _text_to,
    Task.TEXT_TO_VIDEO: _text_to,
    Task.IMAGE_EDITING: _editing,
    Task.VIDEO_EDITING: _editing,
    Task.IMAGE_CONTROL: _control,
    Task.VIDEO_CONTROL: _control,
    Task.IMAGE_REFERENCE: _reference,
    Task.VIDEO_REFERENCE: _reference,
    Task.IMAGE_TO_VIDEO: _to_video,
}
