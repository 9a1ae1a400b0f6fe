"""What an edit is about: the phrase to find, on sentences written before the rules and on any text at all."""

import json
import re
import time
import unicodedata
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import unison_backend
from unison_backend.plan.plan import WHOLE_FRAME, PlanError, is_whole_frame
from unison_backend.plan.prompt import Medium, bind_names, parse_pads
from unison_backend.planner.rules.plan import plan
from unison_backend.planner.rules.reading import read
from unison_backend.planner.rules.targets import Target, is_plural, parse_target, target

from .sentences import amiss, sentences, told
from .sentences import read as read_sentence

pytestmark = pytest.mark.fast

# Sentences with the target as a detector takes it.
RECORDS = [sentence for sentence in sentences() if "phrase" in sentence.fields and sentence.fields["target"]]
DICTIONARY = json.loads(
    resources.files(unison_backend).joinpath("planner/rules/languages/zh/dictionary.json").read_text(encoding="utf-8")
)
CJK = re.compile("[\u3400-\u9fff]")


@pytest.mark.parametrize("sentence", RECORDS, ids=lambda s: s.place)
def test_a_target_becomes_what_a_detector_takes(sentence):
    record = sentence.fields
    assert parse_target(record["target"]) == Target(record["phrase"], record["plural"])


def test_the_targets_of_nearly_all_sentences_are_read():
    made = [(sentence, read_sentence(sentence)) for sentence in RECORDS]
    wrong = [told(sentence, result) for sentence, result in made if amiss(sentence, result)]
    assert len(wrong) <= 0.03 * len(RECORDS), "\n".join(wrong)


def test_a_mask_leaves_the_target_as_it_is():
    media = {"image1": Medium("image", name="image1"), "mask1": Medium("image", name="mask1", is_mask=True)}
    made = plan(bind_names("Replace the red car with a bus.", media))
    assert (made.mask, made.source, made.target) == (1, 0, "red car")
    made = plan(bind_names("Turn it into a watercolor.", media))
    assert (made.mask, made.source, made.target) == (1, 0, None)


@pytest.mark.parametrize("typed", ["the whole frame", "Whole Frame.", " the  whole frame "])
def test_the_whole_frame_is_known_however_it_is_typed(typed):
    assert is_whole_frame(typed) and parse_target(typed) == Target(WHOLE_FRAME, False)
    assert (
        not is_whole_frame("frame") and not is_whole_frame(None) and not is_whole_frame("the whole frame of the door")
    )


def test_the_whole_frame_is_in_no_question_and_in_no_plan_of_something_new():
    assert plan(parse_pads("Why is it night in <IMGPAD>?")).target is None
    assert plan(parse_pads("Paint a watercolor of a fox.")).target is None


def test_words_that_only_look_like_orders_come_back_whole():
    assert plan(parse_pads("Remove the video camera from <IMGPAD>.")).target == "video camera"


@pytest.mark.parametrize(
    ("typed", "phrase", "plural"),
    [
        ("The red cars.", "red cars", True),
        ("all three boats", "boats", True),
        ("every single car", "car", True),
        ("each of the stickers on the laptop", "stickers on the laptop", True),
        ("one of the dogs", "dogs", False),
        ("a pair of glasses", "glasses", False),
        ("a bunch of bananas", "bananas", True),
        ("the man and the woman", "man and woman", True),
        ("black and white cat", "black and white cat", False),
        ("man with glasses", "man with glasses", False),
        ("dogs behind the man", "dogs behind the man", True),
        ("the messy background behind her", "background", False),
        ("people in the background", "people in the background", True),
        ("<image1> cat", "cat", False),
        ("\u6240\u6709\u7684\u884c\u4eba", "pedestrian", True),
        ("\u5de6\u8fb9\u7684\u4e24\u53ea\u72d7", "dog on the left", True),
        ("\u6c99\u767c\u4e0a\u7684\u8c93", "cat on the sofa", False),
        ("\u7a7f\u9ed1\u8863\u670d\u7684\u4eba", "person in black clothes", False),
        ("\u7ea2\u8272\u7684\u5510\u4e09\u5f69", "red \u5510\u4e09\u5f69", False),
        ("\u732b and dog", "cat and dog", True),
        ("", "", False),
    ],
)
def test_typed_phrases(typed, phrase, plural):
    assert parse_target(typed) == Target(phrase, plural)


