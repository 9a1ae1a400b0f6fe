"""The rules planner on sentences it was made with, and on any text at all."""

import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unison_backend.plan.plan import PlanError
from unison_backend.plan.prompt import parse_pads, parse_paths
from unison_backend.plan.tokens import parse
from unison_backend.planner.rules import language, reading
from unison_backend.planner.rules.intent_model import features
from unison_backend.planner.rules.measures import parse_number
from unison_backend.planner.rules.plan import plan, planned

from .sentences import Sentence, amiss, read, sentences, told

pytestmark = pytest.mark.fast

DATA = Path(__file__).with_name("data")
# Sentences with a whole plan: the sets that the planner is made with, and every trap that was ever found.
REGRESSIONS = [sentence for sentence in sentences() if "tokens" in sentence.fields]


@pytest.mark.parametrize("sentence", REGRESSIONS, ids=lambda s: s.place)
def test_sentence(sentence: Sentence) -> None:
    made = read(sentence)
    assert not amiss(sentence, made), told(sentence, made)
    assert made is not None and str(made.plan.task) == sentence.fields["task"], told(sentence, made)
    assert made.plan.prompt == sentence.prompt
    if "control" in sentence.fields:
        assert made.plan.control == sentence.fields["control"], told(sentence, made)


def test_a_sentence_that_is_read_otherwise_says_all_that_helps() -> None:
    wrong = Sentence("en/00_wrong:1", {"prompt": "<IMGPAD> Remove the car.", "intent": "ask", "tokens": "<CFV>"})
    said = told(wrong, read(wrong))
    for part in ("en/00_wrong:1", "Remove the car", "wanted 'ask', read 'edit'", "wanted '<CFV>'", "sure=", "'car'"):
        assert part in said


def test_traditional_characters_are_read_and_kept():
    made = plan(parse_pads("<IMGPAD>\u8acb\u628a\u7246\u58c1\u5857\u6210\u767d\u8272"))
    assert (made.tokens, made.target) == ("<BOEDIT>0<EOEDIT><CFI>", "\u7246\u58c1")
    assert made.prompt == "<IMGPAD>\u8acb\u628a\u7246\u58c1\u5857\u6210\u767d\u8272"


def test_typed_tokens_are_words():
    made = plan(parse_paths("Write <BORES>64,64<EORES><CFI> in French."))
    assert not made.task.is_generation
    assert plan(parse_paths("Draw a <CFV> <IMGPAD>")).tokens == "<CFI>"


def test_sizes_beyond_the_limits_are_refused():
    with pytest.raises(PlanError, match="99999"):
        plan(parse_paths("Create an image of a dog, 99999x99999 pixels."))
    with pytest.raises(PlanError, match="2400"):
        plan(parse_paths("Create a video of a dog that is 10 minutes long."))


@pytest.mark.parametrize(
    "text", ["\u2026", "<IMGPAD>", "a", "word, ", "12 ", "3 seconds ", "\ufdfa", '"a" ', "sqaure "]
)
def test_what_is_read_does_not_grow_with_the_text(text):
    """Patterns look at so many characters, and the models at so many features, whatever is repeated how often."""
    found = [reading.read(parse_pads(text * count))[0] for count in (4_000, 16_000)]
    assert all(len(part.value) <= 4_200 and len(part.words) <= 4_001 for part in found)
    assert len(features(found[1].words, ())) <= 1.2 * len(features(found[0].words, ())) + 50


def calls(work):
    """How many functions are called, which no busy machine changes."""
    count = 0

    def counted(frame, event, argument):
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(
    "text", ["<IMGPAD>", "mask <IMGPAD> ", "<VIDPAD> first frame <IMGPAD>", "\u4e09\u79d2", "5 seconds ", "640x480 "]
)
def test_work_grows_with_the_text_and_no_faster(text):
    plan(parse_pads("a " + text * 1000))  # files are read, patterns compiled
    few, many = (calls(lambda n=n: _tried("a " + text * n)) for n in (1000, 6000))
    assert many <= 6.6 * few


def _tried(text):
    with suppress(PlanError):
        plan(parse_pads(text))


