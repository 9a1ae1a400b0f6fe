"""Which medium words make the mask: the same wording tells it wherever the media stand."""

from __future__ import annotations

import pytest

from unison_backend.plan.prompt import parse_pads
from unison_backend.planner.rules import roles
from unison_backend.planner.rules.language import load
from unison_backend.planner.rules.mask_model import candidates
from unison_backend.planner.rules.plan import plan
from unison_backend.planner.rules.reading import read

pytestmark = pytest.mark.fast

PAD, CLIP = "<IMGPAD>", "<VIDPAD>"


@pytest.mark.parametrize(
    ("prompt", "mask", "source"),
    [
        (f"{PAD} {PAD} The former is the mask of the latter: a red door.", 0, 1),
        (f"{PAD} {PAD} The latter is the mask of the former: a red door.", 1, 0),
        (f"The second image is what I edit, the first image is the mask. {PAD} {PAD} Add a hat.", 0, 1),
        (f"The first image is what I edit, the second image is the mask. {PAD} {PAD} Add a hat.", 1, 0),
        (f"Make the area of {PAD} in {PAD} a pond", 0, 1),
        (f"In {PAD} make the area of {PAD} a pond", 1, 0),
        (f"{CLIP} is the clip, {CLIP} the mask: the dog becomes a wolf", 1, 0),
        (f"{CLIP} is the mask, {CLIP} the clip: the dog becomes a wolf", 0, 1),
        (f"\u524d\u8005\u662f\u84d9\u7248\uff0c\u540e\u8005\u662f\u539f\u56fe\uff1a{PAD}{PAD}\uff0c\u52a0\u4e00\u9876\u5e3d\u5b50", 0, 1),
        (f"\u524d\u8005\u662f\u539f\u56fe\uff0c\u540e\u8005\u662f\u84d9\u7248\uff1a{PAD}{PAD}\uff0c\u52a0\u4e00\u9876\u5e3d\u5b50", 1, 0),
    ],
)  # fmt: skip
def test_the_mask_is_told_by_words_and_not_by_its_place(prompt: str, mask: int, source: int) -> None:
    made = plan(parse_pads(prompt))
    assert (made.mask, made.source) == (mask, source), made.tokens


@pytest.mark.parametrize(
    ("order", "source"),
    [
        ("{mask} marks the lamp of {room}, the new lamp is in {shop}. Swap it.", "room"),
        ("The new lamp is in {shop}. Put it into {room}, where {mask} is white.", "room"),
        ("Photo {room}, mask {mask}, reference {shop}: a new lamp", "room"),
        ("Reference {shop}, photo {room}, mask {mask}: a new lamp", "room"),
        ("{mask} says where, {shop} says what, {room} is what changes", "room"),
        ("\u53c2\u8003{shop}\uff0c\u7167\u7247{room}\uff0c\u906e\u7f69{mask}\uff1a\u6362\u706f", "room"),
        ("{mask}\u8bf4\u660e\u4f4d\u7f6e\uff0c{shop}\u662f\u6837\u5b50\uff0c{room}\u662f\u8981\u6539\u7684\u56fe", "room"),
    ],
)  # fmt: skip
def test_of_three_media_the_source_is_told_by_all_words(order: str, source: str) -> None:
    places = sorted(("mask", "room", "shop"), key=lambda name: order.index(f"{{{name}}}"))
    made = plan(parse_pads(order.format(mask=PAD, room=PAD, shop=PAD)))
    wanted = (places.index("mask"), places.index(source), (places.index("shop"),))
    assert (made.mask, made.source, made.references) == wanted, made.tokens


@pytest.mark.parametrize(
    ("prompt", "edits"),
    [
        (f"Would you be so kind and paint the gate black in {PAD}? {PAD} shows where.", True),
        (f"Can we get rid of the puddle? The photo is {PAD}, its mask {PAD}.", True),
        (f"What does the mask {PAD} mark in {PAD}?", False),
        (f"Does the white of {PAD} cover the whole gate in {PAD}?", False),
        (f"\u80fd\u4e0d\u80fd\u628a{PAD}\u91cc\u7684\u5927\u95e8\u6d82\u9ed1\uff1f\u8499\u7248\u662f{PAD}\u3002", True),
        (f"{PAD}\u7684\u8499\u7248{PAD}\u8986\u76d6\u4e86\u4ec0\u4e48\uff1f", False),
    ],
)  # fmt: skip
def test_an_order_in_the_form_of_a_question_is_no_question_about_a_mask(prompt: str, edits: bool) -> None:
    made = plan(parse_pads(prompt))
    assert made.task.is_generation is edits and (made.mask is not None) is edits, made.tokens


def test_a_mask_behind_a_long_description_is_found() -> None:
    scene = "There is a garden with roses, a bench, two cats and a pond under old trees. " * 8
    made = plan(parse_pads(f"{PAD} {scene} Turn the bench blue, its mask is {PAD}."))
    assert (made.mask, made.source) == (1, 0)


def test_media_are_counted_in_words_and_figures() -> None:
    text, language = read(parse_pads(f"{PAD} {PAD} {PAD} Image 2 is the mask of the last, the first is the look"))
    assert [medium for _, _, medium in roles.counted(text.words, language)] == [1, 2, 0]
    text = "\ue000\ue001\u56fe2\u662f\u524d\u8005\u7684\u84d9\u7248"
    assert [medium for _, _, medium in roles.counted(text, load("zh"))] == [1, 0]


def test_a_wording_learnt_of_one_medium_serves_for_the_other() -> None:
    first, second = (
        candidates(words, ("image", "image"), None, ())
        for words in ("mask \ue000, photo \ue001", "photo \ue000, mask \ue001")
    )
    assert {"#mineCmask", "gmask #mine", "#mine<mask"} <= first[0] & second[1]
    assert not {"#mineCmask", "gmask #mine", "#mine<mask"} & (first[1] | second[0])


def test_a_row_of_media_costs_no_more_the_longer_it_is() -> None:
    def looked_at(count: int) -> int:
        text = "mask " + "\ue000" * count
        return sum(map(len, candidates(text, ("image",) * count, 0, ()).values()))

    assert looked_at(2000) == looked_at(60) < 2000


# fmt: off
STATED = [
    ("The mask of <IMGPAD> is <IMGPAD>: take the balloon away, please.", 1),
    ("Inside <IMGPAD>, which is the mask of <IMGPAD>, paint the roof snowy.", 0),
    ("<IMGPAD> is the mask of <IMGPAD>. Paint the roof red.", 0),
    ("Remove the dog, the mask for the photo <IMGPAD> is <IMGPAD>", 1),
    ("<IMGPAD>\u662f<IMGPAD>\u7684\u8499\u7248\uff0c\u628a\u96d5\u50cf\u6362\u6210\u4e00\u53ea\u523a\u732c\u3002", 0),
    ("<IMGPAD>\u7684\u8499\u7248\u662f<IMGPAD>\uff0c\u628a\u8f66\u53bb\u6389", 1),
]
# fmt: on


@pytest.mark.parametrize(("text", "mask"), STATED)
def test_what_is_plainly_the_mask_of_another_is_it(text, mask):
    made = plan(parse_pads(text))
    assert (made.mask, made.source) == (mask, 1 - mask)
