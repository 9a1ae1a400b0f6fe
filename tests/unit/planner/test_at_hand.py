"""Media that are merely connected change nothing; those that the words speak of take part."""

from __future__ import annotations

import pytest

from unison_backend.errors import PromptError
from unison_backend.plan.prompt import Medium
from unison_backend.planner.at_hand import AtHand
from unison_backend.planner.rules.media_meant import meant
from unison_backend.planner.rules.plan import planned

pytestmark = pytest.mark.fast

SIZES = {"image1": (64, 48), "image2": (32, 32), "video1": (80, 64), "mask1": (64, 48), "mask2": (80, 64)}


def media(*names: str) -> dict[str, list[Medium]]:
    """Sockets in the planner's order."""
    kinds = {name: "video" if name.startswith("video") else "image" for name in sorted(SIZES)}
    return {
        name: [Medium(kinds[name], name=name, is_mask=name.startswith("mask"))] for name in SIZES if name in names
    }  # fmt: skip


ALL = tuple(SIZES)
CASES = [
    # (instruction, connected, media that take part, task)
    ("Create a 64x64 image of a red circle on a blue background.", ALL, [], "text_to_image"),
    ("Create a 64x64 video of a red circle that moves to the right, 9 frames.", ALL, [], "text_to_video"),
    ("A red kite over the sea", ("image1", "video1"), [], "text_to_image"),
    ("What is a kite?", ALL, [], "text_understanding"),
    ("Make the square in <image1> red. <mask1>", ALL, ["image1", "mask1"], "image_editing"),
    ("Make the square in <image1> red.", ALL, ["image1", "mask1"], "image_editing"),
    ("Make the square in <image1> red.", ("image1", "mask1", "mask2"), ["image1", "mask1"], "image_editing"),
    ("Make the square in <image1> red.", ("image1", "mask2"), ["image1", "mask2"], "image_editing"),
    ("Make the square in <video1> red.", ALL, ["video1", "mask2"], "video_editing"),
    ("Make the square in <video1> red.", ("image1", "video1", "mask1"), ["video1"], "video_editing"),
    ("Make the square in <image2> red.", ("image2", "mask1"), ["image2", "mask1"], "image_editing"),
    ("Make a 64x64 video that starts with <image1>", ALL, ["image1"], "image_to_video"),
    ("Create an image of the person in <image1> and the dog in <image2>", ALL, ["image1", "image2"], "image_reference"),
    ("Create an image of a house that follows the edge map <image1>.", ALL, ["image1"], "image_control"),
    ("What is in <video1>?", ALL, ["video1"], "video_understanding"),
    ("Make the sky red", ("image1",), ["image1"], "image_editing"),
    ("Make the sky red", ("image1", "mask1"), ["image1", "mask1"], "image_editing"),
    ("Make the sky red", ("video1",), ["video1"], "video_editing"),
    ("Animate the picture", ("image1", "video1", "mask1"), ["image1"], "image_to_video"),
    ("What is shown in the picture?", ("image1", "video1", "mask1"), ["image1"], "image_understanding"),
    ("What happens in the video?", ("image1", "video1"), ["video1"], "video_understanding"),
    ("a red hat", ("image1", "mask1"), ["image1", "mask1"], "image_editing"),
    ("a red hat", ("image1",), [], "text_to_image"),
    ("Create an image of a red circle", ("image1", "mask1"), [], "text_to_image"),
    ("Make the car in the video red", ("image1", "video1"), ["video1"], "video_editing"),
    ("\u628a\u5929\u7a7a\u53d8\u6210\u7ea2\u8272", ("image1",), ["image1"], "image_editing"),
    ("\u751f\u6210\u4e00\u5f20\u7ea2\u8272\u5706\u5f62\u7684\u56fe\u7247", ("image1",), [], "text_to_image"),
    ("\u8ba9\u56fe\u7247\u52a8\u8d77\u6765", ("image1", "video1"), ["image1"], "image_to_video"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "connected", "taken", "task"), CASES)
def test_what_takes_part(text: str, connected: tuple[str, ...], taken: list[str], task: str) -> None:
    prompt, reasons = AtHand(media(*connected), SIZES).meant_by(text)
    assert [medium.name for medium in prompt.media] == taken
    assert str(planned(prompt).plan.task) == task
    told = " ".join(reason.text for reason in reasons)
    for name in set(connected) - set(taken):
        assert f"<{name}>" in told  # nothing is left out in silence
    unnamed = [name for name in taken if f"<{name}>" not in text and not name.startswith("mask")]
    assert all(f"<{name}> is taken" in told for name in unnamed)


def test_of_two_pictures_the_first_is_taken_under_a_warning() -> None:
    prompt, reasons = AtHand(media("image1", "image2"), SIZES).meant_by("Make the sky red")
    assert [medium.name for medium in prompt.media] == ["image1"]
    assert [(reason.is_warning, "<image2>" in reason.text) for reason in reasons] == [(True, True), (False, True)]


def test_of_two_pictures_the_one_that_a_mask_was_painted_on_is_meant() -> None:
    sizes = SIZES | {"mask1": SIZES["image2"]}
    prompt, _ = AtHand(media("image1", "image2", "mask1"), sizes).meant_by("Make the sky red")
    assert [medium.name for medium in prompt.media] == ["image2", "mask1"]


def test_every_picture_of_a_batch_that_is_meant_takes_part() -> None:
    batch = {"image1": [Medium("image", name="image1"), Medium("image", name="image1 #2")]}
    prompt, _ = AtHand(batch, SIZES).meant_by("Make the sky red")
    assert len(prompt.media) == 2


def test_a_name_that_is_not_connected_says_what_is() -> None:
    with pytest.raises(PromptError, match="<video1>, but that input is not connected; connected: image1, mask1"):
        AtHand(media("image1", "mask1"), SIZES).meant_by("What happens in <video1>?")


NEEDS = ["Remove the dog", "Animate it", "Make it anime style", "Zoom out", "caption this", "make the circle blue"]
NEEDS_NONE = ["Draw a cat", "Generate a video of a dog running", "portrait of a woman with red hair", "red hat"]


@pytest.mark.parametrize("text", [*NEEDS, *NEEDS_NONE])
def test_whether_words_need_a_medium(text: str) -> None:
    speaks = meant(text)
    assert speaks.needs_one == (text in NEEDS)
    assert not speaks.kinds
