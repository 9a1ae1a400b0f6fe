"""Planning data: instructions with pads and the signal tokens that answer them, for the planning LoRA.

A record is a plan first and words second: the plan is drawn, then written down in one of many ways, so its tokens are
right by construction. Words that mean a size come from the meaning table that the rules planner reads with. Templates
are split: those of the held-out part are never used for training.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any, Literal

from ..defaults import PLAN_FPS
from ..errors import InputError, ResourceError
from ..plan.plan import Frame, Plan
from ..plan.tasks import MediaKind, Task
from ..planner.rules.measures import RATIOS, RESOLUTIONS, SHAPES

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
IMAGE_PAD, VIDEO_PAD = "<IMGPAD>", "<VIDPAD>"

SIZE_SAID, LENGTH_SAID = 0.6, 0.6  # how often a size or a length is said
ADJECTIVE = 0.5  # of those, how often before the noun instead of behind the scene
UNMASKED = 0.25  # of the edits, how many have no mask
PLAIN_SIZES = (320, 384, 448, 480, 512, 576, 640, 704, 720, 768, 832, 896, 960, 1024, 1080, 1280)
MAX_TRIES = 50  # for one record that has not been drawn before


@dataclass(frozen=True)
class Record:
    """One sample. prompt: the instruction with pads; tokens: what the planner is to say, empty for an answer."""

    task: Task
    language: Language
    prompt: str
    tokens: str
    media: tuple[MediaKind, ...] = ()

    def as_messages(self) -> dict[str, Any]:
        """Hugging Face chat format, which LLaMA-Factory reads as `sharegpt` with OpenAI's role names."""
        turns = [{"role": "user", "content": self.prompt}, {"role": "assistant", "content": self.tokens}]
        return {"messages": turns, "task": self.task.value, "language": self.language, "media": list(self.media)}


def draw(count: int, seed: int = 0, *, held_out: bool = False) -> list[Record]:
    """`count` different records, the twelve tasks in turn, a third of them Chinese.

    Raises InputError when the templates cannot give that many different ones.
    """
    random = Random(f"planning {seed} {held_out}")
    records: list[Record] = []
    seen: set[str] = set()
    tasks = tuple(Task)
    for index in range(count):
        language: Language = "zh" if index // len(tasks) % 3 == 2 else "en"
        for _ in range(MAX_TRIES):
            record = one(tasks[index % len(tasks)], language, random, held_out=held_out)
            if record.prompt not in seen:
                break
        else:
            raise InputError(f"no more than about {len(records)} different records can be drawn here; ask for fewer")
        seen.add(record.prompt)
        records.append(record)
    return records


def one(task: Task, language: Language, random: Random, *, held_out: bool = False) -> Record:
    """One record of `task`."""
    writer = _Writer(language, random, held_out)
    if not task.is_generation:
        return _question(task, writer)
    return _MAKERS[task](task, writer)


