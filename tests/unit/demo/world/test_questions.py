"""Questions about the shape world: their answers are what the pictures show."""

from random import Random

import pytest

from unison_backend.demo.world.questions import question
from unison_backend.demo.world.reading import read_frame
from unison_backend.plan.prompt import parse_pads
from unison_backend.planner.rules.plan import RulesPlanner
from unison_backend.training.demo.judging import motion_of


@pytest.mark.parametrize("held_out", [False, True])
def test_answers_say_what_the_picture_shows(held_out):
    checked = 0
    for index in range(120):
        asked = question("image", Random(index), held_out=held_out, language="en")
        seen = read_frame(asked.medium[0])
        known = {"image colour": seen.colour, "image shape": seen.shape, "image background": seen.background}
        if asked.kind in known:
            assert asked.answer == known[asked.kind], asked.prompt
            checked += 1
    assert checked > 30


def test_directions_are_those_of_the_clip():
    names = {"to the left": "left", "to the right": "right", "up": "up", "down": "down", "It stays still.": "still"}
    asked = [question("video", Random(index), language="en") for index in range(60)]
    directions = [one for one in asked if one.kind == "video direction"]
    assert len(directions) > 8
    for one in directions:
        assert motion_of(one.medium) == names[one.answer]


def test_yes_and_no_are_both_asked_and_true():
    answers = {}
    for index in range(200):
        asked = question("image", Random(index), language="en")
        if asked.kind == "image is":
            seen = read_frame(asked.medium[0])
            assert (asked.answer == "yes") == (f"{seen.colour} {seen.shape}" in asked.prompt)
            answers[asked.answer] = answers.get(asked.answer, 0) + 1
    assert min(answers["yes"], answers["no"]) >= 5


@pytest.mark.parametrize("subject", ["image", "video", "text"])
def test_each_is_planned_as_a_question(subject):
    planner = RulesPlanner()
    for index in range(60):
        for held_out in (False, True):
            asked = question(subject, Random(index), held_out=held_out)
            plan = planner.plan(parse_pads(asked.prompt)).plan
            assert plan.task.value == f"{subject}_understanding", asked.prompt


def test_held_out_words_are_not_trained_on():
    trained = {question("image", Random(index)).prompt for index in range(3000)}
    held_out = {question("image", Random(index), held_out=True).prompt for index in range(300)}
    assert not trained & held_out


def test_a_seed_names_a_question():
    one, same, other = (question("video", Random(seed)) for seed in (5, 5, 6))
    assert one.prompt == same.prompt and bool((one.medium == same.medium).all())
    assert (one.prompt, one.answer) != (other.prompt, other.answer)


def test_english_has_its_articles():
    answers = [question("image", Random(index), language="en") for index in range(600)]
    said = " ".join(f"{asked.prompt} {asked.answer}" for asked in answers)
    assert "An orange " in said and " an orange " in said and "A orange" not in said and " a orange" not in said
    assert "An red" not in said and " an red" not in said
