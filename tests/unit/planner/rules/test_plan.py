"""The rules planner on sentences that were written before it, and on any text at all."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unison_backend.plan.plan import PlanError
from unison_backend.plan.prompt import parse_pads, parse_paths
from unison_backend.plan.tokens import parse
from unison_backend.planner.rules import language
from unison_backend.planner.rules.measures import parse_number
from unison_backend.planner.rules.plan import plan

pytestmark = pytest.mark.fast

DATA = Path(__file__).parents[2] / "data"
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
        ("A video of a lantern slowly fading into mist from this pose map <VIDPAD>.", "<CTRL><CFV>"),
        ("Turn <VIDPAD> into a pose map.", "<BOEDIT>0<EOEDIT><CFV>"),
        # What an instruction announces is no question.
        ("Source <IMGPAD>, mask <IMGPAD>. What to do: turn the statue golden.", "<BOEDIT>1,0<EOEDIT><CFI>"),
        ("Source <VIDPAD>, mask <IMGPAD>. What I want: remove the boat.", "<BOEDIT>1,0<EOEDIT><CFV>"),
        ("What to do about the noise in <IMGPAD>?", ""),
        # Neither a style nor an orientation is what is made, and a map before its medium is what is given.
        ("<IMGPAD> is the first frame of a video of a car in deep snow turning around, oil painting. Please create it.",
         "<BOFIDX>0<EOFIDX><CFV>"),
        ("<IMGPAD> is the last frame of a clip of a boat as the wind blows, cartoon style in 720p. Please make it.",
         "<BORES>1280,720<EORES><BOFIDX>1<EOFIDX><CFV>"),
        ("A flock of birds while lights flicker, photorealistic, as a landscape-orientation video.",
         "<BORES>1280,720<EORES><CFV>"),
        ("A lighthouse, as a short film, with a duration of 8 seconds in landscape orientation.",
         "<BORES>1280,720<EORES><BONF>192<EONF><CFV>"),
        ("Make a video of a vintage car, watercolour, 2 seconds in portrait orientation.",
         "<BORES>720,1280<EORES><BONF>48<EONF><CFV>"),
        ("Let the pose map <VIDPAD> guide the result: a video of an astronaut on a stage, watercolour, in 1:1.",
         "<BORES>640,640<EORES><CTRL><CFV>"),
        ("A short film of a balloon in a city turning around, oil painting that follows the optical flow map <VIDPAD>.",
         "<CTRL><CFV>"),
        ("A clip of a cat in a garden, in pastel colours from this scribble map <VIDPAD>.", "<CTRL><CFV>"),
        ("A cat sleeping, in a short, vertical video.", "<BORES>720,1280<EORES><CFV>"),
        ("A cat sleeping, in a landscape.", "<CFI>"),
        ("A cat sleeping, watercolour, square.", "<BORES>640,640<EORES><CFI>"),
        ("A poster in portrait orientation, please: a waterfall.", "<BORES>720,1280<EORES><CFI>"),
        # Without a full stop behind the medium an order is one still.
        ("The woman in <IMGPAD> Create a video of her dancing.", "<REF><CFV>"),
        ("This woman in <IMGPAD> make her smile.", "<BOEDIT>0<EOEDIT><CFI>"),
        ("The dog in <IMGPAD> remove the leash.", "<BOEDIT>0<EOEDIT><CFI>"),
        ("The dog in <IMGPAD> and the cat in <IMGPAD> create a video of them.", "<REF><CFV>"),
        ("The scene in <IMGPAD> give me a description.", ""),
        # But what a medium's subject "gives" asks for no answer.
        ("The edges in <IMGPAD> give the outline: generate an image of a blue star.", "<CTRL><CFI>"),
        ("The poses in <VIDPAD> give a summary of the motion: create a video of a robot.", "<CTRL><CFV>"),
        ("With <IMGPAD> give me a description of the scene.", ""),
        ("The logo in <IMGPAD>: remove it.", "<BOEDIT>0<EOEDIT><CFI>"),
        # What is painted from the reference is painted anew.
        ("Please paint the triangle from the reference <IMGPAD> on a green background.", "<REF><CFI>"),
        ("Paint the car in the reference picture <IMGPAD> at night.", "<REF><CFI>"),
        ("Paint the car in the reference picture <IMGPAD> dark red.", "<BOEDIT>0<EOEDIT><CFI>"),
        ("Paint the wall in <IMGPAD> like the one in the reference <IMGPAD>.", "<BOEDIT>0<EOEDIT><REF><CFI>"),
        # What moves is the thing in the picture, not the picture.
        ("Make a 64x64 video with the star from <IMGPAD> moving up on a black background.",
         "<BORES>64,64<EORES><REF><CFV>"),
        ("Create a clip of the woman in <IMGPAD> moving through a crowd.", "<REF><CFV>"),
        ("Make the clouds in <IMGPAD> move.", "<BOFIDX>0<EOFIDX><CFV>"),
        ("Make the leaves of the tree in <IMGPAD> move.", "<BOFIDX>0<EOFIDX><CFV>"),
        ("Let the people at the back of the room in <IMGPAD> move.", "<BOFIDX>0<EOFIDX><CFV>"),
        # How long a picture is set in motion.
        ("Bring <IMGPAD> to life in 9 frames: the cat jumps.", "<BONF>9<EONF><BOFIDX>0<EOFIDX><CFV>"),
        ("Animate <IMGPAD> in 33 frames.", "<BONF>33<EONF><BOFIDX>0<EOFIDX><CFV>"),
        ("Animate the picture <IMGPAD> over 3 seconds.", "<BONF>72<EONF><BOFIDX>0<EOFIDX><CFV>"),
        ("Animate <IMGPAD>: the door opens in 2 seconds.", "<BOFIDX>0<EOFIDX><CFV>"),
    ],
)  # fmt: skip
def test_what_a_small_word_changes(words, tokens):
    assert plan(parse_pads(words)).tokens == tokens


@pytest.mark.parametrize(
    ("words", "tokens"),
    [
        # I need one (of: a steam train in the desert), a realistic 1280x640 photo.
        ("\u6211\u9700\u8981\u4e00\u5f20\u4e00\u5217\u84b8\u6c7d\u706b\u8f66\u5728\u6c99\u6f20\u4e2d\uff0c"
         "\u5199\u5b9e\u76841280x640\u7684\u7167\u7247\u3002", "<BORES>1280,640<EORES><CFI>"),
        # I would like a 16:9 picture, a stone castle on a hill.
        ("\u6211\u60f3\u8981\u4e00\u5f2016:9\u7684\u56fe\u7247\uff0c\u4e00\u5ea7\u77f3\u5934\u57ce\u5821"
         "\u5728\u5c71\u5761\u4e0a\u3002", "<BORES>1280,720<EORES><CFI>"),
        # Change the background to a meadow, output a vertical picture.
        ("\u628a\u80cc\u666f\u6362\u6210\u8349\u539f\uff0c\u8f93\u51fa\u4e00\u5f20\u7ad6\u7248\u56fe\u7247"
         " <IMGPAD>", "<BORES>720,1280<EORES><BOEDIT>0<EOEDIT><CFI>"),
        # A cat, in the style of a watercolour, vertical.
        ("\u4e00\u53ea\u732b\uff0c\u6c34\u5f69\u98ce\u683c\uff0c\u7ad6\u7248", "<BORES>720,1280<EORES><CFI>"),
        # I need a holiday, how do I ask for one?
        ("\u6211\u9700\u8981\u4e00\u4e2a\u5047\u671f\uff0c\u600e\u4e48\u8bf7\u5047\uff1f", ""),
    ],
)  # fmt: skip
def test_what_is_wanted_in_chinese(words, tokens):
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
    code = "".join(file.read_text("utf-8") for file in folder.rglob("*.py"))
    for key in json.loads((language.LANGUAGES / name / "rules.json").read_text("utf-8"))["patterns"]:
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
