"""Words that make an order of one kind, whatever it looks like otherwise."""

from __future__ import annotations

import pytest

from unison_backend.plan.plan import Plan, is_whole_frame
from unison_backend.plan.prompt import parse_pads
from unison_backend.plan.tasks import Task
from unison_backend.planner.rules.plan import planned

pytestmark = pytest.mark.fast


def plan_of(prompt: str) -> Plan:
    return planned(parse_pads(prompt)).plan


@pytest.mark.parametrize(
    ("prompt", "target"),
    [
        ('Add the text "Grand Opening" to <IMGPAD>.', None),
        ("please write 'Luna' on the boat in <IMGPAD>", "boat"),
        ('Put the slogan "Stay curious" on <IMGPAD>', None),
        ('Engrave "1923" into the stone in <IMGPAD>.', "stone"),
        ("Add a title to <IMGPAD> that reads winter sale", None),
        ("\u5728<IMGPAD>\u4e0a\u52a0\u6587\u5b57\u201c\u4fc3\u9500\u201d", None),
        ("\u628a\u201c\u4f60\u597d\u201d\u5199\u5230<IMGPAD>\u7684\u5899\u4e0a", "\u5899"),
    ],
)
def test_words_that_are_to_stand_in_a_picture_edit_it(prompt: str, target: str | None) -> None:
    made = plan_of(prompt)
    assert (made.task, made.source, made.target) == (Task.IMAGE_EDITING, 0, target)


@pytest.mark.parametrize(
    "prompt",
    [
        "Write a caption for <IMGPAD>.",
        'Why does it say "OPEN" on the sign in <IMGPAD>?',
        "ocr <IMGPAD>",
        "Transcribe <IMGPAD>",
        "\u8bc6\u522b<IMGPAD>\u91cc\u7684\u6587\u5b57",
    ],
)
def test_text_about_a_picture_is_an_answer(prompt: str) -> None:
    assert plan_of(prompt).task is Task.IMAGE_UNDERSTANDING


@pytest.mark.parametrize(
    ("prompt", "changed", "lends"),
    [
        ("<IMGPAD> in the style of <IMGPAD>", 0, 1),
        ("Give <IMGPAD> the style of <IMGPAD>.", 0, 1),
        ("Use the art style of <IMGPAD> for <IMGPAD>", 1, 0),
        ("\u7528<IMGPAD>\u7684\u98ce\u683c\u91cd\u753b<IMGPAD>", 1, 0),
    ],
)
def test_a_picture_that_lends_its_style_is_a_reference(prompt: str, changed: int, lends: int) -> None:
    made = plan_of(prompt)
    assert is_whole_frame(made.target) and made.references == (lends,)
    assert made.task is Task.IMAGE_CONTROL and made.control_medium == changed


@pytest.mark.parametrize(
    ("prompt", "video"),
    [
        ("Make the robot in <IMGPAD> do the dance from <VIDPAD>.", 1),
        ("the chef in <IMGPAD> moves like the man in <VIDPAD>", 1),
        ("dance like <VIDPAD>, character <IMGPAD>", 0),
        ("\u8ba9<IMGPAD>\u91cc\u7684\u732b\u6a21\u4eff<VIDPAD>\u91cc\u7684\u52a8\u4f5c", 1),
    ],
)
def test_somebody_who_moves_as_in_a_video_follows_its_pose(prompt: str, video: int) -> None:
    made = plan_of(prompt)
    assert (made.task, made.control, made.control_medium) == (Task.VIDEO_CONTROL, "pose", video)
    assert made.references == (1 - video,)


@pytest.mark.parametrize("prompt", ["Beautify <IMGPAD>", "please relight the photo <IMGPAD>", "<IMGPAD> soften it"])
def test_one_verb_and_a_picture_mean_all_of_it(prompt: str) -> None:
    assert is_whole_frame(plan_of(prompt).target)


