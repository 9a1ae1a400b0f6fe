"""How long the result is, in the forms that people use; frames at 24 a second."""

from __future__ import annotations

import pytest

from unison_backend.plan.prompt import parse_pads
from unison_backend.planner.rules.plan import plan

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("prompt", "frames"),
    [
        ("2.5s of lava flowing", 60),
        ("video of a dog running [00:04]", 96),
        ("a dog runs for five seconds", 120),
        ("81f video of a train", 81),
        ("a swan lands --frames 33", 33),
        ("two dozen frames of a ball", 24),
        ("three to four seconds of a fish swimming", 96),
        ("no longer than 3 seconds: a fish swims", 72),
        ("make this move for a couple of seconds <IMGPAD>", 48),
        ("a 60 fps 2 second clip of a drummer", 48),
        ("\u4e09\u79d2\u949f\u7684\u732b\u6253\u54c8\u6b20", 72),
        ("\u5929\u9e45\u964d\u843d\uff0c\u5e27\u657033", 33),
        ("\u628a<IMGPAD>\u53d8\u62105\u79d2\u77ed\u7247", 120),
        ("\u6253\u9f13\uff0c6s\uff0c1280x720", 144),
    ],
)
def test_a_length_that_is_said_makes_a_video_of_it(prompt: str, frames: int) -> None:
    made = plan(parse_pads(prompt))
    assert made.output == "video" and made.num_frames == frames


def test_what_happens_in_a_video_does_not_make_it_longer() -> None:
    made = plan(parse_pads("a 10 second video where the cat sleeps for 4 seconds and then wakes up"))
    assert made.num_frames == 240
    made = plan(parse_pads("4 seconds of dawn followed by 2 seconds of noon, video"))
    assert made.num_frames == 144


def test_numbers_of_seconds_are_no_aspect() -> None:
    assert plan(parse_pads("three to four seconds of a fish swimming")).width is None
    assert plan(parse_pads("a fish, three by four")).width == 480


@pytest.mark.parametrize("prompt", ["how long is 5 seconds", "write a story that lasts 5 seconds"])
def test_a_question_with_a_length_stays_one(prompt: str) -> None:
    assert plan(parse_pads(prompt)).output == "text"
