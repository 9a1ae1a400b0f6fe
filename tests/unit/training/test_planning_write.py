"""Planning records in a file: written as they are drawn, the person's own among them, whole or not at all."""

import json
from collections import Counter

import pytest

from unison_backend.errors import Cancelled, InputError, ResourceError
from unison_backend.progress import never, silent
from unison_backend.training.chats import as_sample, read_messages
from unison_backend.training.planning_data import draw
from unison_backend.training.planning_write import told, write
from unison_backend.training.records.stream import stream
from unison_backend.training.reference_format import unreadable


@pytest.mark.parametrize("name", ["a.jsonl", "deep/b.json"])
def test_what_is_written_can_be_read(tmp_path, name):
    made = draw(30, seed=2)
    own = [
        {"messages": [{"role": "user", "content": "Why?\u2028\x85"}, {"role": "assistant", "content": "\u4e3a"}]}
    ] * 2
    write(made, tmp_path / name, own)
    rows = read_messages(tmp_path / name)
    assert [as_sample(row) for row in rows if row not in own] == [(r.prompt, r.tokens) for r in made]
    assert [number for number, row in enumerate(rows) if row in own] == [10, 21]
    first = next(row for row in rows if "task" in row)
    assert (first["task"], first["language"], first["media"]) == ("text_understanding", "en", [])
    assert first["messages"][0]["role"] == "user"
    assert (tmp_path / name).read_text(encoding="utf-8").startswith("[\n{" if name.endswith(".json") else "{")


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="give another place"):
        write(draw(2), tmp_path / "file" / "records.jsonl")


def test_a_stop_says_how_far_it_came_and_that_the_same_is_drawn_again(tmp_path):
    said, asked = [], []
    path = tmp_path / "records.jsonl"
    with pytest.raises(Cancelled, match=r"drawing records \(7 of 30\); nothing is kept of them, the same command"):
        write(told(stream(30), 30, silent, lambda: asked.append(1) or len(asked) > 7), path, count=30)
    assert list(tmp_path.iterdir()) == []
    write(told(stream(30), 30, lambda *place: said.append(place), never), path, count=30)
    assert [as_sample(row) for row in read_messages(path)] == [(r.prompt, r.tokens) for r in stream(30)]
    assert said == [("drawing records", 0, 30)]


def test_nothing_is_left_where_drawing_ends_in_an_error(tmp_path):
    def broken():
        yield from draw(3)
        raise InputError("no more")

    (tmp_path / "a.jsonl").write_text("old")
    with pytest.raises(InputError, match="no more"):
        write(broken(), tmp_path / "a.jsonl", count=9)
    assert (tmp_path / "a.jsonl").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_what_the_reference_cannot_read_is_left_out_and_counted(tmp_path):
    made = draw(240, seed=3)
    done = write(iter(made), tmp_path / "a.jsonl", count=240, for_reference=True)
    kept = [record for record in made if unreadable(record) is None]
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["messages"][0]["content"] for row in rows] == [record.prompt for record in kept]
    assert done.left_out == Counter(reason for record in made if (reason := unreadable(record)))
    assert done.count == len(kept) < 240 and done.left_out["control of a picture"] == 20
    assert done.languages == Counter(record.language for record in kept)
