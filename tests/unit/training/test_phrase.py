"""The model of a text's phrase: it is trained as it chooses, by whole phrases, of which none may be right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unison_backend.errors import Cancelled
from unison_backend.planner.rules.linear import LinearModel
from unison_backend.progress import never, silent
from unison_backend.training.phrase import BEGIN, BEHIND, INSIDE, Marked, _Fit, train

pytestmark = pytest.mark.fast

CLASSES = ("begin", "inside", "behind")
PHRASES = [(first, behind) for first in range(4) for behind in range(first + 1, 5)]


def seen(words: list[str]) -> list[set[str]]:
    """Each word, and the one before it."""
    return [{word, f"-{before}"} for before, word in zip(["|", *words], words, strict=False)]


def marked(text: str, *right: tuple[int, int]) -> Marked:
    words = text.split()
    assert len(words) == 4
    return Marked(seen(words), PHRASES, [float(phrase in right) for phrase in PHRASES])


# What is named stands between "the" and "so", be it one word or two; without "the" nothing is named.
TEXTS = [
    marked("the cat so big", (1, 2)),
    marked("the big cat so", (1, 3)),
    marked("so the dog so", (2, 3)),
    marked("the big dog so", (1, 3)),
    marked("so big so big"),
    marked("big so so big"),
] * 2


def chosen(path: Path, text: str) -> tuple[int, int] | None:
    model = LinearModel(path)
    scores = [model.scores(features) for features in [*seen(text.split()), set[str]()]]
    sums = {
        (first, behind): scores[first]["begin"]
        + sum(score["inside"] for score in scores[first + 1 : behind])
        + scores[behind]["behind"]
        for first, behind in PHRASES
    }
    best = max(sums, key=sums.__getitem__)
    return best if sums[best] > 0 else None


@pytest.mark.parametrize(
    ("text", "phrase"), [("the dog so big", (1, 2)), ("so the cat so", (2, 3)), ("so so big big", None)]
)
def test_the_phrase_is_found_in_texts_that_it_has_not_seen(tmp_path, text, phrase):
    train(TEXTS, CLASSES, 99, tmp_path / "m", "a stage")
    assert chosen(tmp_path / "m", text) == phrase


def test_the_slope_is_that_of_the_loss():
    fit = _Fit(TEXTS, "a stage", silent, never)
    scores = np.random.default_rng(3).normal(size=(len(TEXTS) * 5, 3))
    _, slope = fit._loss(scores)
    for place in ((0, BEGIN), (1, INSIDE), (2, INSIDE), (4, BEHIND), (7, BEGIN), (23, BEHIND), (24, BEHIND)):
        step = np.zeros_like(scores)
        step[place] = 1e-5
        measured = (fit._loss(scores + step)[0] - fit._loss(scores - step)[0]) / 2e-5
        assert measured == pytest.approx(slope[place], abs=1e-8)


def test_a_nearly_right_phrase_costs_less_than_a_wrong_one():
    def loss(right: list[float]) -> float:
        fit = _Fit([Marked([{"a"}, {"b"}], [(0, 1), (0, 2), (1, 2)], right)], "a stage", silent, never)
        return fit._loss(np.array([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))[0]

    assert loss([1.0, 0.0, 0.0]) < loss([0.3, 0.0, 1.0]) < loss([0.0, 0.0, 1.0])


def test_only_the_weightiest_are_kept_and_the_bytes_are_the_same_again(tmp_path):
    for name in ("one", "two"):
        train(TEXTS, CLASSES, 2, tmp_path / name, "a stage")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    model, features = LinearModel(tmp_path / "one"), {name for text in TEXTS for word in text.words for name in word}
    assert model.knows("-the") and sum(map(model.knows, features)) == 2


def test_it_can_be_cancelled_and_then_leaves_the_older_file(tmp_path):
    path = tmp_path / "m"
    path.write_bytes(b"older")
    with pytest.raises(Cancelled):
        train(TEXTS, CLASSES, 9, path, "a stage", cancel=lambda: True)
    assert path.read_bytes() == b"older" and list(tmp_path.iterdir()) == [path]
