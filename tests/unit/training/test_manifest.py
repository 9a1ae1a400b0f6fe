"""A projector's manifest: what a line may be, which lines make samples, and what is said of the others."""

import re

import numpy as np
import pytest

from unison_backend.errors import Cancelled, InputError
from unison_backend.media.write import write_image
from unison_backend.plan.prompt import parse_paths
from unison_backend.plan.spec import Limits
from unison_backend.plan.tasks import Task
from unison_backend.training.manifest import Pair, make_ready, plan_pair, read_manifest

from .pairs import manifest, write_shades

SIDE = 32
EDIT = "Make the fox in ###source.png### red. The mask is ###mask.png###."
FIRST = "Animate ###source.png###, 9 frames: the fox runs."


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """A folder with a picture, its mask, a wide target, and videos of 9 and of 5 frames."""
    folder = tmp_path_factory.mktemp("media")
    mask = np.zeros((SIDE, SIDE, 3), dtype=np.float32)
    mask[8:24, 4:20] = 1
    for name, pixels in (("source", mask * 0.5), ("mask", mask), ("target", mask * 0.2)):
        write_image(folder / f"{name}.png", pixels)
    write_image(folder / "wide.png", np.full((64, 128, 3), 0.3, dtype=np.float32))
    write_shades(folder, SIDE, nine=9, five=5, two=2)
    return folder


def test_a_manifest_names_pairs_beside_it(media):
    text = "a\u2028b"
    path = manifest(media, {"prompt": text, "target": "target.png"}, "", {"prompt": EDIT, "target": "nine.mp4", "x": 1})
    assert read_manifest(path) == [
        Pair(text, media / "target.png", media),
        Pair(EDIT, media / "nine.mp4", media),
    ]
    assert parse_paths(EDIT, media).media[1].path == str(media / "mask.png")
    assert parse_paths(EDIT).media[1].path == "mask.png"
    absolute = parse_paths(f"See ###{media / 'mask.png'}###.", "/elsewhere")
    assert absolute.media[0].path == str(media / "mask.png")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2 is not of the form"),
        ("5", "line 2 is not of the form"),
        ('["prompt", "target"]', "line 2 is not of the form"),
        ('{"prompt": "a"}', "line 2 is not of the form"),
        ('{"prompt": 5, "target": "target.png"}', "line 2: prompt and target have to be text"),
        ('{"prompt": "a", "target": null}', "line 2: prompt and target have to be text"),
        ('{"prompt": "a", "target": "none.png"}', "line 2: its target .*none.png is not there"),
        ('{"prompt": "a", "target": "."}', "line 2: its target .* is not there"),
        ("[" * 200_000, "line 2 is not of the form"),
        (
            '{"prompt": "a", "target": "target.png", "task": "drawing"}',
            'line 2: "task" is .drawing.; it is one of text_',
        ),
        ('{"prompt": "a", "target": "target.png", "task": ["x"]}', 'line 2: "task" is'),
    ],
)
def test_a_bad_line_is_named(media, line, said):
    path = manifest(media, {"prompt": "a", "target": "target.png"}, line, name="bad.jsonl")
    with pytest.raises(InputError, match=rf"bad\.jsonl, {said}"):
        read_manifest(path)


def test_a_manifest_without_lines_or_without_text_is_refused(media, tmp_path):
    with pytest.raises(InputError, match="has no lines"):
        read_manifest(manifest(tmp_path, "", " "))
    with pytest.raises(InputError, match="cannot be read"):
        read_manifest(media / "none.jsonl")
    with pytest.raises(InputError, match="cannot be read"):
        read_manifest(media / "target.png")


def test_a_line_may_say_its_task(media):
    row = {"prompt": "a", "target": "target.png", "task": "text_to_image"}
    pair = read_manifest(manifest(media, "", row, name="task.jsonl"))[0]
    assert (pair.task, pair.line) == (Task.TEXT_TO_IMAGE, 2)


# Which lines make samples


SMALL = Limits(64, 64, 9)


def planned(media, prompt, target, task=None, limits=SMALL):
    return plan_pair(Pair(prompt, media / target, media, task), limits)