@pytest.mark.parametrize("prompt", ["Blur the faces in <IMGPAD>", "<IMGPAD> remove the car", "erase <IMGPAD>'s clock"])
def test_a_verb_and_a_thing_mean_the_thing(prompt: str) -> None:
    assert plan_of(prompt).source == 0 and not is_whole_frame(plan_of(prompt).target)


def test_an_answer_that_is_asked_for_stays_one() -> None:
    assert planned(parse_pads('Add "SALE" to <IMGPAD>'), "answer").plan.task is Task.IMAGE_UNDERSTANDING


@pytest.mark.parametrize("prompt", ["<IMGPAD>", "<IMGPAD>, <IMGPAD>."])
def test_media_without_a_word_are_told(prompt: str) -> None:
    assert any("says nothing else" in told.text for told in planned(parse_pads(prompt)).notices)


@pytest.mark.parametrize(
    "prompt",
    [
        "put me on a beach <IMGPAD>",
        "<IMGPAD> put me on the moon",
        "<IMGPAD> put her in front of the Eiffel tower",
        "can you put us in a castle? <IMGPAD>",
        "<IMGPAD> \u628a\u6211\u653e\u5230\u6d77\u8fb9",
    ],
)
def test_a_person_who_is_put_somewhere_is_a_reference(prompt: str) -> None:
    made = plan_of(prompt)
    assert (made.task, made.references, made.source) == (Task.IMAGE_REFERENCE, (0,), None)


@pytest.mark.parametrize(
    "prompt",
    [
        "put a hat on her <IMGPAD>",
        "<IMGPAD> put her on the left",
        "put the cup on a table <IMGPAD>",
        "<IMGPAD> \u628a\u82b1\u74f6\u653e\u5230\u684c\u5b50\u4e0a",
    ],
)
def test_what_is_put_into_the_picture_edits_it(prompt: str) -> None:
    assert plan_of(prompt).task is Task.IMAGE_EDITING


@pytest.mark.parametrize(
    "prompt",
    [
        "make him dance <IMGPAD>",
        "<IMGPAD> let the dog run",
        "can you make my dog fly <IMGPAD>",
        "make the man in <IMGPAD> walk",
        "<IMGPAD> \u8ba9\u4ed6\u8df3\u821e",
        "\u8ba9\u5c0f\u72d7\u8dd1\u8d77\u6765 <IMGPAD>",
    ],
)
def test_somebody_who_is_made_to_move_is_a_video(prompt: str) -> None:
    made = plan_of(prompt)
    assert made.task is Task.IMAGE_TO_VIDEO and [(frame.medium, frame.place) for frame in made.frames] == [(0, "first")]


@pytest.mark.parametrize(
    "prompt", ["make her smile <IMGPAD>", "<IMGPAD> make the dog bigger", "<IMGPAD> make her hair wavy"]
)
def test_somebody_who_looks_otherwise_is_edited(prompt: str) -> None:
    assert plan_of(prompt).task is Task.IMAGE_EDITING


@pytest.mark.parametrize(
    "prompt",
    [
        "combine these two <IMGPAD> <IMGPAD>",
        "merge the photos <IMGPAD> and <IMGPAD>",
        "<IMGPAD><IMGPAD> \u5408\u6210\u8fd9\u4e24\u5f20",
    ],
)
def test_pictures_that_become_one_are_references(prompt: str) -> None:
    made = plan_of(prompt)
    assert (made.task, made.references) == (Task.IMAGE_REFERENCE, (0, 1))


def test_words_that_call_the_result_a_video_make_one() -> None:
    assert plan_of("put me in a video on mars <IMGPAD>").task is Task.VIDEO_REFERENCE
    assert plan_of("combine them into a short clip <IMGPAD> <IMGPAD>").task is Task.VIDEO_REFERENCE


def test_one_picture_cannot_be_combined() -> None:
    assert plan_of("combine these two <IMGPAD>").task is not Task.IMAGE_REFERENCE


