"""Rows are found where they stand, whatever the file looks like, and what is no JSON is named."""

import json
from random import Random

import pytest

from unison_backend.errors import InputError
from unison_backend.training import json_rows
from unison_backend.training.json_rows import read_row, rows, stamp_of


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("rows") / "rows.json"


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf\n "])
def test_a_list_is_read_as_json_reads_it_and_each_row_is_found_again(path, monkeypatch, chunk, indent, before):
    """In pieces of few bytes, so that rows, characters and numbers are cut anywhere."""
    monkeypatch.setattr(json_rows, "_CHUNK", chunk)
    random = Random(chunk)
    texts = ["", 'a"b', "]},{", "\u732b\U0001f43a\u00e4", "\\n"]
    data = [{random.choice(texts): [random.choice(texts), {"b": [1, 2.5, None]}]} for _ in range(12)] + [
        12,
        -3,
        "x",
        [],
    ]
    for shown in (data, [], [7]):
        raw = before + json.dumps(shown, ensure_ascii=random.random() < 0.5, indent=indent).encode() + b"\n"
        path.write_bytes(raw)
        found = list(rows(path))
        assert [row.value for row in found] == shown
        assert [json.loads(raw[row.first : row.first + row.length]) for row in found] == shown


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_are_found_and_empty_ones_are_none(path, end):
    data = [{"a": "\u732b"}, [1], "x"]
    lines = [json.dumps(row, ensure_ascii=False) for row in data]
    text = "\ufeff" + end + lines[0] + end + end + " " + lines[1] + " " + end + lines[2]
    path.write_bytes(text.encode())
    found = list(rows(path))
    assert [row.value for row in found] == data
    with path.open("rb") as file:
        stamp = stamp_of(file)
    assert [read_row(path, row.first, row.length, stamp) for row in found] == data
    path.write_bytes(text.encode() + b"\n")
    with pytest.raises(InputError, match="was changed while it was in use"):
        read_row(path, found[0].first, found[0].length, stamp)
    path.unlink()
    with pytest.raises(InputError, match="cannot be read any more"):
        read_row(path, found[0].first, found[0].length, stamp)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1,]", "record 1: nothing stands behind its comma"),
        ("[1, 2 3]", "record 2: neither , nor ] stands behind it"),
        ("[1, 2", "record 2: neither , nor ] stands behind it"),
        ("[", "record 1: Expecting value"),
        ('[{"a": 1}, {"b": ]', "record 2: Expecting value"),
        ("[1] 2", "record 1: something stands behind the list"),
        ('{"a": 1}\n\n{"a": }\n', "line 3: Expecting value"),
        ("[" * 200_000, "record 1: maximum recursion"),
    ],
)
def test_what_is_no_json_is_named_by_its_place(path, text, said):
    path.write_text(text)
    with pytest.raises(InputError, match=r"cannot be read as JSON lines or a JSON list: ") as caught:
        list(rows(path))
    assert said in str(caught.value)


def test_a_file_that_is_no_text_or_not_there_is_said(path):
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(InputError, match=r"line 1: .*utf-8"):
        list(rows(path))
    path.write_bytes(b'["\xff"]')
    with pytest.raises(InputError, match=r"record 0: .*utf-8"):
        list(rows(path))
    with pytest.raises(InputError, match="cannot be read"):
        list(rows(path.with_name("none")))
