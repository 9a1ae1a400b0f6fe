"""Labelled instructions: `sentences/<language>/NN_name.jsonl`, one JSON object a line with `prompt` and `intent`.

Some lines have more fields (sizes, roles, targets); tests read those. Sets that measure the model stay apart: their
lines are listed by fingerprint in `kept_apart.json`, and training refuses them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError
from ...plan.tasks import ROWS, Role, Task
from ...planner.rules.intent_model import INTENTS

SENTENCES = Path(__file__).with_name("sentences")
KEPT_APART = Path(__file__).with_name("kept_apart.json")
_INTENTS: dict[Role, str] = {"editing": "edit", "control": "control", "frames": "frames"}


@dataclass(frozen=True)
class Sentence:
    """An instruction with pads, and what kind of order it is.

    is_regression: its whole plan is known and tested. teaches_no_kind: it teaches what masks are, or what is edited,
    and not the kind of order. weight: how much it counts beside others, above 0 and at most 1.
    """

    prompt: str
    intent: str
    is_regression: bool = False
    teaches_no_kind: bool = False
    weight: float = 1.0


def read_sentences(places: Sequence[Path] = (SENTENCES,)) -> list[Sentence]:
    """All sentences of files and folders, in the order of their names.

    Raises InputError for a file or line that is not of the form, and for a line that is kept apart for measuring.
    """
    found = [sentence for file in sentence_files(places) for sentence in _lines(file)]
    if not found:
        raise InputError(f"{', '.join(map(str, places))}: no sentences there")
    return found


def sentence_files(places: Sequence[Path]) -> list[Path]:
    """The files of files and folders, in the order of their names."""
    return [file for place in places for file in (sorted(place.rglob("*.jsonl")) if place.is_dir() else [place])]


def _lines(file: Path) -> list[Sentence]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    apart = _apart()
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            weight = float(row.get("weight", 1.0))
            sentence = Sentence(str(row["prompt"]), row["intent"], "tokens" in row, "teaches" in row, weight)
        except (ValueError, TypeError, KeyError):
            raise InputError(f'{file}, line {number}: not of the form {{"prompt": "...", "intent": "..."}}') from None
        if sentence.intent not in INTENTS:
            raise InputError(f"{file}, line {number}: intent is {sentence.intent!r}; it is one of {', '.join(INTENTS)}")
        if not 0 < weight <= 1:
            raise InputError(f"{file}, line {number}: weight is {weight:g}; it is above 0 and at most 1")
        if (owner := apart.get(fingerprint(sentence.prompt))) is not None:
            raise InputError(f"{file}, line {number} stands in {owner}, kept apart for measuring: leave it out")
        found.append(sentence)
    return found


def fingerprint(prompt: str) -> str:
    """What tells one instruction from another, whatever its spaces and letters' case."""
    return hashlib.sha256(" ".join(prompt.lower().split()).encode()).hexdigest()[:16]


def _apart() -> dict[str, str]:
    """The file of each fingerprint that is kept apart."""
    listed: dict[str, list[str]] = json.loads(KEPT_APART.read_text(encoding="utf-8"))
    return {mark: file for file, marks in listed.items() for mark in marks}


def list_apart(files: Iterable[Path], root: Path) -> str:
    """`kept_apart.json` for the files of the measuring sets below `root`."""
    listed = {
        file.relative_to(root).as_posix(): [fingerprint(json.loads(line)["prompt"]) for line in _rows(file)]
        for file in sorted(files)
    }
    return json.dumps(listed, indent=0) + "\n"


def _rows(file: Path) -> list[str]:
    return [line for line in file.read_text(encoding="utf-8").split("\n") if line.strip()]


def intent_of(task: Task) -> str:
    """What kind of order a task is."""
    row = ROWS[Task(task)]
    if row.output == "text":
        return "ask"
    made = "picture" if row.output == "image" else "video"
    return _INTENTS.get(row.role) or (f"reference_{made}" if row.role == "reference" else made)
