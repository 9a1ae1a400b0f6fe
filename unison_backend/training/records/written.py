"""Records of the sentences that people wrote, as they are and with other things, numbers, greetings and endings.

What such a sentence means stands beside it, put there by its author: the plan is made of that, not read by a planner.
Sentences whose fields leave the role of a medium open are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any

from ...errors import UnisonError
from ...plan.plan import Frame, Plan, task_of
from ...plan.prompt import parse_pads
from ...plan.tasks import MediaKind, Output, Task
from ...plan.tokens import parse
from ..intent.sentences import intent_of
from ..planning_numbers import Wide
from ..planning_record import Language, Record
from ..planning_sentences import all_sentences
from .grammar import Grammar, is_kept, lists, plural

SWAPPED = 0.75  # how often a thing is another one, where one is named
RENUMBERED = 0.85
MEASURED = 0.25  # of what no size or length is said, how often one is put behind
CLASSES = ("animal", "person", "object", "vehicle", "building", "plant")
# Too general to be exchanged, or part of something else.
_NOT_SWAPPED = frozenset(
    (
        "map",
        "letter",
        "camera",
        "book",
        "ring",
        "key",
        "mole",
        "seal",
        "pan",
        "bat",
        "robot",
        "pencil",
        "tower",
        "pirate",
    )
)
_SIZE = re.compile(r"(?<![\w.])(\d{2,4})( ?(?:x|\u00d7|\*|by) ?)(\d{2,4})(?![\w.])")
_FRAMES = re.compile(r"(?<![\d.:x])(\d{1,3})((?: |-)?(?:frames?\b|\u5e27))", re.IGNORECASE)
_SECONDS = re.compile(r"(?<![\d.:x])(\d{1,2})((?: |-)?(?:seconds?\b|secs?\b|s\b|\u79d2))", re.IGNORECASE)
# In English a thing is exchanged where these stand around it, so that no part of a compound word is.
_BEFORE = "the|this|that|my|our|your|his|her|their|two|three|four|of|and|with|as|old|little|big|red|white|black|young"
_BEHIND = (
    r"$|[.,!?;:<]| (?:<|(?:in|on|at|with|and|or|from|that|who|which|is|are|was|as|to|by|for|under|over|behind|"
    r"beside|next|near|into|through|inside|\w+ing)\b)"
)
_ENDS = re.compile(r"[.!?\u3002\uff01\uff1f~]$")
_NUMBERS = Wide(())


@dataclass(frozen=True)
class Written:
    """A sentence and its plan in parts. measured: a size or length may be put behind it."""

    prompt: str
    intent: str
    task: Task
    media: tuple[MediaKind, ...]
    width: int | None = None
    height: int | None = None
    num_frames: int | None = None
    rest: str = ""  # the tokens behind size and length
    keeps: bool = False

    @property
    def tokens(self) -> str:
        """The signal tokens, in their order."""
        size = "" if self.width is None else f"<BORES>{self.width},{self.height}<EORES>"
        return size + ("" if self.num_frames is None else f"<BONF>{self.num_frames}<EONF>") + self.rest


@cache
def written(language: Language) -> Mapping[Task, tuple[Written, ...]]:
    """The sentences of a language by task; nothing in the registry's archive, which has none."""
    found: dict[Task, list[Written]] = {}
    for row in all_sentences(language):
        if (one := _written(row)) is not None:
            found.setdefault(one.task, []).append(one)
    return {task: tuple(rows) for task, rows in found.items()}


def _written(row: Mapping[str, Any]) -> Written | None:
    prompt = parse_pads(row["prompt"])
    try:
        plan = parse(row["tokens"], prompt.text, prompt.kinds) if "tokens" in row else _plan(row, prompt.kinds)
    except UnisonError:
        return None
    if plan is None or (plan.unused_media and row["intent"] != "extend") or prompt.text != row["prompt"]:
        return None
    rest = replace(plan, width=None, height=None, num_frames=None).tokens
    intent = row["intent"] if row["intent"] in ("restyle", "outpaint", "extend") else intent_of(plan.task)
    return Written(
        row["prompt"], intent, plan.task, prompt.kinds, plan.width, plan.height, plan.num_frames, rest,
        bool(row.get("keeps")),
    )  # fmt: skip


def _plan(row: Mapping[str, Any], kinds: tuple[MediaKind, ...]) -> Plan | None:
    """The plan of what a line says; None where it does not say what every medium is."""
    intent = row["intent"]
    if intent == "ask":
        return Plan(task_of("text", kinds), media=kinds)
    output = _output(row, kinds)
    roles = _roles(row, kinds, output)
    if roles is None:
        return None
    measures: dict[str, Any] = {name: row.get(name) for name in ("width", "height", "num_frames")}
    if output == "image":
        measures["num_frames"] = None
    task = task_of(output, kinds, edit="source" in roles, control="control" in roles, frames="frames" in roles,
                   reference=bool(roles.get("references")))  # fmt: skip
    return Plan(task, media=kinds, **measures, **roles)


def _roles(row: Mapping[str, Any], kinds: tuple[MediaKind, ...], output: Output) -> dict[str, Any] | None:
    """The plan's fields for the media; None where they are not all said."""
    intent = row["intent"]
    if intent in ("picture", "video", "extend"):
        return {}
    if intent in ("control", "restyle"):  # of two pictures, which one is the map no token says
        return None if output == "image" and len(kinds) > 1 else {"control": "map"}
    if intent in ("edit", "outpaint") and "source" in row:
        return {"source": row["source"], "mask": row.get("mask"), "references": tuple(row.get("references", ()))}
    if intent == "frames" and "frames" in row:
        return {"frames": tuple(Frame(medium, place) for medium, place in row["frames"])}
    if intent in ("reference_picture", "reference_video") and "references" in row:
        return {"references": tuple(row["references"])}
    return None


