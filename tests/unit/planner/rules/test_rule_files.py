"""Named rules: every example of every rule, and what the files have to have."""

from __future__ import annotations

import re

import pytest

from scripts.measure_words import Measured, words
from unison_backend.planner.rules.language import load
from unison_backend.planner.rules.rule_files import LANGUAGES, Parts, read_toml

from .rule_examples import NAMES, all_rules, amiss

pytestmark = pytest.mark.fast


@pytest.mark.parametrize("name", NAMES)
def test_every_example_of_every_rule(name: str) -> None:
    rules = [rule for rule in all_rules() if rule.language == name]
    wrong = [line for rule in rules for line in amiss(rule, re.compile(rule.pattern), load(name))]
    assert len(rules) >= 3 and not wrong, "\n".join(wrong)


def test_every_rule_says_why() -> None:
    assert [rule.label for rule in all_rules() if not rule.written.get("why", "").strip()] == []


def test_a_rule_knows_where_it_stands() -> None:
    rule = load("en").rules("lengths.rate")[1]
    assert (rule.label, rule.file) == ("lengths.rate.fps_first", "en/lengths.toml")
    assert rule.label.rpartition(".")[2] in read_toml(LANGUAGES / rule.file)["rate"]


def test_a_language_has_no_rules_for_what_its_files_do_not_name() -> None:
    assert load("de").rules("roles.mask") == () and list(load("de").find("roles.mask", "maske")) == []


def test_parts_and_words_are_put_into_patterns() -> None:
    parts = Parts({"numbers": {"one": 1, "onehalf": 0.5}, "parts": {"few": {"words": ["a", "<<numbers>>"]}}})
    assert parts.expanded("(?:<<few>>) <<words>>", ["x", "y"]) == "(?:a|onehalf|one) (?:x|y)"


@pytest.mark.parametrize("name", ["en", "zh"])
def test_hardly_a_word_of_a_list_does_nothing(name: str) -> None:
    """Every seventh word is left out in turn; `scripts/measure_words.py` does it with all of them."""
    tried = list(words(name))[3::7]
    measured = Measured(name)
    idle = [f"{word.place} {word.text}" for word in tried if not measured.notices(word)]
    assert len(tried) > 60 and len(idle) <= 0.03 * len(tried), "\n".join(idle)
