"""Instructions without media: scenes that are told, polite orders, greetings."""

from __future__ import annotations

import pytest

from unison_backend.plan.prompt import parse_pads
from unison_backend.planner.base import PlanResult
from unison_backend.planner.rules.plan import planned

pytestmark = pytest.mark.fast


def made_of(prompt: str) -> PlanResult:
    return planned(parse_pads(prompt))


@pytest.mark.parametrize(
    "prompt",
    [
        "He looks into the camera and smiles",
        "A woman pours coffee into a cup.",
        "Smoke rises from the chimney.",
        "A man opens a door and walks in",
        "\u4e00\u4e2a\u7537\u4eba\u6253\u5f00\u95e8\u8d70\u8fdb\u53bb",
        "An old man in a red coat feeds the birds",
    ],
)
def test_a_scene_that_is_told_is_made(prompt: str) -> None:
    assert made_of(prompt).plan.output != "text"


@pytest.mark.parametrize(
    "prompt",
    [
        "A red circle moves to the right.",
        "A ball bounces up and down",
        "The blue square rotates slowly",
        "A green triangle goes from left to right",
        "\u4e00\u4e2a\u7ea2\u8272\u5706\u5708\u5411\u53f3\u79fb\u52a8",
        "\u7eff\u8272\u4e09\u89d2\u5f62\u4ece\u5de6\u5230\u53f3",
        "\u5c0f\u7403\u4e0a\u4e0b\u5f39\u8df3",
    ],
)
def test_what_moves_along_is_a_video(prompt: str) -> None:
    assert made_of(prompt).plan.output == "video"


@pytest.mark.parametrize(
    "prompt", ["a drawing of a wheel that spins slowly", "\u753b\u4e00\u4e2a\u5411\u53f3\u79fb\u52a8\u7684\u5706"]
)
def test_a_picture_of_what_moves_stays_one(prompt: str) -> None:
    assert made_of(prompt).plan.output == "image"


@pytest.mark.parametrize(
    "prompt",
    [
        "a haiku about rain",
        "an essay on climate change",
        "a limerick",
        "the chemical formula of salt",
        "A train leaves at 9:16 and arrives at 11:02. How many minutes does the journey take?",
        "what moves to the right in a lorry?",
        "\u80fd\u5e2e\u6211\u5199\u4e00\u9996\u8bd7\u5417",
        "\u80fd\u7ed9\u6211\u8bb2\u4e2a\u7b11\u8bdd\u5417",
        "\u505a\u4e2a\u89c6\u9891\u811a\u672c",
        "\u4f60\u80fd\u753b\u753b\u5417",
        "\u4f60\u4f1a\u753b\u753b\u5417",
        "\u4f60\u53ef\u4ee5\u751f\u6210\u89c6\u9891\u5417\uff1f",
        "\u80fd\u751f\u6210\u591a\u957f\u7684\u89c6\u9891\uff1f",
        "\u6a21\u578b\u80fd\u4e00\u6b21\u505a20\u79d2\u7684\u89c6\u9891\u5417",
        "\u753b\u9a6c\u96be\u4e0d\u96be",
        "can you draw?",
    ],
)
def test_what_is_to_be_read_or_asked_is_an_answer(prompt: str) -> None:
    assert made_of(prompt).plan.output == "text"


@pytest.mark.parametrize(
    ("prompt", "output"),
    [
        ("\u80fd\u7ed9\u6211\u753b\u4e00\u6761\u9f99\u5417", "image"),
        ("\u53ef\u4ee5\u5e2e\u6211\u753b\u4e00\u53ea\u732b\u5417\uff1f", "image"),
        ("\u53ef\u5426\u8bbe\u8ba1\u4e00\u4e2a\u5496\u5561\u5e97\u7684\u6807\u5fd7\uff1f", "image"),
        ("\u80fd\u753b\u4e00\u4e2a\u7ea2\u8272\u7684\u5706\u5417\uff1f", "image"),
        ("\u7ed9\u6211\u6765\u5f20\u6d77\u8fb9\u65e5\u843d\u7684\u56fe\u884c\u5417", "image"),
        ("\u53ef\u4ee5\u7ed9\u6211\u4e00\u5f20\u5b87\u822a\u5458\u9a91\u9a6c\u7684\u7167\u7247\u5417", "image"),
        ("\u80fd\u4e0d\u80fd\u505a\u4e00\u4e2a\u72d7\u72d7\u51b2\u6d6a\u7684\u89c6\u9891\uff1f", "video"),
        ("\u80fd\u4e0d\u80fd\u5e2e\u6211\u62cd\u4e00\u6bb5\u65e5\u843d\u7684\u77ed\u7247", "video"),
        ("\u505a\u4e00\u4e2a5\u79d2\u7684\u6d77\u6d6a\u89c6\u9891", "video"),
        ("any chance of a picture of a cat", "image"),
        ("would you mind drawing a dragon?", "image"),
        ("fancy making me a video of a wave?", "video"),
    ],
)
def test_a_polite_order_is_no_question(prompt: str, output: str) -> None:
    assert made_of(prompt).plan.output == output


@pytest.mark.parametrize(
    "prompt",
    [
        "hello",
        "hi there!",
        "thanks",
        "ok",
        "test",
        "\u8c22\u8c22",
        "\u4f60\u597d",
        "Danke!",
        "...",
        "!!!",
        "123",
        "\u2026" * 50,
    ],
)
def test_what_orders_nothing_is_answered_and_said(prompt: str) -> None:
    made = made_of(prompt)
    assert made.plan.output == "text" and any("nothing is ordered" in told.text for told in made.notices)


@pytest.mark.parametrize(
    "prompt", ["hello kitty in space", "\U0001f436", '"a red circle"', "good morning coffee on a balcony"]
)
def test_what_only_looks_like_a_greeting_is_made(prompt: str) -> None:
    assert made_of(prompt).plan.output != "text"


def test_what_the_person_wants_wins() -> None:
    assert planned(parse_pads("hello"), "picture").plan.output == "image"
    assert planned(parse_pads("A red circle moves to the right."), "picture").plan.output == "image"
    assert planned(parse_pads("A red circle moves to the right."), "answer").plan.output == "text"
