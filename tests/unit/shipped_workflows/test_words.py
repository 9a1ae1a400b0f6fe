"""Instructions and notes of workflows are understood."""

import re

import pytest

from unison_backend.plan.prompt import Medium, bind_names
from unison_backend.plan.tasks import Task
from unison_backend.planner.rules.plan import RulesPlanner

from .shipped import API, NAMES, ROLES, notes_of, read, workflow_of


@pytest.fixture(scope="module")
def examples():
    """(task, instruction) of the note in the workflow with routes."""
    note = notes_of(workflow_of("unison_route"))["Examples for the 12 tasks"]
    return re.findall(r"- \*\*(\w+)\*\*: `(.+)`", note)


def planned(instruction):
    """The rules' plan with just the media named connected."""
    names = list(dict.fromkeys(re.findall(r"<((?:image|video|mask)\d)>", instruction)))
    kinds = {name: "video" if name.startswith("video") else "image" for name in names}
    media = {name: [Medium(kinds[name], name=name, is_mask=name.startswith("mask"))] for name in names}
    return RulesPlanner().plan(bind_names(instruction, media)).plan


def test_examples_plan_what_they_say(examples):
    assert {task for task, _ in examples} == {str(task) for task in Task}
    for task, instruction in examples:
        assert str(planned(instruction).task) == task, instruction
    assert sum(not instruction.isascii() for _, instruction in examples) == 2


TASKS = {
    "unison_demo": "text_to_image",
    "unison_auto": "text_to_image",
    "unison_app": "text_to_image",
    "unison_inpaint": "image_editing",
    "unison_understanding": "image_understanding",
    "unison_text_to_image_and_video": "text_to_video",
    "unison_editing": "video_editing",
    "unison_control": "image_control",
    "unison_reference": "image_reference",
    "unison_image_to_video": "image_to_video",
    "unison_mixed_nodes": "text_to_video",
    "unison_fast": "text_to_image",
    "unison_experts": "text_to_video",
    "unison_route": "text_to_image",
    "unison_your_models": "text_to_video",
    "unison_your_depth": "video_control",
    "unison_sam3": "video_editing",
}


@pytest.mark.parametrize("name", NAMES)
def test_default_instructions_plan_their_task(name):
    instruction = read(API / f"{name}.json")[ROLES[name]["planner"]]["inputs"]["instruction"]
    assert str(planned(instruction).task) == TASKS[name]


def test_instructions_in_notes_are_understood(workflow):
    for note in notes_of(workflow).values():
        for sentence in re.findall(r"`((?:Create|Make|Change|Animate)[^`]+)`", note):
            assert planned(sentence).task.is_generation, sentence


def test_media_names_in_notes_are_seen(workflow):
    """Outside of backticks Markdown takes <image1> for HTML and drops it."""
    for note in notes_of(workflow).values():
        assert "<" not in re.sub(r"`[^`]*`", "", note)
