"""How often a planner reads sentences as their authors meant them.

A set is JSON Lines, a sentence each: `prompt` (with pads), `intent`, and what the words say of `width height num_frames
fps mask source target frames task`; `or` is another intent that does as well. Only that is compared; a size or length
that no word says must not be in the plan.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

from ..errors import InputError, UnisonError
from ..files import limited_lines
from ..plan.plan import Plan
from ..plan.prompt import parse_pads
from ..plan.tasks import ROWS, Role
from ..planner.base import Planner
from ..progress import Cancel, Progress, check, never, silent
from .planning_score import Score

FIELDS = ("kind", "size", "num_frames", "fps", "mask", "source", "target", "frames")
# What a plan of an intent makes, and of what; None is either a picture or a video.
_KINDS: dict[str, tuple[str | None, tuple[Role, ...]]] = {
    "ask": ("text", ("words", "pictures", "videos")),
    "picture": ("image", ("words",)),
    "video": ("video", ("words",)),
    "edit": (None, ("editing",)),
    "restyle": (None, ("control",)),
    "outpaint": (None, ("editing",)),
    "extend": ("video", ("frames",)),
    "control": (None, ("control",)),
    "frames": ("video", ("frames",)),
    "reference_picture": ("image", ("reference",)),
    "reference_video": ("video", ("reference",)),
}
_HAN = re.compile("[\u3400-\u9fff]")
_WORD = re.compile(r"\w+")


def read_sets(paths: Sequence[Path], most: int | None = None, seed: int = 0) -> list[dict[str, Any]]:
    """The sentences of sets and of folders of sets; of more than `most` so many, drawn evenly. Raises InputError."""
    files = [file for path in paths for file in (sorted(path.rglob("*.jsonl")) if path.is_dir() else [path])]
    rows = []
    for file in files:
        try:
            with file.open(encoding="utf-8-sig", newline="\n") as lines:
                rows += [_row(line, f"{file}:{number}") for number, line in limited_lines(lines, str(file))]
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not rows:
        raise InputError(f"there are no sentences in {', '.join(map(str, paths))}")
    return rows if most is None or len(rows) <= most else Random(seed).sample(rows, most)


def _row(line: str, place: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
        if isinstance(row["prompt"], str) and row["intent"] in _KINDS:
            return dict(row)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise InputError(f'{place} is no sentence: {{"prompt": "...", "intent": one of {", ".join(_KINDS)}, ...}}')


def evaluate_sentences(
    planner: Planner, rows: Sequence[Mapping[str, Any]], *, progress: Progress = silent, cancel: Cancel = never
) -> Score:
    """Plan every sentence and compare with what it says: as a whole by intent, and field by field."""
    kinds: dict[str, list[int]] = {}
    fields = {name: [0, 0] for name in FIELDS}
    wrong = []
    made: Plan | None
    for number, row in enumerate(rows):
        check(cancel, "evaluating the planner")
        try:
            made = planner.plan(parse_pads(row["prompt"])).plan
            text = f"{made.task} {made.tokens}"
        except UnisonError as error:
            made, text = None, str(error)
        judged = {name: made is not None and _is_right(name, row, made) for name in FIELDS if _says(name, row)}
        count = kinds.setdefault(row["intent"], [0, 0])
        count[0], count[1] = count[0] + all(judged.values()), count[1] + 1
        for name, right in judged.items():
            fields[name][0], fields[name][1] = fields[name][0] + right, fields[name][1] + 1
        if not all(judged.values()):
            said = {name: value for name, value in row.items() if name not in ("prompt", "why")}
            wrong.append((row["prompt"], json.dumps(said, ensure_ascii=False), text))
        progress("evaluating the planner", number + 1, len(rows))
    return Score(
        tasks={name: (pair[0], pair[1]) for name, pair in kinds.items()},
        fields={name: (pair[0], pair[1]) for name, pair in fields.items()},
        wrong=tuple(wrong),
    )


def _says(name: str, row: Mapping[str, Any]) -> bool:
    """Whether a sentence says something of a field, be it that there is none."""
    if name == "kind":
        return True
    if name in ("size", "num_frames", "fps"):
        return row["intent"] not in ("ask", "outpaint") and "tokens" not in row
    return name in row


def _is_right(name: str, row: Mapping[str, Any], plan: Plan) -> bool:
    if name == "kind":
        if "task" in row:
            return str(plan.task) == str(row["task"])
        kinds = [_KINDS[intent] for intent in (row["intent"], row.get("or")) if intent in _KINDS]
        task = ROWS[plan.task]
        return any(output in (None, task.output) and task.role in roles for output, roles in kinds)
    if name == "size":
        return (plan.width, plan.height) == (row.get("width"), row.get("height"))
    if name == "fps":
        return plan.fps == (None if row.get("fps") is None else Fraction(str(row["fps"])))
    if name == "frames":
        return bool([[frame.medium, frame.place] for frame in plan.frames] == row["frames"])
    if name == "target":
        return is_same_thing(row["target"], plan.target)
    if name == "source" and row["intent"] == "restyle":  # of which a map is made, so it is what steers
        return bool(plan.control_medium == row["source"])
    return bool(getattr(plan, name) == row.get(name))


def is_same_thing(wanted: str | None, got: str | None) -> bool:
    """Whether two phrases name the same thing: one holds the other, with at most two further words."""
    if wanted is None or got is None:
        return wanted == got
    if _HAN.search(wanted):
        return wanted in got or got in wanted
    one, other = (set(_WORD.findall(phrase.lower())) for phrase in (wanted, got))
    return (one >= other or other >= one) and bool(one & other) and len(one ^ other) <= 2
