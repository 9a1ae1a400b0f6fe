"""Other names of colours and shapes: in the sentences of the world, with the articles that they take, and only there."""

import re
from random import Random

import pytest

from unison_backend.demo.world.known import unknown_words
from unison_backend.demo.world.names import renamed
from unison_backend.demo.world.shapes import COLOURS, SHAPES
from unison_backend.demo.world.tasks import example, kinds
from unison_backend.demo.world.wording import LANGUAGES, other_names, words_of


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_has_another_name_that_is_no_plain_one(language):
    names, words = other_names(language), words_of(language)
    assert names.keys() == {*COLOURS, *SHAPES}
    plain = {*words["colours"].values(), *words["shapes"].values()}
    others = [name for of in names.values() for name in of]
    assert len(set(others)) == len(others) >= len(names)
    # A part of a Chinese name that is the plain one's would say it to whoever knows characters.
    assert not any(one in other for one in plain for other in others)
    assert set(unknown_words(" ".join(others))), "the question model never saw them"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", kinds())
def test_a_renamed_instruction_says_the_same_and_no_plain_name(kind, language):
    words, names = words_of(language), other_names(language)
    said = {**words["colours"], **words["shapes"]}
    for seed in range(12):
        text = example(kind, Random(seed), language=language).instruction
        other = renamed(text, Random(seed), language=language)
        edge = r"\b" if language == "en" else ""
        for name, word in said.items():
            count = len(re.findall(f"{edge}{re.escape(word)}{edge}", text))
            assert sum(other.count(each) for each in names[name]) == count, (text, other)
        assert not re.search("|".join(f"{edge}{re.escape(word)}{edge}" for word in said.values()), other)
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", other), other


def test_articles_follow_and_capitals_stay():
    text = "Draw an orange star on a red background."
    found = {renamed(text, Random(seed)) for seed in range(40)}
    assert found <= {
        f"Draw {one} {star} on a {red} background."
        for one in ("a tangerine", "an amber")
        for star in ("pentagram", "asterisk")
        for red in ("crimson", "scarlet")
    }
    assert len(found) > 4
    assert renamed(text, Random(1), 0.0) == text
    assert renamed("An orange star", Random(3)).startswith(("A tangerine", "An amber"))


def test_a_share_of_the_words_alone():
    text = example("text_to_image", Random(3), language="en").instruction
    kept = sum(renamed(text, Random(seed), 0.5) == text for seed in range(200))
    assert 10 < kept < 50  # of three words: an eighth