def _output(row: Mapping[str, Any], kinds: tuple[MediaKind, ...]) -> Output:
    """What an order's result is: of an edit, a map or a look that of its medium."""
    intent = row["intent"]
    if intent in ("video", "extend", "frames", "reference_video"):
        return "video"
    if intent in ("picture", "reference_picture"):
        return "image"
    medium = row.get("source", row.get("control", 0))
    return "video" if kinds[medium] == "video" else "image"


def sentence(task: Task, language: Language, random: Random) -> Record | None:
    """A record of one of the sentences, mostly changed; None where there is none of this task."""
    rows = written(language).get(task)
    if not rows:
        return None
    one = random.choice(rows)
    writer = Grammar(language, random, held_out=False)
    one = _swapped(one, language, random)
    one = _renumbered(one, random)
    one = _measured(one, writer)
    return Record(task, language, one.prompt, one.tokens, one.media, one.intent, one.keeps)


@cache
def _things(language: Language) -> tuple[re.Pattern[str], Mapping[str, str]]:
    """A pattern of all things that are exchanged, and the list of each."""
    found = {
        word: name for name in CLASSES for word in lists(language)[name] if "[" not in word and word not in _NOT_SWAPPED
    }
    if language == "zh":
        found = {word: name for word, name in found.items() if len(word) > 1}
    longest = sorted(found, key=len, reverse=True)
    if language == "zh":
        return re.compile(f"(?P<thing>{'|'.join(map(re.escape, longest))})"), found
    named = {plural(word): name + " plural" for word, name in found.items()}
    either = "|".join(map(re.escape, sorted({*found, *named}, key=len, reverse=True)))
    return re.compile(rf"(?:^|\b(?:{_BEFORE}) |\b(an?) )(?P<thing>{either})(?={_BEHIND})", re.IGNORECASE), named | found


@cache
def _parts(prompt: str, language: Language) -> tuple[tuple[str, str, str, str], ...]:
    """A prompt in pieces: what stands before a thing, its article, the thing, its list; the last is the rest."""
    pattern, names = _things(language)
    found, end = [], 0
    for match in pattern.finditer(prompt):
        article = (match[1] or "") if language == "en" else ""
        start = match.start(1) if article else match.start("thing")
        found.append((prompt[end:start], article, match["thing"], names.get(match["thing"].lower(), "")))
        end = match.end()
    return (*found, (prompt[end:], "", "", ""))


def _swapped(one: Written, language: Language, random: Random) -> Written:
    """Each thing of the lists, mostly, as another one of its list, the same one wherever it is said."""
    chosen: dict[str, str] = {}
    text = ""
    for before, article, word, name in _parts(one.prompt, language):
        key = word.lower()
        if key not in chosen:
            chosen[key] = _another(key, name, language, random)
        new = word if chosen[key] == key else chosen[key]
        if article:
            fitting = ("an" if new[0] in "aeioAEIO" else "a") if new != word else article.lower()
            article = (fitting.capitalize() if article[0].isupper() else fitting) + " "
        text += before + article + new
    return replace(one, prompt=text)


def _another(word: str, name: str, language: Language, random: Random) -> str:
    if not name or random.random() >= SWAPPED:
        return word
    several = name.endswith(" plural")
    words = [w for w in lists(language)[name.removesuffix(" plural")] if "[" not in w and not is_kept(w)]
    new = random.choice(words)
    return plural(new) if several else new


def _renumbered(one: Written, random: Random) -> Written:
    """A size and a length that stand as digits, once each, as others."""
    if random.random() >= RENUMBERED:
        return one
    text = one.prompt
    sizes = list(_SIZE.finditer(text))
    if len(sizes) == 1 and (int(sizes[0][1]), int(sizes[0][3])) == (one.width, one.height):
        width, height = _size(random)
        start, end = sizes[0].span()
        text = f"{text[:start]}{width}{sizes[0][2]}{height}{text[end:]}"
        one = replace(one, width=width, height=height)
    counted = [*_FRAMES.finditer(text), *_SECONDS.finditer(text)]
    if len(counted) == 1 and one.num_frames is not None:
        number, unit = int(counted[0][1]), counted[0][2]
        each = 1 if _FRAMES.fullmatch(counted[0][0]) else 24
        if number * each == one.num_frames and not (number == 1 and each == 24):
            new = _count(random, each)
            start, end = counted[0].span()
            text = f"{text[:start]}{new}{unit}{text[end:]}"
            one = replace(one, num_frames=new * each)
    return replace(one, prompt=text)


def _size(random: Random) -> tuple[int, int]:
    """A size that a bare AxB is read as one."""
    while True:
        kind, (width, height), _ = _NUMBERS.size(random)
        if kind == "explicit" and min(width, height) >= 64:
            return width, height


def _count(random: Random, each: int) -> int:
    """Frames, or whole seconds of which there is more than one."""
    if each != 1:
        return random.randint(2, 20)
    while True:
        kind, frames, _ = _NUMBERS.length(random)
        if kind == "frames":
            return frames


_MEASURED = frozenset(("picture", "video", "frames", "reference_picture", "reference_video", "control"))


def _measured(one: Written, writer: Grammar) -> Written:
    """A new size, a new length or both put behind a sentence that has neither and ends like a prompt."""
    open_ = one.intent in _MEASURED and (one.width, one.num_frames) == (None, None)
    if not open_ or _ENDS.search(one.prompt) or re.search(r"\d", one.prompt) or writer.random.random() >= MEASURED:
        return one
    fields, words = writer.output(one.task, "{tail}", timed=False)
    return replace(one, prompt=one.prompt + words["tail"], **fields)
