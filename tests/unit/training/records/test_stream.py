"""Half a million records, tried with a few thousand: different, seeded, of every task and language, kept from what measures."""

import json
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from unison_backend.errors import InputError
from unison_backend.plan.prompt import parse_pads
from unison_backend.plan.tasks import Task
from unison_backend.plan.tokens import parse
from unison_backend.training.intent.sentences import fingerprint
from unison_backend.training.planning_apart import README_ORDERS, is_kept_apart
from unison_backend.training.planning_data import draw
from unison_backend.training.records import stream as module
from unison_backend.training.records.stream import stream
from unison_backend.training.records.written import written

COUNT = 3000
SETS = Path(__file__).resolve().parents[2] / "planner" / "rules" / "sentences"


@pytest.fixture(scope="module")
def records():
    return list(stream(COUNT, seed=1))


def test_all_are_different_and_the_tasks_take_turns(records):
    assert len({record.prompt for record in records}) == COUNT
    assert Counter(record.task for record in records) == {task: COUNT // 12 for task in Task}
    assert Counter(record.language for record in records) == {"en": 2 * COUNT // 3, "zh": COUNT // 3}
    assert len({(record.task, record.language) for record in records}) == 24


def test_tokens_are_read_back(records):
    for record in records:
        prompt = parse_pads(record.prompt)
        plan = parse(record.tokens, prompt.text, prompt.kinds)
        assert (plan.tokens, plan.task, prompt.kinds) == (record.tokens, record.task, record.media), record.prompt


def test_a_seed_names_the_records_and_a_longer_file_begins_alike(records):
    assert list(islice(stream(10 * COUNT, seed=1), 200)) == records[:200]
    assert next(stream(1, seed=2)) != records[0]


def test_most_wordings_are_the_records_own(records):
    """Fewer than one in ten has its first five words in common with another."""
    starts = Counter(record.prompt[:25] for record in records if len(record.prompt) > 40)
    assert sum(count for count in starts.values() if count > 5) < 0.2 * sum(starts.values())


def test_what_measures_is_not_among_them(records):
    assert not [record.prompt for record in records if is_kept_apart(record)]
    measured = [
        json.loads(line)["prompt"]
        for file in SETS.rglob("*.jsonl")
        for line in file.read_text(encoding="utf-8").split("\n")
        if line
    ]
    marks = {fingerprint(prompt) for prompt in measured} | set(json.loads(README_ORDERS.read_text()))
    assert len(marks) > 3800 and not marks & {fingerprint(record.prompt) for record in records}


def test_no_file_of_the_sets_kept_apart_is_opened(monkeypatch):
    """Nothing below the tests' sentences is read while records are drawn."""
    opened, real = [], Path.read_text

    def read_text(self, *arguments, **options):
        opened.append(self)
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", read_text)
    written.cache_clear()
    list(stream(60, seed=3))
    assert opened and not [path for path in opened if "tests" in path.parts[len(SETS.parents[4].parts) :]]


def test_what_is_drawn_twice_is_drawn_again_until_there_is_no_more(monkeypatch):
    drawn = iter(range(10_000))
    same = next(stream(1))

    def few(task, language, random, held_out):
        return module.replace(same, prompt=f"{next(drawn) % 7}")

    monkeypatch.setattr(module, "_drawn", few)
    found = []
    with pytest.raises(InputError, match="no more than about 7 different records"):
        found.extend(stream(8))
        pytest.fail()
    assert [record.prompt for record in islice(stream(7), 7)]


def test_held_out_has_no_written_sentence_and_every_task_in_both_languages():
    held = list(stream(240, seed=1, held_out=True))
    assert len({(record.task, record.language) for record in held}) == 24
    assert len({record.prompt for record in held}) == 240
    trained = {record.prompt for record in stream(2400, seed=1)}
    assert not trained & {record.prompt for record in held}


def test_in_the_archive_without_grammar_the_templates_are_drawn(monkeypatch):
    monkeypatch.setattr(module, "has_grammar", lambda: False)
    for held_out in (False, True):
        drawn = list(stream(48, seed=2, held_out=held_out))
        assert [module.replace(record, intent="") for record in drawn] == draw(48, seed=2, held_out=held_out)
        assert {record.intent for record in drawn} >= {"ask", "picture", "edit", "frames"}
