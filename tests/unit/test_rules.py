"""The rules planner on sentences that were written before it, and on any text at all."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unison_backend.plan import PlanError
from unison_backend.planner import language
from unison_backend.planner.measures import parse_number
from unison_backend.planner.rules import plan
from unison_backend.prompt import parse_pads, parse_paths
from unison_backend.signals import parse

DATA = Path(__file__).parent / "data"
SENTENCES = [
    (file.stem, number, json.loads(line))
    for file in sorted(DATA.glob("sentences*.jsonl"))
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
]


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda s: f"{s[0]}-{s[1]}")
def test_sentence(sentence):
    record = sentence[2]
    prompt = parse_pads(record["prompt"])
    made = plan(prompt)
    assert (str(made.task), made.tokens) == (record["task"], record["tokens"])
    assert made.prompt == record["prompt"]
    if "target" in record:
        assert made.target == record["target"]
    assert parse(made.tokens, made.prompt, made.media).tokens == made.tokens


CONTROLS = [json.loads(line) for line in (DATA / "controls.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("record", CONTROLS, ids=lambda r: r["prompt"][:60])
def test_what_a_control_input_is_followed_by(record):
    made = plan(parse_pads(record["prompt"]))
    assert (str(made.task), made.tokens, made.control) == (record["task"], record["tokens"], record["control"])


def test_the_sentences_cover_all_tasks_in_both_languages():
    first = [s[2] for s in SENTENCES if s[0] == "sentences"]
    assert len(first) == 200
    assert len({record["task"] for record in first}) == 12
    assert sum(any("\u4e00" <= c <= "\u9fff" for c in record["prompt"]) for record in first) == 90


def test_the_ninth_set_is_half_traps_in_both_languages():
    ninth = [s[2] for s in SENTENCES if s[0] == "sentences_ninth"]
    chinese = [record for record in ninth if any("\u4e00" <= c <= "\u9fff" for c in record["prompt"])]
    assert len(chinese) >= 60 and len(ninth) - len(chinese) >= 60
    assert sum("target" not in record for record in ninth) >= 60


@pytest.mark.parametrize(
    ("words", "tokens"),
    [
        # Seeing is asked, showing is ordered.
        ("Can you see a waterfall in <IMGPAD>?", ""),
        ("Can you see a chef in deep snow in <VIDPAD>?", ""),
        ("Here is <IMGPAD>: can you see the moon?", ""),
        ("Could you still see the boat at the end of <VIDPAD>?", ""),
        ("Let me see what is in <IMGPAD>.", ""),
        ("Show what is in <IMGPAD>.", ""),
        ("Can you show me a video of a lion?", "<CFV>"),
        ("Can we see a video of two cats?", "<CFV>"),
        ("Show a picture of a cat.", "<CFI>"),
        ("Let me see a clip of a dog running.", "<CFV>"),
        ("<IMGPAD> Show a video of this person dancing.", "<REF><CFV>"),
        # A style before a control map does not hide it.
        ("Create a picture of a white cat, cartoon style that follows the depth map <IMGPAD>.", "<CTRL><CFI>"),
        ("Please generate a photo of a dragon, cartoon style guided by the pose map <IMGPAD>.", "<CTRL><CFI>"),
        ("Generate a clip of a red fox, anime style, from this canny edge map <VIDPAD>.", "<CTRL><CFV>"),
        ("Redraw <IMGPAD> in the style of a pencil sketch.", "<BOEDIT>0<EOEDIT><CFI>"),
    ],
)
def test_what_a_small_word_changes(words, tokens):
    assert plan(parse_pads(words)).tokens == tokens


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


def test_of_a_hundred_kilobytes_only_the_ends_are_read():
    prompt = parse_paths("Create a video. " + "word, " * 20000)
    assert len(language.read(prompt)[0].value) <= 6001
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


@pytest.mark.parametrize("name", ["en", "zh"])
def test_every_pattern_compiles_and_is_used(name):
    loaded = language.load(name)
    folder = Path(language.__file__).parent
    code = "".join(file.read_text("utf-8") for file in folder.glob("*.py"))
    for key in json.loads((folder / "language" / f"{name}.json").read_text("utf-8"))["patterns"]:
        assert loaded.patterns(key)
        assert f'"{key}"' in code or key in (
            "horizontal",
            "vertical",
            "square",
            "text_head",
            "video_head",
            "image_head",
        )


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
    again = parse(made.tokens, made.prompt, made.media)
    assert (again.tokens, again.task) == (made.tokens, made.task)
