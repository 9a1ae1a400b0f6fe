"""Records of any file: chat records, lines of prompt and tokens, and what is none, by its number."""

import json

import pytest

from unison_backend.errors import InputError
from unison_backend.training.planning_data import draw
from unison_backend.training.planning_read import read_records, some
from unison_backend.training.planning_write import write
from unison_backend.training.records.stream import stream


def chat(asked, told, **more):
    return {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": told}], **more}


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_what_data_writes_is_read_as_it_was_drawn(tmp_path, name):
    records = draw(36, seed=2, held_out=True)
    write(records, tmp_path / name)
    assert read_records(tmp_path / name) == records


def test_your_own_lines_are_read_with_their_language_and_answers_are_questions(tmp_path):
    rows = [
        chat("Why is the sky blue?", "Because of the air."),
        {"prompt": "Ein Bild von einem Fuchs und dem Mond.", "tokens": "<CFI>"},
        {"prompt": "\u753b\u4e00\u53ea\u732b", "tokens": "<BORES>64,64<EORES><CFI>", "task": "text_to_image"},
        chat("Draw a fox.", "<CFI>", language="en"),
    ]
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    read = read_records(path)
    assert [record.task.value for record in read] == ["text_understanding", *["text_to_image"] * 3]
    assert [record.language for record in read] == ["en", "de", "zh", "en"]
    assert [record.tokens for record in read] == ["", "<CFI>", "<BORES>64,64<EORES><CFI>", "<CFI>"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "Draw a fox."}, "has no 'tokens'"),
        ({"prompt": "Draw a fox.", "tokens": "<BORES>64<EORES><CFI>"}, "BORES"),
        ({"prompt": "Draw a fox.", "tokens": "<CFI>", "task": "text_to_video"}, "its task is text_to_video"),
        ({"prompt": "Draw a fox.", "tokens": "<CFI>", "task": "sing"}, "sing"),
        (chat("a", [{"type": "text"}]), "have to be text"),
        (5, "record 2"),
        (chat("", "<CFI>"), "empty"),
    ],
)
def test_what_is_no_record_is_named_by_its_number(tmp_path, row, said):
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps(chat("Why?", "So.")) + "\n" + json.dumps(row))
    with pytest.raises(InputError, match=r"own\.jsonl: record 2 is no instruction with its plan") as caught:
        read_records(path)
    assert said in str(caught.value)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "own.jsonl").write_text("\n")
    with pytest.raises(InputError, match="has no records"):
        read_records(tmp_path / "own.jsonl")


def test_some_of_them_are_of_every_task_and_language():
    records = sorted(draw(72, seed=2, held_out=True), key=lambda record: (record.language, record.task))
    chosen = some(records, 24)
    assert len({(record.task, record.language) for record in chosen}) == 24


def test_kinds_of_orders_and_masks_that_keep_are_read_back(tmp_path):
    records = list(stream(480, seed=4))
    write(records, tmp_path / "a.jsonl")
    assert read_records(tmp_path / "a.jsonl") == records
    assert any(record.mask_keeps for record in records) and len({record.intent for record in records}) == 11
