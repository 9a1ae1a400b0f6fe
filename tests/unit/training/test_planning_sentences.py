"""Records from the written sentences: certain ones alone."""

import pytest

from unison_backend.plan.prompt import parse_pads
from unison_backend.plan.tokens import parse
from unison_backend.training import planning_sentences
from unison_backend.training.planning_data import draw
from unison_backend.training.planning_sentences import has_sentences, record_from, sentences


@pytest.mark.parametrize("language", ["en", "zh"])
def test_most_sentences_give_records_of_every_intent(language):
    rows = sentences(language)[::23]
    records = [(row, record_from(row, language)) for row in rows]
    found = [(row, record) for row, record in records if record is not None]
    assert len(found) > 0.7 * len(rows)
    for row, record in found:
        assert record.prompt == parse_pads(row["prompt"]).text == row["prompt"]
        plan = parse(record.tokens, record.prompt, record.media)
        assert plan.task == record.task and record.task.is_generation == (row["intent"] != "ask")
        for name in ("width", "height", "num_frames", "mask", "source"):
            assert getattr(plan, name) == row[name] if name in row else True, row
        if "tokens" in row:
            assert record.tokens == row["tokens"]
    assert len({row["intent"] for row, _ in found}) >= 6


CERTAIN = {"prompt": "a chair, 512x384", "intent": "picture", "width": 512, "height": 384}


def test_a_line_that_says_less_or_other_than_the_rules_read_is_no_record():
    record = record_from(CERTAIN, "en")
    assert record is not None and record.tokens == "<BORES>512,384<EORES><CFI>"
    for wrong in ({"width": 500}, {"intent": "video"}, {"intent": "ask"}):
        assert record_from(CERTAIN | wrong, "en") is None
    assert record_from({"prompt": CERTAIN["prompt"], "intent": "picture"}, "en") is None  # its author saw no size


def test_what_is_kept_apart_is_no_record():
    assert record_from(CERTAIN | {"prompt": "a chair, 64x64 pixels", "width": 64, "height": 64}, "en") is None
    text = "I have an image <IMGPAD> and a mask <IMGPAD>. Put a piano in the masked area."
    assert record_from({"prompt": text, "intent": "edit", "mask": 1, "source": 0}, "en") is None


def test_masks_that_keep_and_changes_of_everything_have_no_tokens_of_their_own():
    for language in ("en", "zh"):
        assert not any(row.get("keeps") or row["intent"] in ("restyle", "outpaint", "extend")
                       for row in sentences(language))  # fmt: skip


def test_without_the_sentences_all_is_drawn_from_templates(monkeypatch, tmp_path):
    """As in the registry's archive, which is without them."""
    monkeypatch.setattr(planning_sentences, "SENTENCES", tmp_path / "none")
    sentences.cache_clear()
    try:
        assert not has_sentences() and sentences("en") == ()
        assert len({record.prompt for record in draw(60, seed=1)}) == 60
    finally:
        sentences.cache_clear()
