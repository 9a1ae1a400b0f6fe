"""Orders of the grammar: of every kind, with tokens that are read back as what was drawn."""

import re
from collections import Counter
from random import Random

import pytest

from unison_backend.plan.prompt import parse_pads
from unison_backend.plan.tasks import Task
from unison_backend.plan.tokens import parse
from unison_backend.training.records.grammar import lists
from unison_backend.training.records.orders import KINDS, order

PER_TASK = 25
KINDS_OF_ORDER = {
    "ask", "picture", "video", "edit", "restyle", "outpaint", "extend", "control", "frames", "reference_picture",
    "reference_video",
}  # fmt: skip


@pytest.fixture(scope="module", params=[("en", False), ("zh", False), ("en", True), ("zh", True)], ids=str)
def records(request):
    language, held_out = request.param
    return [
        order(task, language, Random(f"{task} {number}"), held_out=held_out)
        for task in Task
        for number in range(PER_TASK)
    ]


def test_tokens_mean_the_task_and_every_medium_has_a_role(records):
    for record in records:
        prompt = parse_pads(record.prompt)
        assert prompt.kinds == record.media and prompt.text == record.prompt
        plan = parse(record.tokens, prompt.text, prompt.kinds)
        assert plan.task == record.task and plan.tokens == record.tokens
        assert record.intent == "extend" or not plan.unused_media
        assert not re.search(r"[{}\[\]~]|  |,,|\uff0c\uff0c", record.prompt), record.prompt


def test_all_kinds_of_orders_come(records):
    found = Counter(record.intent for record in records)
    assert found.keys() == KINDS_OF_ORDER
    assert any(record.mask_keeps for record in records)
    tokens = [record.tokens for record in records]
    assert any("<REF><CTRL>" in text for text in tokens)
    assert any(record.media.count("image") > 1 for record in records if record.intent.startswith("reference"))


def test_every_task_has_kinds():
    assert set(KINDS) == {task for task in Task if task.is_generation}


def test_of_two_pictures_the_map_stands_first():
    """No token says which of two pictures is the map; read back, it is the first."""
    found = 0
    for number in range(400):
        record = order(Task.IMAGE_CONTROL, ("en", "zh")[number % 2], Random(number))
        if "<REF>" in record.tokens:
            plan = parse(record.tokens, record.prompt, record.media)
            maps = "|".join(lists(record.language)["maps"])
            first = rf"(?:{maps})[^<]*<IMGPAD>[^<]*<IMGPAD>|^<IMGPAD> is the (?:{maps})"
            assert plan.control_medium == 0 and plan.references == (1,)
            assert re.search(first, record.prompt, re.IGNORECASE), record.prompt
            found += 1
    assert found > 8
