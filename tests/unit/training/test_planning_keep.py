"""What the base answers is kept: asked once, read back after a kill, and what is trained is held to it."""

import json

import pytest
import torch

from unison_backend.demo import set as demo
from unison_backend.errors import Cancelled
from unison_backend.plan.prompt import parse_pads
from unison_backend.planner.answers import AnswerSettings
from unison_backend.planner.qwen.loading import load_qwen
from unison_backend.planner.qwen.planner import QwenPlanner
from unison_backend.progress import never, silent
from unison_backend.training.planning_data import draw
from unison_backend.training.planning_keep import ANSWERS_FILE, Asked, Keeper, asked_in
from unison_backend.training.planning_lora import LoraSettings, add_lora

RECORDS = draw(24, seed=1)
PAIRS = [(record.prompt, record.tokens) for record in RECORDS]


@pytest.fixture(scope="module")
def base():
    return demo.ensure_untrained().planner


def keeper(qwen, folder, asked, batch=2, cancel=never):
    return Keeper(qwen, asked, folder, "base", batch, silent, cancel)


def test_the_questions_of_records_are_about_drawn_media_of_their_kinds():
    asked = asked_in(PAIRS)
    assert sorted(one.prompt.text for one in asked) == sorted(r.prompt for r in RECORDS if not r.tokens)
    assert {one.prompt.kinds for one in asked} == {(), ("image",), ("video",)}
    for one in asked:
        assert (one.media is None) == (not one.prompt.media)
        if one.prompt.kinds == ("image",):
            again = next(other for other in asked_in(PAIRS) if other.prompt == one.prompt)
            assert torch.equal(one.media.picture(0), again.media.picture(0)) and one.media.picture(0).std() > 0.05


def test_answers_are_the_bases_own_and_asked_once(base, tmp_path):
    qwen = load_qwen(base, dtype="fp32")
    asked = sorted(asked_in(PAIRS), key=lambda one: len({kind: 0 for kind in one.prompt.kinds}))[-2:]
    calls = []
    with pytest.raises(Cancelled, match="answering"):
        keeper(qwen, tmp_path, asked, cancel=lambda: calls.append(1) or len(calls) > 200)
    made = keeper(qwen, tmp_path, asked)
    rows = [json.loads(line) for line in (tmp_path / ANSWERS_FILE).read_text(encoding="utf-8").splitlines()]
    planner, settings = QwenPlanner(qwen), AnswerSettings(max_new_tokens=48)
    assert [row["answer"] for row in rows] == [planner.answer(one.prompt, one.media, settings) for one in asked]
    assert len(made.shown) == 2 and all("pixel" in name for one in made.shown for name in list(one.tensors)[:1])
    file = tmp_path / ANSWERS_FILE
    file.write_text(json.dumps({"key": made.key, "answer": "known"}) + '\n{"key": "cut')
    again = keeper(qwen, tmp_path, asked)
    assert qwen.tokenizer.decode(again.shown[0].sample.ids[-again.shown[0].sample.learned : -1]) == "known"
    assert len(file.read_text(encoding="utf-8").splitlines()) == 2
    assert keeper(qwen, tmp_path, asked[:1]).key != made.key


def test_what_answers_as_the_base_is_not_apart_and_what_does_not_is(base, tmp_path):
    qwen = load_qwen(base, dtype="fp32")
    held = keeper(qwen, tmp_path, [Asked(parse_pads("Why is the sky blue?"))], batch=1)
    model = add_lora(qwen, LoraSettings(rank=2, alpha=4)).train()
    start = held.terms(model, model, torch.Generator().manual_seed(0))["kept"]
    assert start.item() == pytest.approx(0, abs=1e-6) and start.requires_grad
    with torch.no_grad():
        next(p for name, p in model.named_parameters() if "lora_B" in name).add_(0.5)
    apart = held.terms(model, model, torch.Generator().manual_seed(0))["kept"]
    assert apart.item() > 1e-4
    apart.backward()
    assert any(p.grad is not None and p.grad.abs().max() > 0 for n, p in model.named_parameters() if "lora_A" in n)


def test_without_questions_nothing_is_asked(base, tmp_path):
    held = keeper(load_qwen(base, dtype="fp32"), tmp_path, [])
    assert held.terms(None, None, torch.Generator()) == {} and list(tmp_path.iterdir()) == []