def test_who_is_only_pointed_at_is_a_person() -> None:
    assert plan_of("<IMGPAD> \u7ed9\u5979\u6234\u6761\u9879\u94fe").target == "\u4eba"


@pytest.mark.parametrize(
    ("prompt", "task", "target"),
    [
        ("make me look younger <IMGPAD>", Task.IMAGE_EDITING, "person"),
        ("<IMGPAD> \u53d8\u5e74\u8f7b", Task.IMAGE_EDITING, "\u4eba"),
        ("<IMGPAD> \u7ed9\u4ed6\u6234\u58a8\u955c", Task.IMAGE_EDITING, "\u4eba"),
        ("<IMGPAD> put me in a suit", Task.IMAGE_EDITING, "person"),
        ("no more glasses <IMGPAD>", Task.IMAGE_EDITING, "glasses"),
        ("<IMGPAD> \u4e0d\u8981\u773c\u955c\u4e86", Task.IMAGE_EDITING, "\u773c\u955c"),
        ("my living room but with a green sofa <IMGPAD>", Task.IMAGE_EDITING, "sofa"),
        ("I'd like to see how this room looks with white walls <IMGPAD>", Task.IMAGE_EDITING, "walls"),
        (
            "<IMGPAD> \u60f3\u770b\u770b\u8fd9\u4e2a\u623f\u95f4\u5237\u767d\u5899\u662f\u4ec0\u4e48\u6837",
            Task.IMAGE_EDITING,
            "\u5899",
        ),
        ("<IMGPAD> \u6362\u6210\u665a\u4e0a", Task.IMAGE_CONTROL, "the whole frame"),
        ("<IMGPAD> this but at night", Task.IMAGE_CONTROL, "the whole frame"),
        ("my grandma would love to see this in colour <IMGPAD>", Task.IMAGE_CONTROL, "the whole frame"),
        ("make a meme out of this <IMGPAD>", Task.IMAGE_REFERENCE, None),
    ],
)
def test_a_spoken_wish_beside_a_picture(prompt: str, task: Task, target: str | None) -> None:
    made = plan_of(prompt)
    assert (made.task, made.target) == (task, target)


def test_colours_that_are_wished_for_keep_the_brightness() -> None:
    assert plan_of("my grandma would love to see this in colour <IMGPAD>").control == "grey"


@pytest.mark.parametrize(
    ("prompt", "target"),
    [
        ("<IMGPAD> motorbike -> horse", "motorbike"),
        ("red door => green door <IMGPAD>", "door"),
        ("<IMGPAD>\u6469\u6258\u8f66\u2192\u9a6c", "\u6469\u6258\u8f66"),
    ],
)
def test_an_arrow_between_two_things_is_an_edit(prompt: str, target: str) -> None:
    made = plan_of(prompt)
    assert (made.task, made.source) == (Task.IMAGE_EDITING, 0) and target in str(made.target)


@pytest.mark.parametrize("prompt", ["photo -> oil painting <IMGPAD>", "<IMGPAD>\u7167\u7247\u2192\u6cb9\u753b"])
def test_an_arrow_from_the_picture_itself_changes_all_of_it(prompt: str) -> None:
    assert is_whole_frame(plan_of(prompt).target)


@pytest.mark.parametrize(
    ("prompt", "task"),
    [
        ("A portrait of the girl in <IMGPAD>, shallow depth of field", Task.IMAGE_REFERENCE),
        ("Draw my dog in the style of this sketch <IMGPAD>", Task.IMAGE_REFERENCE),
        ("With the lines in <IMGPAD>, paint a castle", Task.IMAGE_CONTROL),
        ("Follow the depth of <IMGPAD> for a forest, shallow depth of field", Task.IMAGE_CONTROL),
    ],
)
def test_a_lone_picture_lends_what_is_said_of_it(prompt: str, task: Task) -> None:
    assert plan_of(prompt).task is task
