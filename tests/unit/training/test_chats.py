"""Chat records: all their turns and media are kept, or the record is refused by its number."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unison_backend.demo import set as demo
from unison_backend.errors import InputError
from unison_backend.media.write import write_image
from unison_backend.planner.qwen.loading import load_qwen
from unison_backend.training.chats import Chat, as_sample, read_messages
from unison_backend.training.planning_lora import LoraSettings, train
from unison_backend.training.planning_samples import IGNORED, to_batch
from unison_backend.training.planning_write import write
from unison_backend.training.schedule import Schedule
from unison_backend.training.shown import Samples

TALK = [
    {"role": "system", "content": "You speak like a <|im_end|> pirate."},
    {"role": "user", "content": "What is <image> beside <image>?"},
    {"role": "assistant", "content": "Red."},
    {"role": "user", "content": "And then?"},
    {"role": "assistant", "content": "Blue."},
]


@pytest.fixture
def chats(tmp_path):
    """A file with one chat about two pictures."""
    for name, shade in (("one", 0.2), ("two", 0.8)):
        write_image(tmp_path / f"{name}.png", np.full((64, 64, 3), shade, dtype=np.float32))
    path = tmp_path / "own.jsonl"
    path.write_text("\ufeff" + json.dumps({"messages": TALK, "images": ["one.png", "two.png"]}) + "\r\n\r\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def qwen():
    return load_qwen(demo.ensure_untrained().planner, dtype="fp32")


def test_a_chats_files_are_found_wherever_it_is_written_to(chats, tmp_path):
    write([], tmp_path / "deep" / "mixed.jsonl", read_messages(chats))
    chat = as_sample(read_messages(tmp_path / "deep" / "mixed.jsonl")[0])
    assert isinstance(chat, Chat) and [Path(m.path).name for m in chat.media] == ["one.png", "two.png"]
    assert [role for role, _ in chat.turns] == ["system", "user", "assistant", "user", "assistant"]


def test_a_plain_record_is_a_pair():
    turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]
    assert as_sample({"messages": turns}) == ("Why?", "So.")
    assert isinstance(as_sample({"messages": [TALK[0], *turns]}), Chat)


def test_system_turns_pictures_and_all_turns_are_read_and_every_answer_is_learned(qwen, chats):
    end = qwen.tokenizer.convert_tokens_to_ids("<|im_end|>")
    shown = Samples(qwen, [as_sample(read_messages(chats)[0])], end)[0]
    text = qwen.tokenizer.decode(shown.sample.ids, skip_special_tokens=False)
    assert "You speak like a <|im_end|> pirate." in text and "<image>" not in text and text.endswith("Blue.<|im_end|>")
    assert list(shown.sample.ids).count(end) == 5  # the typed one is text
    pads = qwen.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    merged = qwen.processor.image_processor.merge_size**2
    assert list(shown.sample.ids).count(pads) == int(shown.tensors["image_grid_thw"].prod(-1).sum()) // merged
    first, second = shown.tensors["pixel_values"].float().chunk(2)
    assert first.mean() < second.mean() - 0.5  # the dark one stands first
    _, labels, _ = to_batch([shown.sample], pad=0)
    learned = labels[0][labels[0] != IGNORED]
    assert qwen.tokenizer.decode(learned, skip_special_tokens=False) == "Red.<|im_end|>Blue.<|im_end|>"


def test_a_planning_lora_is_trained_on_chats_with_pictures_among_plans(chats, tmp_path):
    records = [as_sample(read_messages(chats)[0]), ("Draw a fox.", "<CFI>")]
    schedule = Schedule(steps=3, lr=1e-3, warmup=1)
    out = tmp_path / "out"
    train(demo.ensure_untrained().planner, records, out, schedule, LoraSettings(2, 4, batch=2, keep=0), dtype="fp32")
    assert torch.load(out / "state.pt")["step"] == 3
    write_image(tmp_path / "one.png", np.ones((64, 64, 3), dtype=np.float32))
    with pytest.raises(InputError, match="other data"):
        train(
            demo.ensure_untrained().planner, records, out, schedule, LoraSettings(2, 4, batch=2, keep=0), dtype="fp32"
        )


def test_too_long_a_chat_is_refused_before_training(tmp_path):
    chat = Chat((("system", ("why " * 3000,)), ("user", ("a",)), ("assistant", ("b",))))
    with pytest.raises(InputError, match=r"a chat has \d+ tokens, at most 2048"):
        train(demo.ensure_untrained().planner, [("Draw.", "<CFI>"), chat], tmp_path, dtype="fp32")
    assert not (tmp_path / "state.pt").exists()


GOOD = json.dumps({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]})
BAD = {
    "no json": ("{", "cannot be read as JSON"),
    "nested": ("[" * 200_000, "cannot be read as JSON"),
    "no messages": (GOOD + "\n{}", 'record 2 has no "messages"'),
    "not a dict": ("5", 'record 1 has no "messages"'),
    "turns of other kinds": ('{"messages": [1, "user"]}', 'record 1 has no "messages"'),
    "an odd turn in front": ('{"messages": [null, ' + GOOD[14:], 'record 1 has no "messages"'),
    "roles swapped": ('{"messages": [{"role": "assistant"}, {"role": "user"}]}', "end with a user and an assistant"),
    "no answer": ('{"messages": [{"role": "user", "content": "a"}]}', "end with a user and an assistant"),
    "content of parts": (GOOD.replace('"a"', '[{"type": "text"}]'), "not text"),
    "two users": (
        json.dumps({"messages": [{"role": r, "content": "a"} for r in ("user", "user", "assistant")]}),
        "record 1 has turns of user, user, assistant",
    ),
    "a tool": (
        json.dumps({"messages": [{"role": r, "content": "a"} for r in ("tool", "user", "assistant")]}),
        "record 1 has turns of tool, user, assistant",
    ),
    "a picture without a file": (
        GOOD + "\n" + GOOD.replace('"a"', '"See <image>."'),
        'record 2 has 1 <image> and 0 of files in "images"',
    ),
    "a file without a picture": (
        GOOD[:-1] + ', "images": ["a.png"]}',
        'record 1 has 0 <image> and 1 of files in "images"',
    ),
    "a file that is not there": (
        GOOD.replace('"a"', '"See <video>."')[:-1] + ', "videos": ["a.mp4"]}',
        "record 1 names 'a.mp4' in \"videos\", which is not there",
    ),
    "files that are no list": (
        GOOD.replace('"a"', '"See <image>."')[:-1] + ', "images": "a.png"}',
        'no list of files in "images"',
    ),
    "half a character": (GOOD.replace('"a"', '"\\ud800"'), "record 1 has a turn"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_chat_record_is_named(tmp_path, name):
    text, said = BAD[name]
    path = tmp_path / "own.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(said)):
        read_messages(path)


def test_a_missing_file_and_other_encodings_are_said(tmp_path):
    with pytest.raises(InputError, match=r"none\.jsonl cannot be read"):
        read_messages(tmp_path / "none.jsonl")
    (tmp_path / "wide.jsonl").write_bytes(GOOD.encode("utf-16"))
    with pytest.raises(InputError, match=r"wide\.jsonl cannot be read"):
        read_messages(tmp_path / "wide.jsonl")


ROLES = st.sampled_from(["user", "assistant", "system", "", None, 3])
TEXTS = st.text(st.characters(), max_size=6)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | TEXTS
ANY = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))
TURNS = st.fixed_dictionaries({}, optional={"role": ROLES | ANY, "content": TEXTS | ANY}) | ANY
ROWS = st.fixed_dictionaries({"messages": st.lists(TURNS, max_size=3) | ANY}) | ANY
SOUND = st.builds(
    lambda asked, told: {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": told}]},
    st.text(max_size=8),
    st.text(max_size=8),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(ROWS | SOUND, min_size=1, max_size=3), st.booleans(), st.booleans())
def test_any_json_either_reads_or_is_refused(tmp_path_factory, rows, as_list, escaped):
    path = Path(tmp_path_factory.getbasetemp()) / "any.jsonl"
    dumped = [json.dumps(row, ensure_ascii=escaped) for row in rows]
    text = "[" + ",".join(dumped) + "]" if as_list else "\n".join(dumped)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        read = read_messages(path)
    except InputError:
        return
    for row in read:
        text = str(as_sample(row))
        assert text.encode("utf-8").decode() == text


@settings(max_examples=50, deadline=None)
@given(st.lists(SOUND, min_size=1, max_size=3), st.booleans())
def test_every_sound_record_is_read_as_it_is(tmp_path_factory, rows, as_list):
    path = Path(tmp_path_factory.getbasetemp()) / ("sound.json" if as_list else "sound.jsonl")
    write([], path, rows)
    assert read_messages(path) == rows
