"""The target model's training: sentences that name what is edited, to the words of that name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ...plan.prompt import parse_pads
from ...planner.rules.reading import read
from ...planner.rules.target_model import CLASSES, features, phrases, tokens
from ...progress import Cancel, Progress, never, silent
from .. import phrase

KEPT = 40_000  # features
NEARLY = 0.3  # how right a phrase is that has the target in it or lies in it, with at most TOO_MANY words more
TOO_MANY = 2
_NOT_NAMED = frozenset(("the whole frame", ""))


def train(
    rows: Sequence[tuple[str, str | None]], out: Path, progress: Progress = silent, cancel: Cancel = never
) -> None:
    """Fit the model to (prompt, target) and write it to `out`, whole or not at all. Raises Cancelled, MediaError."""
    texts = [text for prompt, target in rows if (text := marked(prompt, target)) is not None]
    phrase.train(texts, CLASSES, KEPT, out, "training the target model", progress, cancel)


def marked(prompt: str, target: str | None) -> phrase.Marked | None:
    """An instruction with its phrases, of which the target is the right one; None when it does not stand there.

    target: None where the instruction names nothing, so that no phrase is right.
    """
    text, _ = read(parse_pads(prompt))
    words = tokens(text.words)
    found = list(phrases(words))
    if target is None:
        right = [0.0] * len(found)
    else:
        said = [token.text for token in tokens(target.lower())]
        starts = [i for i in range(len(words)) if said and [w.text for w in words[i : i + len(said)]] == said]
        if not starts or target in _NOT_NAMED:
            return None
        right = [_rightness(one, (starts[0], starts[0] + len(said))) for one in found]
        if not any(right):
            return None
    return phrase.Marked([set(features(words, place)) for place in range(len(words))], found, right)


def _rightness(one: tuple[int, int], wanted: tuple[int, int]) -> float:
    if one == wanted:
        return 1.0
    first, behind = one[0] - wanted[0], one[1] - wanted[1]
    holds_or_lies_in = first * behind <= 0 and min(one[1], wanted[1]) > max(one[0], wanted[0])
    return NEARLY if holds_or_lies_in and abs(first) + abs(behind) <= TOO_MANY else 0.0


def read_targets(files: Sequence[Path]) -> list[tuple[str, str | None]]:
    """(prompt, target) of all lines that have a target, or say that they name none."""
    rows = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").split("\n") if line.strip()]
    return [(row["prompt"], row["target"]) for row in rows if "target" in row]
