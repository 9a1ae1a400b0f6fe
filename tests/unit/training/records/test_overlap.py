"""How much of held-out words training has seen."""

import pytest

from unison_backend.plan.tasks import Task
from unison_backend.training.planning_record import Record
from unison_backend.training.records.overlap import Vocabulary


def records(*prompts):
    return [Record(Task.TEXT_TO_IMAGE, "en", prompt, "<CFI>") for prompt in prompts]


def vocabulary(*prompts):
    words = Vocabulary()
    given = records(*prompts)
    assert list(words.heard(given)) == given
    return words


def test_shares_of_words_and_runs():
    held = vocabulary("Draw a red fox at night, 640x480.", "Draw an owl")
    assert held.words == {"draw", "a", "red", "fox", "at", "night", "x", "an", "owl"}
    seen = held.known(records("a red fox at noon", "draw it"))
    assert seen.words == pytest.approx(5 / 9)
    assert len(held.runs) == 4 and seen.runs == pytest.approx(1 / 4)


def test_chinese_counts_by_characters_and_pads_are_no_words():
    held = vocabulary("<IMGPAD>\u53bb\u6389\u5e3d\u5b50")
    assert held.words == {"\u53bb", "\u6389", "\u5e3d", "\u5b50"} and len(held.runs) == 1
    assert held.known(records("\u53bb\u6389\u5e3d\u5b50 pad img")).runs == 1.0
    assert held.known([]).words == 0.0


def test_of_nothing_nothing_is_known():
    assert Vocabulary().known(records("a fox")).words == 0.0
