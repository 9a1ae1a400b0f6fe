"""Orders for what no model here does: refused when they are all, told when they are a part, never misread."""

from __future__ import annotations

import pytest

from unison_backend.errors import InputError
from unison_backend.plan.prompt import parse_pads
from unison_backend.planner.rules.language import load
from unison_backend.planner.rules.operations import OPERATIONS
from unison_backend.planner.rules.plan import planned

pytestmark = pytest.mark.fast

IMG, VID = "<IMGPAD>", "<VIDPAD>"
# None of these stands in the rules' own examples.
WHOLE = {
    "scale": [
        f"Upscale this photo {IMG} 4x please.",
        f"please resize {IMG} to 1920x1080",
        f"Could you upscale {VID} to 4K?",
        f"{IMG} upscale it to 2048 px",
        f"enlarge {IMG}",
        f"\u8bf7\u628a\u8fd9\u5f20\u56fe\u7247{IMG}\u653e\u5927\u56db\u500d",
        f"\u5e2e\u6211\u5c06{IMG}\u7f29\u5c0f\u5230256x256",
        f"{VID}\u8d85\u5206\u5230 4k",
    ],
    "turn": [f"Rotate {IMG} 45 degrees clockwise.", f"turn {VID} upside down!", f"\u628a{IMG}\u65cb\u8f6c180\u5ea6"],
    "mirror": [
        f"Flip {IMG} vertically",
        f"hi, please mirror the video {VID}",
        f"\u8bf7\u628a{IMG}\u5de6\u53f3\u955c\u50cf",
    ],
    "crop": [
        f"Crop {IMG} to 4:3, thanks!",
        f"can you crop {IMG} around the face?",
        f"Zoom in on the eyes in {IMG}",
        f"\u88c1\u526a{IMG}\u62103:2",
    ],
    "trim": [
        f"Trim {VID} to 5 seconds.",
        f"cut {VID} after 3 seconds",
        f"keep only the last 2 seconds of the clip {VID}",
        f"\u622a\u53d6{VID}\u7684\u7b2c2\u79d2\u52304\u79d2",
    ],
    "speed": [
        f"Slow {VID} down to half speed",
        f"speed up {VID} by 3x",
        f"make {VID} slow motion",
        f"convert {VID} to 60 fps",
        f"\u628a{VID}\u653e\u61622\u500d",
        f"\u628a{VID}\u7684\u5e27\u7387\u6539\u621030",
    ],
    "reverse": [f"Reverse the clip {VID}.", f"play {VID} in reverse", f"\u628a{VID}\u5012\u64ad"],
    "loop": [f"Loop {VID} seamlessly.", f"turn {VID} into a perfect loop", f"\u8ba9{VID}\u65e0\u7f1d\u5faa\u73af"],
    "steady": [
        f"please stabilise {VID}",
        f"Stabilize the footage {VID}!",
        f"\u7ed9{VID}\u505a\u9632\u6296\u5904\u7406",
    ],
    "convert": [
        f"convert {IMG} to a PNG file",
        f"Save {VID} as MP4",
        f"compress {IMG}",
        f"\u628a{VID}\u8f6c\u6210webm",
    ],
    "restore": [
        f"Please sharpen the blurry photo {IMG}.",
        f"enhance the quality of {VID}",
        f"can you restore my old picture {IMG}?",
        f"\u8bf7\u628a{IMG}\u9510\u5316\u4e00\u4e0b",
        f"\u65e7\u7167\u7247\u4fee\u590d{IMG}",
    ],
    "transparent": [
        f"Make the background of {IMG} transparent, please",
        f"give {IMG} an alpha channel",
        f"\u8bf7\u628a{IMG}\u7684\u80cc\u666f\u8bbe\u4e3a\u900f\u660e",
    ],
    "map": [
        f"Generate a depth map of {IMG}.",
        f"extract the canny edges from {VID}",
        f"segment all the people in {IMG}",
        f"\u63d0\u53d6{IMG}\u7684\u9aa8\u67b6\u56fe",
    ],
    "sound": [
        f"Add calm music to {VID}",
        f"mute the video {VID}, please",
        f"\u7ed9{VID}\u914d\u97f3",
        f"\u5220\u9664{VID}\u7684\u97f3\u9891",
    ],
}
KEPT = [
    f"Enlarge the moon in {IMG}.",
    f"Make the cat in {IMG} bigger.",
    f"Rotate the arrow in {IMG} to the left.",
    f"A video of {IMG} slowly rotating",
    f"Flip the switch in {IMG}",
    f"Put a cropped jacket on the woman in {IMG}",
    f"Cut the rope in {VID}",
    f"Speed up the runner in {VID}",
    f"Turn {IMG} into a watercolour",
    f"Turn {VID} into a western",
    f"Convert {IMG} to anime style",
    f"Make {IMG} into a video, slow motion",
    f"A city from the depth map {IMG}",
    f"Use the pose of {IMG} for a knight",
    f"Outpaint {IMG} to 16:9",
    f"Zoom out of {IMG}",
    f"Extend {IMG} to the left",
    f"Add a music stand to {IMG}",
    f"Add subtitles in yellow to the sign in {IMG}",
    f"Remove the background of {IMG}",
    f"Make the umbrella in {IMG} transparent",
    f"Continue {VID} for 2 seconds",
    f"Restore the missing letters of the sign in {IMG}",
    f"Sharpen the pencil in {IMG}",
    f"Remove the grain field from {IMG}",
    f"A video that zooms in on {IMG}",
    f"\u4fee\u590d{IMG}\u91cc\u65ad\u6389\u7684\u624b\u81c2",
    f"How do I crop {IMG}?",
    f"Is {VID} played in reverse?",
    f"Which rotation does {IMG} have?",
    "a mirror in a loop of light, 60 fps video",
    "Rotate it by 90 degrees",
    f"\u628a{IMG}\u91cc\u7684\u732b\u653e\u5927",
    f"\u8ba9{IMG}\u91cc\u7684\u98ce\u8f66\u65cb\u8f6c\u8d77\u6765",
    f"\u628a{IMG}\u8f6c\u6210\u6c34\u5f69\u753b",
    f"\u6839\u636e{IMG}\u7684\u6df1\u5ea6\u56fe\u753b\u4e00\u95f4\u5ba2\u5385",
    f"\u7ed9{VID}\u52a0\u4e0a\u5927\u96ea",
    f"{VID}\u662f\u5012\u653e\u7684\u5417?",
]


