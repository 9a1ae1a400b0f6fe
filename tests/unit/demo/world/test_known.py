"""What the embedded models know at all, held against their own questions and orders."""

from random import Random

import pytest

from unison_backend.demo.world.known import names_a_shape, unknown_notice, unknown_words
from unison_backend.demo.world.questions import question


@pytest.mark.parametrize("subject", ["image", "video", "text"])
@pytest.mark.parametrize("held_out", [False, True])
def test_its_own_questions_are_known(subject, held_out):
    random = Random(f"{subject} {held_out}")
    drawn = [question(subject, random, held_out=held_out) for _ in range(200)]
    assert [(one.prompt, words) for one in drawn if (words := unknown_words(one.prompt))] == []


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("What is the capital of France?", ["capital", "France"]),
        ("<IMGPAD> What breed is the dog?", ["breed", "dog"]),
        ("<IMGPAD> Where is the star?", []),
        ("<IMGPAD> \u5706\u5f62\u662f\u4ec0\u4e48\u989c\u8272\uff1f", []),
        ("<IMGPAD> \u732b\u5728\u54ea\u91cc\uff1f", ["\u732b"]),
    ],
)
def test_unknown_words_of_a_question(text, unknown):
    assert unknown_words(text) == unknown


def test_the_notice_names_what_is_unknown_and_what_takes_its_place():
    told = unknown_notice("What is the capital of France?", makes=False, real="Real answers take X.")
    assert told is not None and "capital, France" in told and told.endswith("Real answers take X.")
    assert unknown_notice("Where is the star?", makes=False, real="X") is None
    made = unknown_notice("a fox in the snow", makes=True, real="X")
    assert made is not None and "circle, square, triangle, star" in made
    assert unknown_notice("two red circles", makes=True, real="X") is None
    assert names_a_shape("\u753b\u4e00\u4e2a\u7ea2\u8272\u7684\u5706")