@pytest.mark.parametrize(
    "words", ["A dog runs on the beach.", "What a beautiful sunset over the bay", "Two dogs playing", "Draw a fox."]
)
def test_a_caption_makes_what_its_target_is(media, words):
    assert planned(media, words, "target.png").plan.task == Task.TEXT_TO_IMAGE
    made = planned(media, words, "nine.mp4")
    assert made.plan.task == Task.TEXT_TO_VIDEO and made.plan.prompt == words
    ready, said = make_ready([Pair(words, media / "nine.mp4", media, line=4)], SMALL)
    assert ready[0].group == ("text_to_video", "en")
    assert said == ["line 4: a picture or a video is made as the target is one, whatever the words alone would make"]


def test_what_words_leave_open_is_the_targets(media):
    """Its shape at no larger area, and for a video no more than its own frames; what is said is kept."""
    wide = planned(media, "a fox", "wide.png").spec
    assert (wide.width, wide.height) == (80, 48)
    said = planned(media, "a fox, 32x32 pixels", "wide.png").spec
    assert (said.width, said.height) == (32, 32)
    assert planned(media, "a fox runs", "five.mp4").spec.num_frames == 5
    assert planned(media, "a fox runs", "nine.mp4").spec.num_frames == 9
    assert planned(media, "a fox runs", "nine.mp4", limits=Limits(64, 64, 5)).spec.num_frames == 5
    assert planned(media, FIRST, "five.mp4").spec.num_frames == 9


def test_a_question_is_left_out_by_its_line(media):
    asked = ["What is a fox?", "What is in ###source.png###?", "Write me a poem about rain"]
    pairs = [Pair(text, media / "target.png", media, line=line) for line, text in enumerate(["a fox", *asked], 1)]
    ready, said = make_ready(pairs)
    assert [item.pair.line for item in ready] == [1]
    assert len(said) == 1 and said[0].startswith("left out: lines 2, 3, 4, which ask")
    ready, said = make_ready([Pair(asked[0], media / "target.png", media, Task.TEXT_TO_IMAGE)])
    assert ready[0].group[0] == "text_to_image" and said == []
    with pytest.raises(InputError, match="no line makes a picture or a video\nleft out: lines 2, 3, 4"):
        make_ready(pairs[1:])


def test_what_cannot_be_trained_on_is_said_by_line_before_anything_else(media):
    rows = [
        (
            "Make the fox in ###source.png### red.",
            "target.png",
            "edits .*source.png without a mask; training takes one",
        ),
        (FIRST, "target.png", "is a picture, but its instruction makes a video"),
        (FIRST, "five.mp4", "has 5 frames, its instruction asks for 9"),
        ("Animate ###none.png###, 9 frames.", "nine.mp4", "none.png"),
        ("a fox", "two.mp4", "has 2 frames"),
    ]
    pairs = [Pair(prompt, media / target, media, line=line) for line, (prompt, target, _) in enumerate(rows, 5)]
    with pytest.raises(InputError) as caught:
        make_ready([Pair("a fox", media / "target.png"), *pairs])
    lines = str(caught.value).splitlines()
    assert lines[0] == "these lines cannot be trained on:" and len(lines) == 1 + len(rows)
    for line, (_, _, message) in enumerate(rows, 5):
        assert re.search(rf"line {line}: .*{message}", lines[line - 4])
    with pytest.raises(InputError, match="and 2 more"):
        make_ready(pairs[:1] * 12)
    with pytest.raises(Cancelled, match="reading the manifest"):
        make_ready(pairs, cancel=lambda: True)


def test_a_task_that_words_and_media_do_not_make_is_refused(media):
    pair = Pair("a fox", media / "target.png", media, Task.IMAGE_EDITING, line=9)
    with pytest.raises(
        InputError, match='line 9: its "task" is image_editing, but its words and media make text_to_im'
    ):
        make_ready([pair])
    assert planned(media, EDIT, "target.png", Task.IMAGE_EDITING).plan.task == Task.IMAGE_EDITING
