"""Planning records from the sentences that people wrote (`training/intent/sentences`), where their plan is certain.

A sentence with tokens is one as it is. Of the others, which say only what its author saw (an intent, a size, a role),
those are taken that the rules planner plans in agreement with all of it, since the rest of the plan is then the rules'.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from ..errors import UnisonError
from ..plan.plan import Plan
from ..plan.prompt import parse_pads
from ..plan.tasks import ROWS, Task
from ..plan.tokens import parse
from ..planner.rules.plan import RulesPlanner
from .intent.sentences import SENTENCES, fingerprint, sentence_files
from .planning_apart import is_kept_apart
from .planning_record import Language, Record

_MADE = {"picture": ("image", "words"), "video": ("video", "words"), "reference_picture": ("image", "reference"),
         "reference_video": ("video", "reference")}  # fmt: skip
_ROLES = {"edit": "editing", "control": "control", "frames": "frames"}
# No tokens say these, or say them only in part.
_UNSAID = frozenset(("restyle", "outpaint", "extend"))
_FIELDS = ("width", "height", "num_frames", "mask", "source")


def has_sentences() -> bool:
    """Whether the pack's sentences are here; the registry's archive is without them."""
    return SENTENCES.is_dir()


@cache
def sentences(language: Language) -> tuple[Mapping[str, Any], ...]:
    """The lines of one language that may become records; none in the registry's archive, which has no sentences."""
    rows = (row for row in _rows(language) if row["intent"] not in _UNSAID)
    return tuple(row for row in _once(rows) if not row.get("keeps"))


def all_sentences(language: Language) -> tuple[Mapping[str, Any], ...]:
    """The lines of one language, none twice; none in the registry's archive."""
    return tuple(_once(_rows(language)))


def _rows(language: Language) -> list[Mapping[str, Any]]:
    if not has_sentences():
        return []
    files = sentence_files((SENTENCES / language,))
    lines = [line for file in files for line in file.read_text(encoding="utf-8").split("\n") if line.strip()]
    return [json.loads(line) for line in lines]


def _once(rows: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    return {fingerprint(row["prompt"]): row for row in rows}.values()


def record_from(row: Mapping[str, Any], language: Language) -> Record | None:
    """The record of a line; None where its plan is not certain, cannot be said in tokens or is kept apart."""
    prompt = parse_pads(row["prompt"])
    if prompt.text != row["prompt"]:
        return None
    try:
        plan = RulesPlanner().plan(prompt).plan
        said = parse(row.get("tokens", plan.tokens), prompt.text, prompt.kinds)
    except UnisonError:
        return None
    agreed = said.task == Task(row["task"]) if "task" in row else _agrees(row, plan)
    whole = all(getattr(said, name) == getattr(plan, name) for name in ("task", *_FIELDS, "references", "frames"))
    if not agreed or (not whole and "tokens" not in row):
        return None
    record = Record(said.task, language, prompt.text, said.tokens, prompt.kinds)
    return None if is_kept_apart(record) else record


def _agrees(row: Mapping[str, Any], plan: Plan) -> bool:
    """Whether all that the line says is in the plan, and no size or length is there that the line does not say."""
    if plan.borders or plan.mask_keeps or plan.remakes_all or not _is_intent(row["intent"], plan):
        return False
    if not plan.task.is_generation:
        return True
    if any(row.get(name) != getattr(plan, name) for name in ("width", "height", "num_frames")):
        return False
    said = {
        "mask": plan.mask,
        "source": plan.source,
        "frames": [[frame.medium, frame.place] for frame in plan.frames],
        "references": list(plan.references),
    }
    return all(row[name] == value for name, value in said.items() if name in row)


def _is_intent(intent: str, plan: Plan) -> bool:
    """Whether a plan is of the kind of order that an intent names."""
    if intent == "ask":
        return not plan.task.is_generation
    task, wanted = ROWS[plan.task], _MADE.get(intent)
    return (task.output, task.role) == wanted if wanted else task.role == _ROLES[intent]
