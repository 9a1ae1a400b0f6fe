"""What the schemas allow is a plan, whatever the media."""

import json
import random
from itertools import product

import pytest

from unison_backend.errors import InputError
from unison_backend.plan.plan import PlanError
from unison_backend.plan.prompt import Medium, Prompt
from unison_backend.plan.tasks import MAKES, ROWS, Task
from unison_backend.planner.prompt.plan_reader import read_plan
from unison_backend.planner.prompt.plan_schema import EMPTY, FIELDS, Asked, exact_schema, flat_schema, tasks

from .scripted import value_of

KINDS = {"picture": ("image", False), "video": ("video", False), "mask": ("image", True), "video mask": ("video", True)}


def prompt_of(*names):
    media = [Medium(kind, is_mask=is_mask) for kind, is_mask in (KINDS[name] for name in names)]
    return Prompt(("do it ", *media))


MEDIA = [(), *((name,) for name in KINDS), *product(KINDS, repeat=2), ("picture", "picture", "mask", "video")]


@pytest.mark.parametrize("make", MAKES)
def test_whatever_fits_the_exact_schema_is_a_plan(make):
    draw, seen = random.Random(1), set()
    for names in MEDIA:
        prompt = prompt_of(*names)
        asked = Asked.of(prompt, make)
        try:
            schema = exact_schema(asked)
        except InputError:
            continue
        for _ in range(30):
            made = value_of(schema, draw)
            plan = read_plan(json.dumps(made), prompt, asked).plan
            assert str(plan.task) == made["task"]
            assert (plan.width, plan.num_frames, plan.source) == (made["width"], made["num_frames"], made["source"])
            assert set(plan.references) <= set(made["references"])
            seen.add(plan.task)
    outputs = {"auto": ("image", "video", "text"), "picture": ("image",), "video": ("video",), "answer": ("text",)}
    assert seen == {task for task in Task if ROWS[task].output in outputs[make]}


def test_a_flat_schema_has_every_field_and_only_what_every_server_takes():
    schema = flat_schema(Asked(("image", "video"), (), "auto"))
    assert tuple(schema["properties"]) == FIELDS == tuple(schema["required"]) == tuple(EMPTY)
    assert schema["additionalProperties"] is False
    text = json.dumps(schema)
    for word in ("$ref", "pattern", "maxLength", "minLength", "format", "multipleOf", "oneOf", "allOf"):
        assert f'"{word}"' not in text
    assert schema["properties"]["source"] == {"anyOf": [{"type": "integer", "enum": [0, 1]}, {"type": "null"}]}
    assert schema["properties"]["references"]["items"] == {"type": "integer", "enum": [0]}


def test_without_media_no_role_can_be_filled():
    properties = flat_schema(Asked())["properties"]
    assert all(properties[name] == {"type": "null"} for name in ("mask", "source", "first_frame", "last_frame"))
    assert set(properties["task"]["enum"]) == {"text_understanding", "text_to_image", "text_to_video"}


def test_a_mask_leaves_edits_and_answers():
    asked = Asked(("image", "image"), (1,), "auto")
    assert set(tasks(asked)) == {Task.IMAGE_EDITING, Task.IMAGE_UNDERSTANDING}
    assert flat_schema(asked)["properties"]["mask"]["anyOf"][0]["enum"] == [1]


def test_masks_that_fit_nothing_are_refused_before_a_model_is_asked():
    with pytest.raises(PlanError, match="beside the picture or video"):
        tasks(Asked(("image",), (0,), "picture"))
    with pytest.raises(InputError, match="a picture cannot be made of these media"):
        tasks(Asked(("video", "image"), (1,), "picture"))
