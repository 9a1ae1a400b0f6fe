"""Sentences with what they mean, and what to print of one that is read in another way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from unison_backend.plan.plan import PlanError
from unison_backend.plan.prompt import parse_pads
from unison_backend.planner.base import PlanResult
from unison_backend.planner.rules.plan import planned
from unison_backend.training.intent.sentences import SENTENCES

_HAN = re.compile("[\u3400-\u9fff]")
_WORD = re.compile(r"\w+")
KEPT_APART = Path(__file__).with_name("sentences")


@dataclass(frozen=True)
class Sentence:
    """A line of a set: where it stands, and its fields."""

    place: str
    fields: dict[str, Any]

    @property
    def prompt(self) -> str:
        return str(self.fields["prompt"])


def sentences(root: Path = SENTENCES, pattern: str = "*/*.jsonl") -> Iterator[Sentence]:
    """The lines of the sets below `root`, in order; a place reads "en/03_third:17"."""
    for file in sorted(root.glob(pattern)):
        name = file.relative_to(root).with_suffix("").as_posix()
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            yield Sentence(f"{name}:{number}", json.loads(line))


def read(sentence: Sentence) -> PlanResult | None:
    """What the rules make of a sentence; None for an error."""
    try:
        return planned(parse_pads(sentence.prompt))
    except PlanError:
        return None


def amiss(sentence: Sentence, made: PlanResult | None) -> dict[str, tuple[Any, Any]]:
    """By field: what was wanted and what was read. Only what the sentence says is compared."""
    wanted = sentence.fields
    if made is None or made.reading is None:
        return {"plan": (wanted["intent"], "an error")}
    read_as = made.reading.intent
    got = {"intent": wanted["intent"] if read_as == wanted.get("or") else read_as} | _measures(made) | _roles(made)
    asked = {name: value for name, value in _asked(wanted).items() if name in got}
    return {name: (value, got[name]) for name, value in asked.items() if not _same(name, value, got[name])}


def _asked(fields: dict[str, Any]) -> dict[str, Any]:
    """What of a plan a sentence's fields say; a size, length or rate that it does not say is none."""
    said = dict(fields)
    measured = fields["intent"] not in ("ask", "outpaint") and "tokens" not in fields
    if measured:
        said |= {"size": (fields["width"], fields["height"]) if "width" in fields else None}
        said |= {"num_frames": fields.get("num_frames"), "fps": fields.get("fps")}
    if "mask" in fields:
        said["mask_source"], said["keeps"] = (fields["mask"], fields["source"]), fields.get("keeps", False)
    return said


def _measures(made: PlanResult) -> dict[str, Any]:
    plan = made.plan
    size = None if plan.width is None else (plan.width, plan.height)
    return {"size": size, "num_frames": plan.num_frames, "fps": plan.fps, "tokens": plan.tokens}


def _roles(made: PlanResult) -> dict[str, Any]:
    plan = made.plan
    frames = [[frame.medium, frame.place] for frame in plan.frames]
    return {"mask_source": (plan.mask, plan.source), "keeps": plan.mask_keeps, "target": plan.target, "frames": frames}


def _same(name: str, wanted: Any, got: Any) -> bool:
    if name == "fps" and wanted is not None:
        return bool(got == Fraction(str(wanted)))
    if name == "target" and got is not None and wanted is not None:
        return _same_thing(str(wanted), str(got))
    return bool(wanted == got)


def _same_thing(wanted: str, got: str) -> bool:
    """Whether two phrases name the same thing: one holds the other, with at most two further words."""
    if _HAN.search(wanted):
        return wanted in got or got in wanted
    one, other = (set(_WORD.findall(phrase.lower())) for phrase in (wanted, got))
    return (one >= other or other >= one) and bool(one & other) and len(one ^ other) <= 2


def shares(
    root: Path = KEPT_APART, pattern: str = "*/*.jsonl", reads: Callable[[Sentence], PlanResult | None] = read
) -> dict[str, dict[str, tuple[int, int]]]:
    """By set, by field: how many are read as wanted, of how many."""
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for sentence in sentences(root, pattern):
        made = reads(sentence)
        wrong = amiss(sentence, made)
        counts = found.setdefault(sentence.place.partition(":")[0], {})
        asked = {"intent", *(_compared(sentence, made) if made is not None else ())}
        for name in asked:
            right, count = counts.get(name, (0, 0))
            counts[name] = (right + (name not in wrong and "plan" not in wrong), count + 1)
    return found


def _compared(sentence: Sentence, made: PlanResult) -> set[str]:
    """The fields that say something: of measures those that are wanted or read."""
    got = _measures(made) | _roles(made)
    asked = {name: value for name, value in _asked(sentence.fields).items() if name in got}
    return {name for name, value in asked.items() if value is not None or got[name] is not None}


def told(sentence: Sentence, made: PlanResult | None) -> str:
    """Everything that helps to see why: the prompt, what differs, how it was read."""
    lines = [sentence.place, f"  prompt  {sentence.prompt}"]
    lines += [f"  {name:<7} wanted {want!r}, read {got!r}" for name, (want, got) in amiss(sentence, made).items()]
    if made is not None:
        lines += [
            f"  reading {made.reading}",
            f"  plan    {made.plan.tokens or 'an answer'}, target {made.plan.target!r}",
        ]
        lines += [f"  because {notice.field}: {notice.text}" for notice in made.notices]
    return "\n".join(lines)
