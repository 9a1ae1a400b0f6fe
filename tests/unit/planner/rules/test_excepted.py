"""Orders that change all but a thing, how many results are wanted, and settings of other programs in an instruction."""

from __future__ import annotations

import pytest

from unison_backend.plan.plan import Plan
from unison_backend.plan.prompt import parse_pads
from unison_backend.planner.base import PlanResult
from unison_backend.planner.rules.plan import planned

pytestmark = pytest.mark.fast


def made(prompt: str) -> PlanResult:
    return planned(parse_pads(prompt))


def kept(prompt: str) -> tuple[str | None, bool]:
    plan: Plan = made(prompt).plan
    return plan.target, plan.mask_keeps


@pytest.mark.parametrize(
    ("prompt", "target"),
    [
        ("Delete everything in <IMGPAD> except for the two chairs.", "two chairs"),
        ("Everything other than the old lighthouse in <IMGPAD> should burn.", "old lighthouse"),
        ("Paint everything apart from the parrot in <VIDPAD> blue.", "parrot"),
        ("get rid of everyone but my daughter <IMGPAD>", "daughter"),
        ("Keep only the fountain in <IMGPAD> and remove the rest.", "fountain"),
        (
            "\u628a<IMGPAD>\u9664\u4e86\u81ea\u884c\u8f66\u4ee5\u5916\u7684\u4e1c\u897f\u90fd\u5220\u6389",
            "\u81ea\u884c\u8f66",
        ),
        ("\u53ea\u4fdd\u7559<VIDPAD>\u91cc\u7684\u821e\u8005", "\u821e\u8005"),
    ],
)
def test_all_but_a_thing_is_changed(prompt: str, target: str) -> None:
    assert kept(prompt) == (target, True)
    assert any(told.field == "mask" and target in told.text and told.is_warning for told in made(prompt).notices)


@pytest.mark.parametrize(
    "prompt",
    [
        "Leave everything but the hat in <IMGPAD>, and make the hat red.",
        "Don't touch anything except the sky in <IMGPAD>; make the sky pink.",
        "Replace nothing but the door in <IMGPAD> with a curtain.",
        "Remove the dog in <IMGPAD>.",
        "\u4fdd\u7559<IMGPAD>\u9664\u4e86\u5934\u53d1\u4ee5\u5916\u7684\u4e00\u5207,\u628a\u5934\u53d1\u6362\u6210\u84dd\u8272",
    ],
)
def test_a_thing_alone_is_changed(prompt: str) -> None:
    assert kept(prompt)[1] is False


def test_all_sides_grow() -> None:
    borders = made("Expand <IMGPAD> on all sides.").plan.borders
    assert borders is not None and 0 not in (borders.left, borders.top, borders.right, borders.bottom)
    sideways = made("Expand <IMGPAD> at the sides.").plan.borders
    assert sideways is not None and (sideways.top, sideways.bottom) == (0, 0) and sideways.left and sideways.right


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("portrait of a sailor, 1024x1024, seed 42, 30 steps, cfg 7", ("seed 42", "30 steps", "cfg 7")),
        ("a cat --v 6 --ar 16:9", ("--v 6",)),
        ("(masterpiece:1.2), a fox, <lora:oil:0.8>", ("(masterpiece:1.2)", "<lora:oil:0.8>")),
        ("a castle. Negative prompt: blurry", ("negative prompt: blurry",)),
        ("Generate 4 images of a lighthouse.", ("generate 4 images",)),
        ("\u753b\u4e09\u5f20\u732b\u7684\u7167\u7247", ("\u753b\u4e09\u5f20\u732b\u7684\u7167\u7247",)),
    ],
)
def test_settings_and_numbers_of_results_are_told(prompt: str, said: tuple[str, ...]) -> None:
    told = " ".join(told.text for told in made(prompt).notices if told.field == "settings" and told.is_warning)
    assert all(repr(one) in told for one in said) and "--ar" not in told


@pytest.mark.parametrize(
    "prompt",
    [
        "A staircase with 30 steps, 640x480.",
        "Three cats on two chairs.",
        "\u753b\u4e09\u4e2a\u82f9\u679c",
        "A seed in the soil (at 12:30).",
    ],
)
def test_scenes_with_numbers_are_no_settings(prompt: str) -> None:
    assert not any(told.field == "settings" for told in made(prompt).notices)
