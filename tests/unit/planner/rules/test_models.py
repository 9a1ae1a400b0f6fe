"""The small models behind the rules: their file, their training, their speed of growth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from unison_backend.errors import Cancelled
from unison_backend.planner.rules import mask_model, target_model
from unison_backend.planner.rules.intent_model import INTENTS, IntentModel, features, intent_model, possible
from unison_backend.planner.rules.linear import LinearModel
from unison_backend.training import linear
from unison_backend.training.intent.fit import sample_of, train
from unison_backend.training.intent.sentences import read_sentences

pytestmark = pytest.mark.fast


def few() -> list:
    return read_sentences()[::40]


def test_training_gives_the_same_bytes_again(tmp_path: Path) -> None:
    train(few(), tmp_path / "one")
    train(few(), tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    model = IntentModel(tmp_path / "one")
    right = [model.read(s.prompt.lower(), (), possible(())).intent == s.intent for s in few() if "PAD>" not in s.prompt]
    assert sum(right) > 0.9 * len(right)


def test_training_can_be_cancelled_and_then_leaves_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"older")
    with pytest.raises(Cancelled):
        train(few(), path, cancel=lambda: True)
    assert path.read_bytes() == b"older" and list(tmp_path.iterdir()) == [path]


def test_a_model_of_other_classes_is_refused(tmp_path: Path) -> None:
    linear.train([linear.Sample({"a"}, "x", ("x", "y")), linear.Sample({"b"}, "y", ("x", "y"))] * 2, ("x", "y"), 9,
                 tmp_path / "m", "a stage")  # fmt: skip
    scores = LinearModel(tmp_path / "m").scores({"a"})
    assert scores["x"] > scores["y"]
    with pytest.raises(ValueError, match="of another version"):
        IntentModel(tmp_path / "m")


def test_only_possible_intents_are_read() -> None:
    for kinds in ((), ("image",), ("video",), ("image", "video")):
        for words in ("animate it", "a fox", "remove the car", "continue", "why?"):
            assert intent_model().read(words, kinds, possible(kinds)).intent in possible(kinds)
    assert set(INTENTS) == possible(()) | possible(("image", "video"))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400), st.lists(st.sampled_from(["image", "video"]), max_size=4))
@example("\ue000", [])
@example("the mask \ue005 of \ue401", ["image"])
def test_any_text_is_read(text: str, kinds: list) -> None:
    assert len(features(text, kinds)) < 20_000
    assert intent_model().read(text, kinds, possible(kinds)).intent in possible(kinds)
    mask_model.chances(text, kinds, None, ())
    assert mask_model.source_of(text, kinds, 0, [1, 2], 2, ()) in (1, 2)
    found = target_model.span(text)
    assert found is None or text[found.start : found.start + len(found.text)] == found.text


def test_the_features_of_a_long_text_do_not_grow_with_it() -> None:
    short, long = ("word " * 200, "word " * 20_000)
    assert len(features(long, ())) <= len(features(short, ())) + 50


def test_the_models_files_say_what_they_hold() -> None:
    files = (mask_model.WEIGHTS, mask_model.SOURCES_WEIGHTS, mask_model.KEEPS_WEIGHTS, target_model.WEIGHTS)
    for path in files:
        header = json.loads(path.read_bytes().partition(b"\n")[0])
        assert header["count"] > 1000 and len(header["bias"]) == len(header["classes"])


def test_samples_carry_what_is_possible() -> None:
    sentence = next(s for s in read_sentences() if s.prompt.count("<IMGPAD>") == 1)
    assert "picture" not in sample_of(sentence).among