def test_of_very_many_media_the_words_around_the_first_are_read():
    prompt = parse_pads("Make a picture of " + "<IMGPAD>" * 11_000)
    text = reading.read(prompt)[0]
    assert len(text.pads) == reading.MOST_MEDIA and len(text.value) < 300 and len(text.kinds) == 11_000
    made = planned(prompt)
    assert made.plan.references == tuple(range(11_000))
    assert [n.text for n in made.notices if n.field == "media"] == [
        "of 11000 media the words around the first 256 are read"
    ]


def test_a_measure_that_is_not_taken_is_told_once_and_of_many_the_first():
    made = planned(
        parse_pads("Draw a man who waits " + "2 seconds, 2 seconds, 3 seconds, " * 40 + "9 minutes."), "picture"
    )
    told = [n.text for n in made.notices if n.field == "num_frames"]
    assert [text.partition(" is")[0] for text in told] == ["'2 seconds'", "'3 seconds'"]


def test_of_a_hundred_kilobytes_only_the_ends_are_read():
    prompt = parse_paths("Create a video. " + "word, " * 20000)
    assert len(reading.read(prompt)[0].value) <= 4001
    assert plan(prompt).tokens == "<CFV>"


@pytest.mark.parametrize(
    ("name", "words", "value"),
    [
        ("en", "twenty-four", 24),
        ("en", "one hundred and twenty", 120),
        ("en", "two and a half", 2.5),
        ("en", "half a", 0.5),
        ("en", "two point five", 2.5),
        ("en", "2.25", 2.25),
        ("zh", "\u4e00\u5343\u96f6\u4e8c\u5341\u56db", 1024),
        ("zh", "\u5341\u4e94", 15),
        ("zh", "\u4e24\u767e", 200),
        ("zh", "\u4e00\u767e\u4e8c", 120),
        ("zh", "\u4e00\u4e5d\u4e8c\u96f6", 1920),
        ("zh", "\u4e09\u70b9\u4e94", 3.5),
        ("zh", "\u534a", 0.5),
    ],
)
def test_numbers_in_words(name, words, value):
    assert parse_number(words, language.load(name)) == value


words = st.sampled_from((DATA / "words.txt").read_text(encoding="utf-8").split())


@settings(max_examples=300, deadline=None)
@given(st.lists(words, min_size=1, max_size=25).map(" ".join) | st.text(min_size=1, max_size=200))
def test_any_text_gives_a_valid_plan_or_a_plan_error(text):
    try:
        prompt = parse_pads(text)
    except ValueError:
        return
    try:
        made = plan(prompt)
    except PlanError:
        return
    if any(made.media[frame.medium] == "video" for frame in made.frames):
        return  # no signal token says that a video goes on
    again = parse(made.tokens, made.prompt, made.media)
    assert (again.tokens, again.task) == (made.tokens, made.task)


@pytest.mark.parametrize(
    "words",
    [
        "Make the square in ###a.png### red. Here is the mask ###b.mp4###.",
        "Using the mask ###b.mp4###, make ###a.png### blue",
        "\u628a###a.png###\u91cc\u7684\u65b9\u5757\u53d8\u6210\u7ea2\u8272\uff0c\u906e\u7f69\u662f###b.mp4###\u3002",
    ],
)
def test_a_video_that_words_call_the_mask_of_a_still_is_no_source(words):
    with pytest.raises(PlanError, match=r"^b\.mp4 is a moving mask .* give one frame of it as a picture$"):
        plan(parse_paths(words))


def test_a_video_that_no_word_calls_a_mask_is_edited_as_before():
    made = plan(parse_paths("In ###b.mp4### put the square of ###a.png###"))
    assert (made.source, made.references, made.mask) == (0, (1,), None)


@pytest.mark.parametrize(
    ("words", "task"),
    [
        (
            "With the edges in ###a.png###, draw an image of a black star in front of a purple background.",
            "image_control",
        ),
        ("With the edges in ###a.png###, draw an image of a black square on a purple background.", "image_control"),
        ("With the person in ###a.png###, draw a knight", "image_reference"),
        ("Put the woman from ###a.png### at the edge of a cliff", "image_reference"),
        ("Show the man in ###a.png### in a forest, shallow depth of field", "image_reference"),
    ],
)
def test_a_lone_picture_of_which_edges_are_spoken_of_steers(words, task):
    assert plan(parse_paths(words)).task.value == task
