"""Of an instruction that orders several changes one is made, and the others are told."""

import pytest

from unison_backend.plan.prompt import parse_pads
from unison_backend.planner.rules.plan import planned


def told(text):
    """(what is changed, what is told to be left to another run)"""
    result = planned(parse_pads(text))
    reasons = [reason for reason in result.notices if "one thing is changed at a time" in reason.text]
    assert all(reason.is_warning for reason in reasons)
    return result.plan.target, [reason.text.partition("a change of ")[2].partition(":")[0] for reason in reasons]


# fmt: off
SEVERAL = [
    ("Remove the car in <IMGPAD> and make the sky blue", "car", "sky blue"),
    ("Remove the car from <IMGPAD>. Then turn the sky red.", "sky", "car"),
    ("1. remove the car 2. make the sky blue <IMGPAD>", "car", "sky blue"),
    ("Replace the sofa with a bench, erase the lamp and paint the wall green <IMGPAD>", "sofa", "lamp, wall green"),
    ("\u628a<IMGPAD>\u91cc\u7684\u8f66\u53bb\u6389\uff0c\u518d\u628a\u5929\u7a7a\u53d8\u84dd", "\u8f66", "\u5929\u7a7a"),
    ("<IMGPAD> 1. \u53bb\u6389\u8f66 2. \u5929\u7a7a\u53d8\u84dd", "\u8f66", "\u5929\u7a7a"),
    ("<IMGPAD> \u53bb\u6389\u8f66\uff0c\u5929\u7a7a\u53d8\u6210\u7c89\u8272", "\u5929\u7a7a", "\u8f66"),
]
# fmt: on


@pytest.mark.parametrize(("text", "target", "left"), SEVERAL)
def test_a_second_change_is_told(text, target, left):
    assert told(text) == (target, [left])


@pytest.mark.parametrize(
    "text",
    [
        "Remove the car from <IMGPAD> and fill the gap",
        "Replace the man with a dog and remove the man's shadow in <IMGPAD>",
        "Don't change the woman, only replace her handbag with a guitar. <IMGPAD>",
        "Swap the lemon for a lime in <IMGPAD>, and make the final file 800x600",
        "Make the car red in <IMGPAD>. The mask is <IMGPAD>. Turn the sky blue.",
        "Make the dog blue <IMGPAD>",
        "<IMGPAD> \u628a\u5929\u7a7a\u6539\u6210\u9ec4\u660f\uff0c\u5176\u4ed6\u4e0d\u53d8",
    ],
)
def test_one_change_is_told_nothing(text):
    assert told(text)[1] == []
