"""js/unison_chinese.js, which needs no frontend: the sentences that nodes say most, in Chinese."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from js_module import called

from unison_backend.errors import UnisonError
from unison_backend.plan.plan import Plan
from unison_backend.plan.prompt import Medium, bind_names
from unison_backend.plan.tasks import Task
from unison_backend.sources.prepare import check_possible

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "js" / "unison_chinese.js"
CHINESE = re.compile(r"[\u4e00-\u9fff]")
SENTENCE = re.compile(r'^  \[/(\^.*\$)/s?, "(.*)"\],$', re.MULTILINE)
# What is put together from parts, or said by the host.
PARTS = (
    "the instruction names <image1>, but that input is not connected; connected: none",
    "Required input is missing: positive",
    "'a' is not in the models folders. What goes there: b. Then press R, or reload the page.",
    "There is no detector in the models folders yet. What goes there: b. Then press R, or reload the page.",
    "prompt is longer than 512 tokens: the rest is cut",
    "demo models: they know coloured shapes, in pictures and videos of 64x64, 96x64, 64x96, 9 or 17 frames, and nothing else",
    "no projector and no features: no projected tokens",
    "no features: no projected tokens",
    "made in segments: 3 (frames 0 to 8, 4 to 12, 8 to 16)",
    "what is new is made to fit the last 17 frames of clip.mp4 (overlap)",
    "what is new is made to fit the first 5 frames of clip.mp4 (overlap)",
    "medium1 is not connected, and the plan has an image there",
    "planned by the rules: nobody answers at http://localhost:1/v1 (refused): start the server or mend the address",
    "http://localhost:1/v1 takes no request without its key (401): put it into the environment variable KEY",
    "http://localhost:1/v1 is busy (429); it asks to wait 3 s: try again later",
    "http://localhost:1/v1 said nothing for 30 s: it may be loading a model; try again or allow more time",
)


def in_chinese(*texts):
    """What the module makes of them."""
    return called(MODULE.name, "inChinese", [[text] for text in texts])


@cache
def told_in_sources():
    """Every text in nodes/ and the backend's parts that nodes call, with a word in place of each value."""
    files = [*(ROOT / "nodes").glob("*.py"), *(ROOT / "unison_backend").glob("[pds]*/**/*.py")]
    texts = []
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8")))):
        if isinstance(node, ast.JoinedStr):
            texts.append("".join(str(part.value) if isinstance(part, ast.Constant) else "1" for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.append(node.value)
    return texts


def told(call):
    """The text of the error that a call raises."""
    with pytest.raises(UnisonError) as caught:
        call()
    return str(caught.value)


def test_what_the_backend_says_is_said_in_chinese():
    picture = {"image1": Medium("image", name="image1")}
    edit = Plan(task=Task.IMAGE_EDITING, source=0, media=("image",), width=64, height=64)
    texts = [
        told(lambda: bind_names("Make <image2> red.", picture)),
        told(lambda: bind_names("Make <image2> red.", {})),
        told(lambda: bind_names("  ", {})),
        told(lambda: check_possible(edit)),
    ]
    made = in_chinese(*texts)
    assert all(CHINESE.match(text) and "without" not in text and "not connected" not in text for text in made), made
    # Sockets are called as the Chinese interface labels them.
    assert "<\u56fe\u50cf2>" in made[0] and "\u56fe\u50cf1" in made[0]


def test_every_sentence_is_one_that_somebody_says():
    sentences = SENTENCE.findall(MODULE.read_text("utf-8"))
    assert len(sentences) == MODULE.read_text("utf-8").count("  [/^")
    said = [*told_in_sources(), *PARTS]
    for pattern, chinese in sentences:
        assert any(re.search(pattern, text, re.DOTALL) for text in said), pattern
        assert CHINESE.search(chinese)


def test_what_is_not_known_stays_and_each_line_is_read():
    unknown = "UnisonPlanner went somewhere else"
    lines = "Required input is missing: positive\nRequired input is missing: clip"
    stays, both = in_chinese(unknown, lines)
    assert stays == unknown
    assert [bool(CHINESE.search(line)) for line in both.split("\n")] == [True, True] and both.endswith("clip")
