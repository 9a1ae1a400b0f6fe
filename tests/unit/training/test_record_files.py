"""Records in files are what the same records are in memory, without being there."""

import json
import pickle
import tracemalloc

import numpy as np
import pytest

from unison_backend.errors import Cancelled, InputError
from unison_backend.media.write import write_image
from unison_backend.training.chats import as_sample, read_messages
from unison_backend.training.planning_data import draw
from unison_backend.training.planning_write import write
from unison_backend.training.record_files import RecordFiles
from unison_backend.training.survey import survey

RECORDS = draw(36, seed=3)


@pytest.fixture
def files(tmp_path):
    """Lines, a list, and a chat with a picture."""
    write(RECORDS[:20], tmp_path / "a.jsonl")
    write(RECORDS[20:], tmp_path / "b.json")
    write_image(tmp_path / "one.png", np.zeros((8, 8, 3), dtype=np.float32))
    turns = [{"role": "user", "content": "<image> \u732b?"}, {"role": "assistant", "content": "No."}]
    (tmp_path / "c.jsonl").write_text("\n" + json.dumps({"messages": turns, "images": ["one.png"]}, ensure_ascii=False))
    return [tmp_path / name for name in ("a.jsonl", "b.json", "c.jsonl")]


def test_records_are_what_they_are_in_memory(files):
    held = [as_sample(row) for path in files for row in read_messages(path)]
    found = RecordFiles(files)
    assert len(found) == len(held) == 37 and list(found) == held
    assert [found[index] for index in range(37)] == held and found[-1] == held[-1] and found[18:22] == held[18:22]
    assert list(pickle.loads(pickle.dumps(found))) == held  # as processes are given it that are no forks
    with pytest.raises(IndexError):
        _ = found[37]
    ours, theirs = survey(found), survey(held)
    assert ours.key == theirs.key and ours.lengths.tolist() == theirs.lengths.tolist()
    assert (ours.chats, ours.questions) == (theirs.chats, theirs.questions) and ours.chats == (36,)


def test_a_survey_finds_each_question_once_with_its_media():
    pairs = [("What?", ""), ("Draw.", "<CFI>"), ("See <IMGPAD>?", ""), ("What?", ""), ("What?", "That.")]
    found = survey(pairs)
    assert found.questions == ((0, ()), (2, ("image",)))
    assert found.lengths.tolist() == [5, 10, 13, 5, 10] and found.key != survey(pairs[::-1]).key


def test_a_record_that_is_none_is_named_when_the_files_are_opened(files):
    with files[1].open("a") as file:
        file.write("x")
    with pytest.raises(InputError, match=r"b\.json cannot be read as JSON .* behind the list"):
        RecordFiles(files)
    files[1].write_text(json.dumps([{"messages": []}]))
    with pytest.raises(InputError, match=r"b\.json: record 1 has no"):
        RecordFiles(files)
    with pytest.raises(InputError, match="cannot be read"):
        RecordFiles([files[0].with_name("none.jsonl")])


def test_a_file_that_changes_meanwhile_or_a_picture_that_goes_is_said(files):
    found = RecordFiles(files)
    (files[2].parent / "one.png").unlink()
    with pytest.raises(InputError, match=r"c\.jsonl: record 1 names 'one\.png'"):
        _ = found[36]
    files[0].write_text(files[0].read_text() + "\n")
    with pytest.raises(InputError, match=r"a\.jsonl was changed while it was in use"):
        _ = found[0]
    assert found[20] == (RECORDS[20].prompt, RECORDS[20].tokens)


def test_many_records_take_bytes_each_and_can_be_left(tmp_path):
    row = json.dumps({"messages": [{"role": "user", "content": "w" * 200}, {"role": "assistant", "content": "b"}]})
    path = tmp_path / "many.jsonl"
    path.write_text("\n".join([row] * 4_000))
    tracemalloc.start()
    found = RecordFiles([path])
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 4_000 and after < 20 * 4_000 and peak < 60 * 4_000 + (1 << 18)
    said = []
    with pytest.raises(Cancelled, match="reading the records"):
        RecordFiles([path], lambda *place: said.append(place), lambda: len(said) == 3)
    assert [size for _, _, size in said] == [path.stat().st_size] * 3
