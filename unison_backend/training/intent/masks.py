"""The mask models' training: edits of several media, to which of them is the mask and what its white means."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...plan.prompt import parse_pads
from ...planner.rules import mask_model
from ...planner.rules.intent_model import features as features_of_text
from ...planner.rules.reading import read
from ...planner.rules.roles import said_mask
from ...progress import Cancel, Progress, never, silent
from .. import linear

KEPT, KEEPS_KEPT = 16_000, 6_000  # features
_EDIT = re.compile(r"<BOEDIT>(\d+),\d+<EOEDIT>")


@dataclass(frozen=True)
class Row:
    """An edit of several media. mask: the index of its mask, None without one. keeps: the mask marks what stays."""

    prompt: str
    mask: int | None
    keeps: bool


def read_rows(files: Sequence[Path]) -> list[Row]:
    """All edits with more than one medium."""
    lines = (line for file in files for line in file.read_text(encoding="utf-8").split("\n") if line.strip())
    rows = (json.loads(line) for line in lines)
    return [row for given in rows if (row := _row(given)) is not None]


def rows_of(edits: Sequence[tuple[str, str]]) -> list[Row]:
    """Those (prompt, signal tokens) that are edits of several media."""
    given: list[dict[str, object]] = [{"prompt": p, "intent": "edit", "tokens": tokens} for p, tokens in edits]
    return [row for edit in given if (row := _row(edit)) is not None]


def _row(given: dict[str, object]) -> Row | None:
    prompt = str(given["prompt"])
    known = "source" in given or "tokens" in given
    if given.get("intent") != "edit" or not known or len(parse_pads(prompt).kinds) < 2:
        return None
    said = _EDIT.search(str(given.get("tokens", "")))
    mask = given.get("mask", int(said.group(1)) if said else None)
    return Row(prompt, mask if isinstance(mask, int) else None, bool(given.get("keeps")))


def train(rows: Sequence[Row], out: Path, progress: Progress = silent, cancel: Cancel = never) -> None:
    """Which medium is the mask. Writes `out`, whole or not at all; raises Cancelled, MediaError."""
    samples = [_sample(row) for row in rows]
    linear.train(samples, mask_model.CLASSES, KEPT, out, "training the mask model", progress, cancel)


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


def _sample(row: Row) -> linear.Sample:
    text, language = read(prompt := parse_pads(row.prompt))
    among = mask_model.possible(len(prompt.kinds))
    label = mask_model.NONE if row.mask is None else str(row.mask)
    return linear.Sample(mask_model.features(text.words, said_mask(text, language)), label, among)
