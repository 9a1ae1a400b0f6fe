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
