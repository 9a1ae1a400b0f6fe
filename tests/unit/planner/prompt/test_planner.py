"""A planner that asks a model: what it does with good answers, bad ones and none."""

import json
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

from unison_backend.errors import Cancelled, InputError
from unison_backend.media.from_files import FileMedia
from unison_backend.pipeline.planning import make_plan
from unison_backend.plan.prompt import parse_pads, parse_paths
from unison_backend.planner.answers import AnswerSettings
from unison_backend.planner.prompt.conversation import examples, system_text
from unison_backend.planner.prompt.model import ModelFailed, Reply
from unison_backend.planner.prompt.plan_reader import read_plan
from unison_backend.planner.prompt.plan_schema import EMPTY, Asked
from unison_backend.planner.prompt.planner import PromptPlanner
from unison_backend.planner.rules.plan import planned

from .scripted import Scripted

KITE = {"task": "text_to_video", "num_frames": 72}


def said(**values):
    return json.dumps(EMPTY | values, ensure_ascii=False)


def plan_of(text, *answers, make="auto", **options):
    model = Scripted([*answers])
    return PromptPlanner(model, **options).plan(parse_pads(text), make=make), model


def texts_of(turns):
    return [turn.text for turn in turns]


@pytest.fixture
def red(tmp_path):
    path = tmp_path / "red.png"
    Image.fromarray(np.full((8, 16, 3), (255, 0, 0), np.uint8)).save(path)
    return path


def test_a_good_answer_is_the_plan_and_costs_one_call():
    result, model = plan_of("a red kite, 3 seconds", said(**KITE, width=640, height=480))
    assert (result.plan.task, result.plan.num_frames, result.plan.width) == ("text_to_video", 72, 640)
    assert (len(model.turns), result.notices) == (1, ())
    system, user = model.turns[0]
    assert (system.who, user.who) == ("system", "user")
    assert "Instruction:\na red kite, 3 seconds\n" in user.text
    assert model.forms[0].flat["properties"]["task"]["enum"] == ["text_understanding", "text_to_image", "text_to_video"]
    assert "anyOf" in model.forms[0].exact
    assert model.settings[0].temperature == 0


def test_what_is_wrong_goes_back_once_and_is_put_right():
    result, model = plan_of("a red kite", said(task="text_to_video", width=9000, height=480), said(**KITE))
    assert result.plan.num_frames == 72
    assert len(model.turns) == 2
    *_, own, told = texts_of(model.turns[1])
    assert '"width": 9000' in own
    assert told.startswith("That cannot be used: width is 9000; allowed is 16 to 4096 pixels.")


@pytest.mark.parametrize(
    "bad", ["A video of a kite, I think.", '{"task": "text_to_', said(task="image_editing", source=4)]
)
def test_after_two_bad_answers_the_rules_plan_and_say_why(bad):
    result, model = plan_of("Create a video of a red kite, 3 seconds", bad, bad)
    assert len(model.turns) == 2
    assert result.plan == planned(parse_pads("Create a video of a red kite, 3 seconds")).plan
    told = result.notices[0]
    assert told.is_warning
    assert told.text.startswith("planned by the rules: Scripted gave no plan that can be used, asked twice")


def test_a_model_that_cannot_be_asked_leaves_it_to_the_rules_or_is_an_error():
    result, _ = plan_of("a red kite", ModelFailed("nobody is at http://x"))
    assert result.plan.task == "text_to_image"
    assert result.notices[0].text == "planned by the rules: nobody is at http://x"
    with pytest.raises(ModelFailed, match="nobody is at"):
        plan_of("a red kite", ModelFailed("nobody is at http://x"), by_rules=False)
    with pytest.raises(Cancelled):
        plan_of("a red kite", Cancelled("planning"))


def test_a_question_is_answered_with_the_plan_and_heard_as_it_is_written():
    heard = []
    result, model = plan_of("Why is the sky blue?", said(task="text_understanding", answer='It "scatters" \u84dd\n.'),
                            stream=heard.append)  # fmt: skip
    assert result.plan.answer == 'It "scatters" \u84dd\n.'
    assert "".join(heard) == result.plan.answer
    assert len(heard) > 1
    assert len(model.turns) == 1


def test_an_answer_of_what_was_not_shown_is_no_answer():
    result, model = plan_of("What is in <IMGPAD>?", said(task="image_understanding", answer="A cat."))
    assert (result.plan.task, result.plan.answer) == ("image_understanding", None)
    assert "[medium 0] is an image." in model.turns[0][1].text
    assert "What is in [medium 0]?" in model.turns[0][1].text
    with pytest.raises(InputError, match="the instruction holds no files"):
        PromptPlanner(Scripted([])).answer(parse_pads("What is in <IMGPAD>?"))


def test_an_answer_with_a_temperature_is_generated_on_its_own():
    settings = AnswerSettings(50, 0.7, 3)
    result, model = plan_of("Write a poem.", said(task="text_understanding", answer="One."), settings=settings)
    assert result.plan.answer is None
    planner = PromptPlanner(Scripted(["Two."]), settings=settings)
    assert planner.answer(parse_pads("Write a poem."), None, settings) == "Two."
    (used,) = planner.model.settings
    assert (used.max_tokens, used.temperature, used.seed) == (50, 0.7, 3)
    assert model.settings[0].temperature == 0