def test_plural_nouns():
    for phrase in (
        "cars",
        "people",
        "children",
        "women",
        "geese",
        "feet",
        "firemen",
        "passers-by",
        "3 cups",
        "all fish",
    ):
        assert is_plural(phrase), phrase


def test_nouns_that_only_look_plural():
    for phrase in (
        "glasses",
        "trousers",
        "scissors",
        "jeans",
        "bus",
        "dress",
        "grass",
        "sheep",
        "iris",
        "lens",
        "man's",
    ):
        assert not is_plural(phrase), phrase


def test_the_dictionary():
    words = [
        word for kind in ("people", "animals", "things", "adjectives", "places", "with") for word in DICTIONARY[kind]
    ]
    assert len(words) == len(set(words)) and len(words) > 500
    for kind in ("people", "animals", "things", "adjectives", "places", "with", "after"):
        for word, english in DICTIONARY[kind].items():
            assert CJK.search(word) and english.isascii() and english == english.lower().strip()
    for traditional, simplified in DICTIONARY["simplified"].items():
        assert len(traditional) == len(simplified) == 1 and simplified not in DICTIONARY["simplified"]


def test_every_known_noun_is_translated_whole():
    for kind in ("people", "animals", "things"):
        for word, english in DICTIONARY[kind].items():
            assert parse_target(word).phrase == english


@pytest.mark.parametrize(
    "part", ["the ", "remove the ", "make the cat red ", "and the ", "\u628a", "\u628a\u732b\u6362\u6210", "\u7684"]
)
def test_long_texts_take_no_long_time(part):
    prompt = parse_pads(f"<IMGPAD> {part * 1500} remove it")
    start = time.perf_counter()
    target(*read(prompt))
    assert time.perf_counter() - start < 5


WORDS = (
    "make the replace remove change swap paint dress blur put give all both every two a this my man's cat cats people "
    "with into to in on of and white red sky background it photo <IMGPAD> <VIDPAD> mask . , ? instead "
    "\u628a \u5c06 \u732b \u72d7 \u6362\u6210 \u53d8\u6210 \u53bb\u6389 \u7684 \u5de6\u8fb9 \u4e0a \u91cc \u6240\u6709 \u4e24\u53ea "
    "\u7ea2\u8272 \u8c93 \u4eba \u7a7f \u548c \u5510\u4e09\u5f69 \u8ba9 \u7ed9 \u8fd9 \u5b83 \uff0c \u3002"
)
orders = st.sampled_from(WORDS.split())
texts = (
    st.lists(orders, min_size=1, max_size=25).map(" ".join)
    | st.lists(orders, min_size=1, max_size=25).map("".join)
    | st.text(min_size=1, max_size=200)
)


@settings(max_examples=500, deadline=None)
@given(texts)
def test_any_text_gives_a_clean_phrase_or_none(text):
    try:
        prompt = parse_pads(text)
    except ValueError:
        return
    found = target(*read(prompt))
    if found is not None:
        assert 0 < len(found.phrase) <= 60 and found.phrase == found.phrase.strip()
        assert not any(unicodedata.category(c).startswith("C") for c in found.phrase)
        assert "imgpad" not in found.phrase and "vidpad" not in found.phrase
        assert parse_target(found.phrase).plural == found.plural
    try:
        made = plan(prompt)
    except PlanError:
        return
    edits = made.source is not None and made.borders is None
    assert made.target == (found.phrase if found and edits else WHOLE_FRAME if made.target == WHOLE_FRAME else None)


@settings(max_examples=500, deadline=None)
@given(texts)
def test_a_phrase_once_parsed_stays(text):
    phrase = parse_target(text).phrase
    assert parse_target(phrase).phrase == phrase
    assert not any(unicodedata.category(c).startswith("C") for c in phrase)
