"""The main noun of an instruction: what is looked for on request when the words name no target."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unison_backend.errors import InputError
from unison_backend.plan.prompt import parse_pads
from unison_backend.planner.rules.main_noun import main_noun

DATA = Path(__file__).with_name("data")
RECORDS = [json.loads(line) for line in (DATA / "main_nouns.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r["prompt"][:60])
def test_sentence(record):
    prompt = parse_pads(record["prompt"])
    if record["noun"] is None:
        with pytest.raises(InputError, match="no noun can be read from"):
            main_noun(prompt)
    else:
        assert main_noun(prompt) == record["noun"]


WORDS = "make the a cat cats hat's it photo <IMGPAD> into of and white \u628a \u732b \u6c7d\u8f66 \u7684 \u4e0a \u53d8\u6210 , ."


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=20).map(" ".join) | st.text(min_size=1, max_size=120)
)
def test_any_text_gives_one_word_or_an_error(text):
    try:
        noun = main_noun(parse_pads(text))
    except ValueError:
        return
    assert noun and " " not in noun