def test_what_is_wanted_is_told_and_held():
    _, model = plan_of("a red kite", said(**KITE), make="video")
    assert "The person wants a video." in model.turns[0][1].text
    assert model.forms[0].flat["properties"]["task"]["enum"] == ["text_to_video"]
    result, model = plan_of("a red kite", make="answer")
    assert (result.plan.task, model.turns) == ("text_understanding", [])


def test_pictures_are_shown_with_their_pixels(red):
    planner = PromptPlanner(Scripted([said(task="image_editing", source=0, target="wall")]))
    planned = make_plan(parse_paths(f"###{red}### paint the wall"), planner=planner)
    assert (planned.plan.source, planned.plan.target) == (0, "wall")
    (shown,) = [part for part in planner.model.turns[0][1].parts if not isinstance(part, str)]
    assert torch.equal(shown, torch.tensor([1.0, 0.0, 0.0]).expand(8, 16, 3))


def test_pictures_are_only_named_where_that_is_asked_or_the_model_is_blind(red):
    prompt = parse_paths(f"###{red}### paint the wall")
    answer = said(task="image_editing", source=0, target="wall")
    for planner in (PromptPlanner(Scripted([answer]), shows=False), PromptPlanner(Scripted([answer], sees=False))):
        planner.plan(prompt, media=FileMedia(prompt.media))
        assert all(isinstance(part, str) for part in planner.model.turns[0][1].parts)
        assert str(red) not in planner.model.turns[0][1].text
        with pytest.raises(InputError, match="cannot look at the media"):
            planner.answer(prompt, FileMedia(prompt.media))


def test_a_video_is_shown_as_frames_with_their_times(tmp_path):
    from unison_backend.media.write import write_video

    shades = np.linspace(0, 1, 48, dtype=np.float32)[:, None, None, None]
    path = write_video(tmp_path / "fade.mp4", np.broadcast_to(shades, (48, 32, 32, 3)).copy(), Fraction(24))
    prompt = parse_paths(f"what happens in ###{path}###?")
    planner = PromptPlanner(Scripted(["It gets brighter."]))
    assert planner.answer(prompt, FileMedia(prompt.media)) == "It gets brighter."
    parts = planner.model.turns[0][0].parts
    shown = [part.mean().item() for part in parts if not isinstance(part, str)]
    assert shown == sorted(shown)
    assert len(shown) == 4  # two a second
    assert "a video of 2 s; 4 of its frames" in parts[0]
    assert next(part for part in parts if isinstance(part, str) and part.startswith("at ")) == "at 0.00 s "


def test_what_the_model_leaves_out_of_an_edit_the_rules_read():
    result, _ = plan_of("<IMGPAD> remove the red car", said(task="image_editing", source=0))
    assert result.plan.target == "red car"
    assert result.notices[0].text == "the model does not say what is changed; the rules read: red car"


def test_a_length_in_frames_stays_one():
    counted, _ = plan_of("Create a video of a kite, 60 frames at 12 fps", said(**KITE | {"num_frames": 60}, fps=12))
    timed, _ = plan_of("Create a video of a kite, 5 seconds at 12 fps", said(**KITE | {"num_frames": 120}, fps=12))
    assert (counted.plan.counted, timed.plan.counted) == (True, False)


def test_more_media_than_a_model_is_told_of_are_planned_by_rules():
    result, model = plan_of("Create a picture with " + "<IMGPAD>" * 33)
    assert model.turns == []
    assert "there are 33 media" in result.notices[0].text


def test_the_examples_are_plans_and_stand_in_the_system_prompt():
    for prompt, plan in examples():
        parsed = parse_pads(prompt)
        made = read_plan(plan, parsed, Asked.of(parsed, "auto")).plan
        assert str(made.task) == json.loads(plan)["task"]
        assert plan in system_text()
    assert any("\u4e00" <= letter <= "\u9fff" for prompt, _ in examples() for letter in prompt)
    assert "<<" not in system_text()
    assert "<IMGPAD>" not in system_text()


@pytest.mark.parametrize("words", ["480p", "720p", "1080p", "horizontal", "vertical", "square", "4:3", "3:4", "16:9"])
def test_sizes_mean_what_they_mean_to_the_rules(words):
    plan = planned(parse_pads(f"Create a {words} picture of a kite")).plan
    sizes = next(line for line in system_text().splitlines() if line.startswith("- width, height"))
    said_there = next(part for part in sizes.split(";") if words in part)
    assert (
        said_there.rstrip(" .").endswith(f"{plan.width},{plan.height}") or f"{plan.width},{plan.height}" in said_there
    )


def test_a_reply_that_was_cut_inside_the_answer_is_kept():
    text = said(task="text_understanding", answer="Blue light scatters more")
    result, _ = plan_of("Why?", Reply(text[: text.index(" more")], is_cut=True))
    assert result.plan.answer == "Blue light scatters"
    assert "reached its limit" in result.notices[0].text
