"""The mask models' training: orders with several media, to which of them is the mask and what its white means.

Orders of other kinds have no mask, so that what is read as one of these is still an edit when words firmly call a mask.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...plan.prompt import parse_pads
from ...planner.rules import mask_model
from ...planner.rules.assign import source_by_rules
from ...planner.rules.intent_model import features as features_of_text
from ...planner.rules.reading import read
from ...planner.rules.roles import counted, said_mask
from ...progress import Cancel, Progress, never, silent
from .. import choice, linear

KEPT, SOURCES_KEPT, KEEPS_KEPT = 30_000, 12_000, 6_000  # features
_EDIT = re.compile(r"<BOEDIT>(\d+),(\d+)<EOEDIT>")


@dataclass(frozen=True)
class Row:
    """An order with several media. mask: the index of its mask, None without one. keeps: the mask marks what stays.

    source: the index of what is edited; it is only looked at beside a mask.
    """

    prompt: str
    mask: int | None
    keeps: bool
    source: int | None = None


def read_rows(files: Sequence[Path]) -> list[Row]:
    """All orders with more than one medium."""
    lines = (line for file in files for line in file.read_text(encoding="utf-8").split("\n") if line.strip())
    rows = (json.loads(line) for line in lines)
    return [row for given in rows if (row := _row(given)) is not None]


def rows_of(edits: Sequence[tuple[str, str]]) -> list[Row]:
    """Those (prompt, signal tokens) that are edits of several media."""
    given: list[dict[str, object]] = [{"prompt": p, "intent": "edit", "tokens": tokens} for p, tokens in edits]
    return [row for edit in given if (row := _row(edit)) is not None]


def _row(given: dict[str, object]) -> Row | None:
    prompt = str(given["prompt"])
    known = given.get("intent") != "edit" or "source" in given or "tokens" in given
    if not known or len(parse_pads(prompt).kinds) < 2:
        return None
    if given.get("intent") != "edit":
        return Row(prompt, None, False)
    said = _EDIT.search(str(given.get("tokens", "")))
    mask = given.get("mask", int(said.group(1)) if said else None)
    source = given.get("source", int(said.group(2)) if said else None)
    indices = (index if isinstance(index, int) else None for index in (mask, source))
    return Row(prompt, next(indices), bool(given.get("keeps")), next(indices))


def train(rows: Sequence[Row], out: Path, progress: Progress = silent, cancel: Cancel = never) -> None:
    """Which medium is the mask. Writes `out`, whole or not at all; raises Cancelled, MediaError."""
    choices = [seen for row in rows if (seen := choice_of(row)) is not None]
    choice.train(choices, mask_model.CLASSES[0], KEPT, out, "training the mask model", progress, cancel)


def train_sources(rows: Sequence[Row], out: Path, progress: Progress = silent, cancel: Cancel = never) -> None:
    """Which of several media beside a mask is the source. Writes `out`, whole or not at all; raises as `train`."""
    choices = [seen for row in rows if (seen := source_choice_of(row)) is not None]
    name = mask_model.SOURCE_CLASSES[0]
    choice.train(choices, name, SOURCES_KEPT, out, "training the source model", progress, cancel)


def train_keeps(rows: Sequence[Row], out: Path, progress: Progress = silent, cancel: Cancel = never) -> None:
    """What the mask's white means. Writes `out`, whole or not at all; raises Cancelled, MediaError."""
    classes = mask_model.KEEPS_CLASSES
    samples = []
    for row in rows:
        if row.mask is not None:
            text, _ = read(prompt := parse_pads(row.prompt))
            label = mask_model.KEEP if row.keeps else mask_model.CHANGE
            samples.append(linear.Sample(features_of_text(text.words, prompt.kinds), label, classes))
    linear.train(samples, classes, KEEPS_KEPT, out, "training what masks mean", progress, cancel)


def choice_of(row: Row) -> choice.Choice | None:
    """What the model of masks sees of an order; None where it does not look at the mask."""
    text, language = read(parse_pads(row.prompt))
    found = mask_model.candidates(text.words, text.kinds, said_mask(text, language), counted(text.words, language))
    return choice.Choice(list(found.values()), list(found).index(row.mask)) if row.mask in found else None


def source_choice_of(row: Row) -> choice.Choice | None:
    """What the model of sources sees of an order; None where a single medium is left beside the mask."""
    text, language = read(parse_pads(row.prompt))
    if row.mask is None or row.source is None:
        return None
    fitting = [i for i in range(len(text.kinds)) if i != row.mask and text.kinds[i] == text.kinds[row.source]]
    if len(fitting) < 2:
        return None
    said = source_by_rules(fitting, text, language)
    found = mask_model.source_candidates(text.words, text.kinds, row.mask, said, counted(text.words, language))
    among = [i for i in fitting if i in found]
    return choice.Choice([found[i] for i in among], among.index(row.source)) if row.source in among else None
