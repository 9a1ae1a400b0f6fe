"""The grammar's lists: every symbol has one, both languages have the same, and what is held out is in no training text."""

import re
from random import Random

import pytest

from unison_backend.training.records.grammar import (
    LONG,
    Grammar,
    is_kept,
    letters,
    lists,
    open_lists,
    plural,
    read_lists,
)

SYMBOL = re.compile(r"\[([a-z ]+)\]")
LANGUAGES = ("en", "zh")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_symbol_has_a_list(language):
    known = lists(language)
    for file in ("words", "orders"):
        for name, texts in read_lists(language, file).items():
            for text in texts:
                assert text.count("[") == len(SYMBOL.findall(text)) and text.count("[") == text.count("]"), (name, text)
                assert set(SYMBOL.findall(text)) <= known.keys(), (name, text)


def test_both_languages_have_the_same_lists():
    english, chinese = ({*read_lists(name, "words"), *read_lists(name, "orders")} for name in LANGUAGES)
    assert english ^ chinese == {"of", "paper"}  # which Chinese does without
    assert len(english) > 80


@pytest.mark.parametrize("language", LANGUAGES)
def test_held_out_wordings_share_nothing_with_training(language):
    """None of their texts is a training text, and no list of orders, which training takes, stands in them."""
    known, words = lists(language), read_lists(language, "words")
    held = {name: texts for name, texts in known.items() if name.endswith(" held out")}
    assert len(held) >= 18
    trained = [t for name, texts in known.items() if name not in held and isinstance(texts, list) for t in texts]
    said = {letters(text) for text in trained}
    for name, texts in held.items():
        assert texts and not set(texts) & set(trained), name
        for text in texts:
            assert set(SYMBOL.findall(text)) <= words.keys(), (name, text)
            assert letters(text) not in said, text


@pytest.mark.parametrize("language", LANGUAGES)
def test_of_long_lists_some_words_are_held_out_alone(language):
    kept, words = 0, read_lists(language, "words")
    for name, texts in words.items():
        trained, held = open_lists(language, False)[name], open_lists(language, True)[name]
        if len(texts) >= LONG:
            assert not [text for text in trained if is_kept(text)] and set(trained) == set(held[1])
            assert set(held[0]) | set(held[1]) == set(texts)
            kept += len(set(texts) - set(trained))
        else:
            assert trained == held == texts
    assert kept > 60


def test_english_is_put_right():
    writer = Grammar("en", Random(0), False)
    assert writer.filled("a~ old fox, two fox~s and a~ hourglass") == "an old fox, two foxes and an hourglass"
    assert writer.filled("a~ unicorn") == "a unicorn" and writer.filled("a~ umbrella") == "an umbrella"
    assert [plural(word) for word in ("puppy", "monkey", "goose", "bench")] == [
        "puppies",
        "monkeys",
        "geese",
        "benches",
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_left_open(language):
    for held_out in (False, True):
        writer = Grammar(language, Random(f"open {held_out}"), held_out)
        for name, texts in open_lists(language, held_out).items():
            if isinstance(texts, (list, tuple)):
                assert not re.search(r"[\[\]~]", writer.pick(name).replace("\uff5e", "")), name


def test_an_order_amid_a_sentence_begins_small():
    writer = Grammar("en", Random(3), False)
    amid = {writer.filled("Use it and [do] a picture")[11:] for _ in range(80)}
    assert len(amid) > 10 and all(text[0].islower() or text.startswith(("I ", "I'")) for text in amid)
    behind = {writer.filled("New idea: [do] a picture")[10:] for _ in range(80)}
    assert any(text[0].isupper() and text[0] != "I" for text in behind)


def test_a_style_stands_only_where_nothing_goes_on_behind_it():
    def styled(template):
        writer = Grammar("en", Random(5), False)
        return any(", watercolour" in writer.scene(False, template) for _ in range(400))

    assert styled("Draw {what}{tail}.") and styled("{what}. {noun}") and styled("")
    assert not styled("{what} as {a} {noun}{tail}") and not styled("of {what} [of] it") and not styled("{what} {tail}")
