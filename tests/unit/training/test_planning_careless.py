"""Careless typing changes words, never what is asked: pads and numbers stay, in their order."""

import re
from random import Random

from unison_backend.training.planning_careless import careless
from unison_backend.training.planning_data import draw_plain

RECORDS = draw_plain(240, seed=8)
KEPT = re.compile(r"<(?:IMG|VID)PAD>|\d+")


def typed(seed):
    random = Random(seed)
    return [(r, careless(r.prompt, r.language, random)) for r in RECORDS]


def test_pads_and_numbers_stay_in_order():
    for record, text in typed(1):
        assert KEPT.findall(text) == KEPT.findall(record.prompt), (record.prompt, text)
        assert text and text == text.strip()


def test_most_are_changed_and_a_seed_names_how():
    changed = [text != record.prompt for record, text in typed(2)]
    assert sum(changed) > 0.85 * len(changed) and typed(2) == typed(2) != typed(3)


def test_a_slip_is_one_edit_within_a_word():
    random, found = Random(4), 0
    for _ in range(60):
        text = careless("Lighthouse keepers Wander", "en", random)
        words = text.lower().split()
        differ = [(a, b) for a, b in zip(("lighthouse", "keepers", "wander"), words, strict=True) if a != b]
        assert len(differ) <= 1
        for wanted, got in differ:
            assert got[0] == wanted[0] and abs(len(got) - len(wanted)) <= 1 and got[-1] in wanted
            found += 1
    assert found > 15


def test_chinese_keeps_its_words():
    text = careless("\u8bf7\u7528<IMGPAD>\u751f\u6210\u4e00\u5f2064x48\u7684\u56fe\u7247\u3002", "zh", Random(1))
    assert "<IMGPAD>\u751f\u6210\u4e00\u5f2064x48\u7684\u56fe" in text
