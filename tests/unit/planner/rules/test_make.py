"""What a person says is to come out wins; what is read, guessed and not taken is said."""

from __future__ import annotations

import pytest

from unison_backend.errors import InputError
from unison_backend.plan.borders import Borders
from unison_backend.plan.plan import WHOLE_FRAME, Frame
from unison_backend.plan.prompt import Medium, bind_names, parse_pads
from unison_backend.plan.tasks import Task
from unison_backend.planner.rules.plan import planned

pytestmark = pytest.mark.fast


def said(words: str, field: str, **options: object) -> str:
    """The notices about a field."""
    made = planned(parse_pads(words), **options)  # type: ignore[arg-type]
    return "; ".join(notice.text for notice in made.notices if notice.field == field)


@pytest.mark.parametrize(
    ("words", "make", "task"),
    [
        ("What is a lighthouse?", "picture", Task.TEXT_TO_IMAGE),
        ("What is a lighthouse?", "video", Task.TEXT_TO_VIDEO),
        ("What is a lighthouse?", "made", Task.TEXT_TO_IMAGE),
        ("Create a video of a lighthouse.", "picture", Task.TEXT_TO_IMAGE),
        ("Create a picture of a lighthouse.", "answer", Task.TEXT_UNDERSTANDING),
        ("<IMGPAD> Make the door blue.", "answer", Task.IMAGE_UNDERSTANDING),
        ("<IMGPAD> What is she doing?", "video", Task.IMAGE_TO_VIDEO),
        ("<VIDPAD> Who is that?", "answer", Task.VIDEO_UNDERSTANDING),
    ],
)
def test_what_is_to_come_out_is_the_persons_word(words: str, make: str, task: Task) -> None:
    assert planned(parse_pads(words), make).plan.task is task  # type: ignore[arg-type]


def test_what_these_media_cannot_give_is_refused() -> None:
    with pytest.raises(InputError, match="a picture cannot be made of these media"):
        planned(parse_pads("<VIDPAD> Turn it into a picture."), "picture")
    media = {"video1": Medium("video", name="video1"), "mask1": Medium("video", name="mask1", is_mask=True)}
    with pytest.raises(InputError, match="a picture"):
        planned(bind_names("Make the car red.", media), "picture")


def test_a_new_look_for_everything_is_steered_by_its_shapes() -> None:
    made = planned(parse_pads("<IMGPAD> Turn this photo into a watercolour."))
    assert (made.plan.task, made.plan.control, made.plan.target) == (Task.IMAGE_CONTROL, "depth", WHOLE_FRAME)
    assert made.plan.source is None and made.plan.references == ()
    assert "faces and colours may change" in "".join(notice.text for notice in made.notices)
    assert planned(parse_pads("<IMGPAD> Colourise this old photo.")).plan.control == "grey"
    with_mask = planned(parse_pads("Mask <IMGPAD>, photo <IMGPAD>: turn it into a watercolour."))
    assert (with_mask.plan.task, with_mask.plan.mask) == (Task.IMAGE_EDITING, 0)


@pytest.mark.parametrize(
    ("words", "borders"),
    [
        ("Outpaint <IMGPAD> to 16:9.", Borders(aspect=(16, 9))),
        ("Outpaint <IMGPAD> to the left by 200 pixels.", Borders(left=200)),
        ("Extend the canvas of <IMGPAD> upwards by 50 %.", Borders(top=__import__("fractions").Fraction(1, 2))),
        ("\u628a<IMGPAD>\u5411\u53f3\u6269\u56fe100\u50cf\u7d20", Borders(right=100)),
    ],
)
def test_how_far_a_picture_is_to_grow(words: str, borders: Borders) -> None:
    made = planned(parse_pads(words)).plan
    assert (made.task, made.source, made.borders) == (Task.IMAGE_EDITING, 0, borders)
    assert made.width is None


def test_an_amount_that_is_not_said_is_said_to_be_guessed() -> None:
    assert "a quarter" in said("Zoom out of <IMGPAD> and show more of the room.", "borders")
    assert said("Outpaint <IMGPAD> to 16:9.", "borders") == ""


def test_continuing_a_clip_is_understood() -> None:
    made = planned(parse_pads("Continue <VIDPAD> by 3 seconds.")).plan
    assert (made.task, made.frames, made.num_frames) == (Task.IMAGE_TO_VIDEO, (Frame(0, "first"),), 72)


def test_a_mask_that_marks_what_stays() -> None:
    made = planned(parse_pads("Keep what is white in the mask <IMGPAD>, change the rest of <IMGPAD> into a jungle."))
    assert (made.plan.mask, made.plan.source, made.plan.mask_keeps) == (0, 1, True)
    assert "what stays" in "".join(notice.text for notice in made.notices)


@pytest.mark.parametrize(
    ("words", "field", "part"),
    [
        (
            "Draw a picture of a train that waits 3 seconds.",
            "num_frames",
            "'3 seconds' is not taken up: a picture is made",
        ),
        ("Create a picture of a fox at 12 fps.", "fps", "is not taken up: a picture is made"),
        (
            "Create a video of a diver who waits ten seconds and jumps.",
            "num_frames",
            "'ten seconds' is not taken",
        ),
        ("Ein Video von einem Fuchs im Schnee, drei Sekunden lang.", "language", "reads as German"),
        ("sqaure video of a cat, 3 secnds", "spelling", "'sqaure' is read as 'square'"),
        ("<IMGPAD> Put a hat on the dog.", "target", "found by these words: dog"),
    ],
)
def test_what_is_not_taken_or_guessed_is_said(words: str, field: str, part: str) -> None:
    assert part in said(words, field)


def test_the_other_reading_is_shown_where_it_is_not_sure() -> None:
    doubtful = next(
        made
        for words in ("<IMGPAD> green", "<IMGPAD> autumn", "<IMGPAD> a story", "<IMGPAD> bigger", "<IMGPAD> her voice")
        if (made := planned(parse_pads(words))).reading is not None and made.reading.sure < 0.6
    )
    text = "".join(notice.text for notice in doubtful.notices if notice.field == "reading")
    assert "it could also be" in text or not doubtful.plan.task.is_generation


def test_ordinary_words_are_no_slips() -> None:
    for words in ("Bring the boats home.", "A frame house in the woods.", "A portrait of a poet.", "eight candles"):
        assert said(words, "spelling") == ""


def test_other_scripts_in_names_do_not_change_the_language() -> None:
    for words in ('A sign that reads "\u8336" above a door.', "A poster for the band \u5922 on a wall, square."):
        assert said(words, "language") == ""
    assert "Japanese" in said("\u96ea\u306e\u4e2d\u3092\u8d70\u308b\u72d0", "language")
