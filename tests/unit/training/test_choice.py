"""The conditional logit: what it learns of candidates holds wherever they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from unison_backend.errors import Cancelled
from unison_backend.planner.rules.linear import LinearModel
from unison_backend.training.choice import Choice, train

pytestmark = pytest.mark.fast

# The right one has "good", at either place; "big" means nothing.
CHOICES = [
    Choice([{"good"}, {"bad", "big"}], 0),
    Choice([{"bad"}, {"good", "big"}], 1),
    Choice([{"bad", "big"}, {"bad"}, {"good"}], 2),
    Choice([{"good", "big"}, {"bad"}], 0),
]


def test_one_weight_serves_every_place(tmp_path: Path) -> None:
    train(CHOICES, "taken", 9, tmp_path / "m", "a stage")
    model = LinearModel(tmp_path / "m")
    good, bad, big = (model.scores({name})["taken"] for name in ("good", "bad", "big"))
    assert good > 1 > -1 > bad and abs(big) < good / 2


def test_only_the_weightiest_are_kept_and_the_bytes_are_the_same_again(tmp_path: Path) -> None:
    for name in ("one", "two"):
        train(CHOICES, "taken", 2, tmp_path / name, "a stage")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    model = LinearModel(tmp_path / "one")
    assert model.knows("good") and model.knows("bad") and not model.knows("big")


def test_it_can_be_cancelled_and_then_leaves_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(b"older")
    with pytest.raises(Cancelled):
        train(CHOICES, "taken", 9, path, "a stage", cancel=lambda: True)
    assert path.read_bytes() == b"older" and list(tmp_path.iterdir()) == [path]
