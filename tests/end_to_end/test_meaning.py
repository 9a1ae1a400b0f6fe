"""The embedded models make what is asked for: README's commands as printed, and wordings that training never saw.

How often each is right is in the model card. What is seldom wrong there is held to here: of moving things colours and
ways, of pictures shapes too.
"""

import re
import shlex
from pathlib import Path
from random import Random

import pytest
import torch

from unison_backend.demo import set as demo
from unison_backend.demo.world.questions import question
from unison_backend.demo.world.reading import overlap, read_frame
from unison_backend.demo.world.shapes import silhouette
from unison_backend.demo.world.tasks import example, kinds
from unison_backend.engine.settings import SamplingSettings
from unison_backend.media.pictures import load_image
from unison_backend.media.video import load_video
from unison_backend.plan.prompt import parse_pads
from unison_backend.planner.answers import AnswerSettings
from unison_backend.training.demo.evaluate import SEEN_THROUGH_VAE, EvaluationSettings
from unison_backend.training.demo.evaluate import evaluate as evaluate_demo
from unison_backend.training.demo.judging import judge, motion_of
from unison_backend.training.demo.making import load, make
from unison_backend.training.demo.qwen import media_of
from unison_backend.training.planning_data import draw_plain
from unison_backend.training.planning_score import evaluate

ROOT = Path(__file__).resolve().parents[2]
TABLE = (ROOT / "README.md").read_text(encoding="utf-8").split("<!-- examples -->")[1]
COMMANDS = {
    shlex.split(command)[-1] if "--out" in command else command: (shlex.split(command)[1:], made.strip())
    for command, made in re.findall(r"`(unison run [^`]+)` \| ([^|\n]*) \|", TABLE)
}
# What the middle frame shows: colour, shape and background, and which way it moves.
SHOWN = {
    "circle.png": ("red", "circle", "blue", None),
    "edited.png": ("green", "circle", "purple", None),
    "controlled.png": ("yellow", "star", "purple", None),
    "reference.png": ("red", "star", "green", None),
    "moving.mp4": ("white", "circle", "purple", "right"),
    "animated.mp4": ("orange", "circle", "green", "right"),
    "recoloured.mp4": ("yellow", "circle", "black", "right"),
    "followed.mp4": ("orange", "triangle", "blue", "up"),
    "rising.mp4": ("red", "star", "black", "up"),
}
# The measures that a kind of example is judged by here; `unison eval demo` measures them all.
TOLD_BY = {
    "text_to_image": ("colour and shape",),
    "image_control": ("follows the edges", "colour and shape"),
    "image_reference": ("colour and shape",),
    "image_editing replace": ("asked change",),
    "image_editing recolour": ("asked change",),
    "image_editing remove": ("asked change",),
    "text_to_video": ("motion",),
    "video_reference": ("colour and shape", "motion"),
    "video_control": ("colour and shape",),
    "image_to_video first": ("given frames",),
    "image_to_video last": ("given frames", "background"),
    "image_to_video both": ("given frames",),
    "video_editing replace": ("asked change",),
    "video_editing recolour": ("asked change",),
    "video_editing remove": ("asked change",),
}
TRIES, RIGHT = 3, 2


@pytest.fixture(scope="module")
def models():
    return load(demo.ensure())


def test_the_readme_has_all_twelve_tasks():
    assert len(COMMANDS) == 12 and SHOWN.keys() < COMMANDS.keys()


@pytest.mark.parametrize("name", SHOWN)
def test_what_the_readme_promises(name, unison, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    arguments, _ = COMMANDS[name]
    out = tmp_path / name
    status, _, errors = unison(*arguments[:-1], out, "--quiet", "--device", "cpu")
    assert status == 0, errors
    frames = torch.from_numpy(load_video(out) if out.suffix == ".mp4" else load_image(out)[None])
    colour, shape, background, motion = SHOWN[name]
    inside = None
    if name == "edited.png":  # beside the thing stands another one, which the edit has to leave alone
        inside = torch.from_numpy(load_image(ROOT / "docs" / "examples" / "square_mask.png"))[..., 0]
    at = 0 if name == "animated.mp4" else len(frames) // 2  # colours drift a little after a given frame
    seen = read_frame(frames[at], inside)
    assert (seen.colour, seen.background) == (colour, background)
    if motion is None:  # moving things lose their corners in the VAE (model card)
        assert seen.shape == shape
    else:
        assert len(frames) == 9 and motion_of(frames) == motion


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - SHOWN.keys()))
def test_what_the_readme_answers(command, unison, monkeypatch):
    monkeypatch.chdir(ROOT)
    arguments, answer = COMMANDS[command]
    status, out, errors = unison(*arguments, "--quiet", "--device", "cpu")
    assert status == 0, errors
    assert out.strip() == answer


@pytest.mark.parametrize("kind", kinds())
def test_other_wordings_make_the_same(kind, models):
    right = []
    for index in range(TRIES):
        drawn = example(kind, Random(f"end to end {kind} {index}"), held_out=True)
        found = judge(drawn, make(models, drawn, SamplingSettings(12, demo.CFG, seed=index))).right
        assert found["size and length"] and found.get("outside untouched", True)
        right.append(all(found[name] for name in TOLD_BY[kind]))
    assert sum(right) >= RIGHT, right


def test_control_is_followed(models):
    drawn = example("image_control", Random("end to end"), held_out=True, language="en")
    made = make(models, drawn, SamplingSettings(12, demo.CFG, seed=0))
    outline = read_frame(made[0]).outline.float()
    assert overlap(outline, silhouette(drawn.scene.things[-1], 1, 64, 64)[0]) > 0.6


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("subject", ["text", "image", "video"])
def test_questions_about_other_pictures(subject, held_out, models):
    """In wordings like those of the training, and in ones that it never had."""
    right = 0
    for index in range(12):
        asked = question(subject, Random(f"end to end {index}"), held_out=held_out)
        answer = models.planner.answer(parse_pads(asked.prompt), media_of(asked), AnswerSettings(max_new_tokens=32))
        right += answer == asked.answer
    assert right >= 11


def test_the_planning_lora_plans_other_wordings(models):
    score = evaluate(models.planner, draw_plain(48, 5, held_out=True))
    assert score.exact >= 0.85, score.wrong[:3]  # 95 % of 120, by the model card


def test_what_the_vae_alone_loses_is_told():
    rows = evaluate_demo(None, EvaluationSettings(count=2, only=("vae",)))
    assert [row.kind.split(",")[0] for row in rows] == list(SEEN_THROUGH_VAE)
    assert all(row.measures["background"] == row.measures["size and length"] == [2, 2] for row in rows)