@pytest.mark.parametrize(("name", "prompt"), [(name, prompt) for name, prompts in WHOLE.items() for prompt in prompts])
def test_such_an_order_is_refused_with_what_does_it(name: str, prompt: str) -> None:
    with pytest.raises(InputError) as caught:
        planned(parse_pads(prompt))
    what, instead = OPERATIONS[name]
    assert what in str(caught.value) and instead in str(caught.value)


@pytest.mark.parametrize("name", ["en", "zh"])
def test_what_a_rule_matches_has_one_of_its_stems(name: str) -> None:
    rules = [rule for key in OPERATIONS for rule in load(name).rules(f"operations.{key}")]
    without = [
        (rule.label, yes)
        for rule in rules
        for yes in rule.written["yes"]
        if not any(stem in yes for stem in rule.written["stems"])
    ]
    assert len(rules) >= len(OPERATIONS) and without == []


def test_every_operation_is_tried() -> None:
    assert set(WHOLE) == set(OPERATIONS)


@pytest.mark.parametrize("prompt", KEPT)
def test_what_sounds_like_it_is_read_as_ever(prompt: str) -> None:
    assert not any(told.field == "operation" for told in planned(parse_pads(prompt)).notices)


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        (f"Paint the wall in {IMG} red and upscale it to 1024x1024.", "scale"),
        (f"Make the car in {VID} blue, then play it in reverse", "reverse"),
        (f"Turn the dog in {VID} into a cat and add music to it", "sound"),
        (f"\u628a{IMG}\u91cc\u7684\u732b\u6362\u6210\u72d7,\u518d\u628a\u5b83\u653e\u5927\u4e24\u500d", "scale"),
    ],
)
def test_a_part_that_nothing_does_is_told(prompt: str, name: str) -> None:
    told = [told for told in planned(parse_pads(prompt)).notices if told.field == "operation"]
    assert [OPERATIONS[name][0] in one.text and one.is_warning for one in told] == [True]


def test_an_answer_that_is_asked_for_is_given() -> None:
    assert planned(parse_pads(f"Rotate {IMG} by 90 degrees"), "answer").plan.task.is_generation is False