def write(records: Sequence[Record], path: Path, own: Sequence[dict[str, Any]] = ()) -> None:
    """Records as JSON lines, or as one JSON list where the name ends in `.json` (LLaMA-Factory takes both).

    own: the person's chat records, spread evenly among them.
    """
    objects = [record.as_messages() for record in records]
    for number, row in enumerate(own):
        objects.insert(number + (number + 1) * len(records) // (len(own) + 1), row)
    rows = [json.dumps(row, ensure_ascii=False) for row in objects]
    text = "[\n" + ",\n".join(rows) + "\n]\n" if path.suffix == ".json" else "\n".join(rows) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ResourceError(
            f"the records cannot be written to {path} ({error.strerror}); give another place"
        ) from error


def read_messages(path: Path) -> list[dict[str, Any]]:
    """Chat records (JSON lines or a list) of the person's own, each with a user's and then an assistant's turn.

    Raises InputError naming the record that is none.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        is_list = text.lstrip()[:1] == "["
        rows = json.loads(text) if is_list else [json.loads(line) for line in text.split("\n") if line.strip()]
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON lines or a JSON list: {error}") from error
    for number, row in enumerate(rows, 1):
        turns = row.get("messages") if isinstance(row, dict) else None
        if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
            turns = []
        if [turn.get("role") for turn in turns[-2:]] != ["user", "assistant"]:
            raise InputError(f'{path}: record {number} has no "messages" that end with a user and an assistant turn')
        if not all(_is_text(turn.get("content")) for turn in turns):
            raise InputError(f'{path}: record {number} has a turn whose "content" is not text')
    return list(rows)


def _is_text(value: Any) -> bool:
    """Whether this is a string that every file and tokenizer takes; JSON can hold half a surrogate pair."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def as_pair(row: dict[str, Any]) -> tuple[str, str]:
    """(what is asked, what is to be written) of a chat record: its last two turns."""
    asked, answered = row["messages"][-2:]
    return str(asked["content"]), str(answered["content"])


@cache
def _templates() -> dict[str, Any]:
    text = files(__package__).joinpath("planning_templates.json").read_text(encoding="utf-8")
    templates: dict[str, Any] = json.loads(text)
    return templates


@dataclass
class _Writer:
    """Draws words of one language."""

    language: Language
    random: Random
    held_out: bool
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> dict[str, Any]:
        words: dict[str, Any] = _templates()[self.language]
        return words

    def pick(self, *path: str) -> str:
        """One of the texts at `path`."""
        options: Any = self.words
        for name in path:
            options = options[name]
        return str(self.random.choice(options))

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

    def output(self, task: Task, template: str, *, measured: bool = True) -> tuple[dict[str, Any], dict[str, str]]:
        """(plan fields, template fields) of what comes out: noun with its adjectives, and a tail.

        measured: whether a size and a length may be said (those of an edit are its source's).
        """
        moving, nameless = task.output == "video", "{noun}" not in template
        fields: dict[str, Any] = {}
        before, behind = "", ""
        if measured and moving and self.random.random() < LENGTH_SAID:
            kind, frames, values = self._length()
            fields["num_frames"] = frames
            before, behind = self._placed("length", kind, values, before, behind, nameless)
        if measured and self.random.random() < SIZE_SAID:
            kind, (width, height), values = self._size()
            fields |= {"width": width, "height": height}
            before, behind = self._placed("size", kind, values, before, behind, nameless)
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
        return before, behind + self.pick(f"{group} tails", kind).format(**values)

    def _size(self) -> tuple[str, tuple[int, int], dict[str, Any]]:
        kind = self.random.choice(
            ["explicit", "explicit", "explicit", "lines", "horizontal", "vertical", "square", "ratio"]
        )
        if kind == "explicit":
            width, height = (self.random.choice(PLAIN_SIZES) for _ in range(2))
            return kind, (width, height), {"w": width, "h": height}
        if kind == "lines":
            lines = self.random.choice(sorted(RESOLUTIONS))
            return kind, RESOLUTIONS[lines], {"lines": lines}
        if kind == "ratio":
            ratio = self.random.choice(sorted(RATIOS))
            return kind, RATIOS[ratio], {"rw": ratio[0], "rh": ratio[1]}
        return kind, SHAPES[kind], {}

    def _length(self) -> tuple[str, int, dict[str, Any]]:
        if self.random.random() < 0.35:
            frames = self.random.randint(16, 240)
            return "frames", frames, {"n": frames}
        seconds = self.random.randint(1, 12)
        return "seconds", seconds * PLAN_FPS, {"s": seconds}


def _vowel(noun: str) -> bool:
    """Whether English says "an" before it; "8" and "11" and "18" begin with a vowel when spoken."""
    digits = noun.split("x")[0].split("-")[0].split(":")[0].split("p")[0]
    if digits.isdigit():
        return digits[0] == "8" or (digits[:2] in ("11", "18") and len(digits) % 3 == 2)
    return noun[:1] in "aeiou"


def _record(task: Task, writer: _Writer, text: str, kinds: Sequence[MediaKind], **fields: Any) -> Record:
    text = text.strip()
    plan = Plan(task, media=tuple(kinds), prompt=text, **fields)
    return Record(task, writer.language, text, plan.tokens, tuple(kinds))


def _text_to(task: Task, writer: _Writer) -> Record:
    template = writer.template("text_to")
    fields, words = writer.output(task, template)
    text = template.format(what=writer.scene(task.output == "video"), **words)
    return _record(task, writer, text, (), **fields)


def _editing(task: Task, writer: _Writer) -> Record:
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


def _control(task: Task, writer: _Writer) -> Record:
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


def _reference(task: Task, writer: _Writer) -> Record:
    template = writer.template("reference")
    fields, words = writer.output(task, template)
    moving = task.output == "video"
    place = writer.pick("places") + (
        "" if not moving else (", " if writer.language == "en" else "\uff0c") + writer.pick("actions")
    )
    text = template.format(reference=IMAGE_PAD, what=writer.scene(moving), place=place, **words)
    return _record(task, writer, text, ("image",), references=(0,), **fields)


def _to_video(task: Task, writer: _Writer) -> Record:
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


def _question(task: Task, writer: _Writer) -> Record:
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
    kinds: dict[str, tuple[MediaKind, ...]] = {"text": (), "image": ("image",), "video": ("video",)}
    return Record(task, writer.language, text, "", kinds[subject])


_MAKERS = {
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


def balance(records: Sequence[Record]) -> dict[str, int]:
    """How many records there are of each task."""
    counts: dict[str, int] = {}
    for record in records:
        counts[record.task.value] = counts.get(record.task.value, 0) + 1
    return counts
