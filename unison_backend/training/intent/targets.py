"""The target model's training: sentences that name what is edited, to the words of that name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...plan.prompt import parse_pads
from ...planner.rules.reading import read
from ...planner.rules.target_model import BEGIN, CLASSES, INSIDE, OUTSIDE, features, tokens
from ...progress import Cancel, Progress, never, silent
from .. import linear

KEPT = 24_000  # features
_NOT_NAMED = frozenset(("the whole frame", ""))


def train(rows: Sequence[tuple[str, str]], out: Path, progress: Progress = silent, cancel: Cancel = never) -> None:
    """Fit the model to (prompt, target) and write it to `out`, whole or not at all. Raises Cancelled, MediaError."""
    samples = [sample for prompt, target in rows for sample in samples_of(prompt, target)]
    linear.train(samples, CLASSES, KEPT, out, "training the target model", progress, cancel)


def samples_of(prompt: str, target: str) -> Iterator[linear.Sample]:
    """A sample for each word of an instruction in which the target stands; none when it does not."""
    text, _ = read(parse_pads(prompt))
    words = tokens(text.words)
    said = [token.text for token in tokens(target.lower())]
    starts = [i for i in range(len(words)) if said and [w.text for w in words[i : i + len(said)]] == said]
    if not starts or target in _NOT_NAMED:
        return
    start = starts[0]
    for place in range(len(words)):
        within = start <= place < start + len(said)
        label = BEGIN if place == start else INSIDE if within else OUTSIDE
        yield linear.Sample(set(features(words, place)), label, CLASSES)


def read_targets(files: Sequence[Path]) -> list[tuple[str, str]]:
    """(prompt, target) of all lines that have a target."""
    rows = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").split("\n") if line.strip()]
    return [(row["prompt"], row["target"]) for row in rows if row.get("target")]
