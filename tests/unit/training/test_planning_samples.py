"""Samples in one row: each is read as if it stood alone, by every attention that a CPU has."""

from dataclasses import replace

import pytest
import torch

from unison_backend.demo import set as demo
from unison_backend.errors import InputError
from unison_backend.plan.tokens import ADDED_TOKENS
from unison_backend.planner.qwen.loading import load_qwen
from unison_backend.training.log import read_log
from unison_backend.training.planning_data import draw
from unison_backend.training.planning_lora import LoraSettings, loss_of, train
from unison_backend.training.planning_samples import DECIDES, IGNORED, Sample, in_rows, to_batch, to_rows
from unison_backend.training.schedule import Schedule
from unison_backend.training.shown import Samples

PAIRS = [(record.prompt, record.tokens) for record in draw(12, seed=4)]


@pytest.fixture(scope="module", params=["sdpa", "eager"])
def qwen(request):
    return load_qwen(demo.ensure_untrained().planner, dtype="fp32", attention=request.param)


@pytest.fixture(scope="module")
def end(qwen):
    return qwen.tokenizer.convert_tokens_to_ids("<|im_end|>")


def test_rows_hold_samples_one_behind_the_other_and_positions_begin_anew():
    samples = [Sample((1, 2), 1), Sample((3, 4, 5), 2, decides=True), Sample((6, 7, 8, 9), 3, also=((1, 2),))]
    ids, labels, positions = to_rows(samples, each=2, pad=0)
    x = IGNORED
    assert ids.tolist() == [[1, 2, 6, 7, 8, 9], [3, 4, 5, 0, 0, 0]]
    assert positions.tolist() == [[0, 1, 0, 1, 2, 3], [0, 1, 2, 0, 1, 2]]
    assert labels.tolist() == [[x, 2, x, 7, 8, 9], [x, 4, DECIDES, x, x, x]]
    ids, labels, positions = to_rows([*samples, Sample((2, 2), 2)], each=9, pad=0)
    assert ids.shape == (1, 11) and labels[0, -2:].tolist() == [x, 2]  # no sample's first id is what another says next
    assert positions[0].tolist() == [0, 1, 0, 1, 2, 0, 1, 2, 3, 0, 1]


def test_what_stands_in_the_same_row_has_no_say(qwen, end):
    samples = [Samples(qwen, PAIRS, end)[index].sample for index in range(3)]
    others = [replace(samples[0], ids=tuple(reversed(samples[0].ids))), *samples[1:]]
    with torch.no_grad():
        alone = []
        for sample in samples[1:]:
            ids, _, real = to_batch([sample], pad=end)
            alone.append(qwen.model(input_ids=ids, attention_mask=real, use_cache=False).logits[0])
        for row in (samples, others):
            ids, _, positions = to_rows(row, each=3, pad=end)
            made = qwen.model(input_ids=ids, use_cache=False, **in_rows(positions)).logits[0]
            torch.testing.assert_close(made[len(samples[0].ids) :], torch.cat(alone), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("pack", [2, 5, 12])
def test_losses_and_gradients_are_those_of_samples_that_stand_alone(qwen, end, pack):
    chosen = [Samples(qwen, PAIRS, end)[index] for index in range(len(PAIRS))]
    signals = [qwen.token_ids[token] for token in ADDED_TOKENS if token not in ("<IMGPAD>", "<VIDPAD>")]
    weights = [p.requires_grad_() for name, p in qwen.model.named_parameters() if "layers.0.self_attn.q_proj" in name]
    found = []
    for each in (0, pack):
        loss = loss_of(qwen.model, qwen, chosen, signals, end, each)
        found.append((loss.item(), torch.autograd.grad(loss, weights)))
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-5)
    for alone, packed in zip(found[0][1], found[1][1], strict=True):
        assert alone.abs().max() > 1e-6
        torch.testing.assert_close(packed, alone, rtol=1e-3, atol=1e-6)


def test_flash_attention_is_given_one_row(qwen, end, monkeypatch):
    """In several rows its kernels would let samples see each other; it needs a GPU, so its inputs alone are looked at."""
    chosen, shapes = [Samples(qwen, PAIRS, end)[index] for index in range(4)], []

    def module(*, input_ids, position_ids, attention_mask, **_):
        shapes.append((len(input_ids), tuple(position_ids.shape), attention_mask))
        raise StopIteration

    for name in ("sdpa", "flash_attention_2"):
        monkeypatch.setattr(qwen.base.config.get_text_config(), "_attn_implementation", name)
        with pytest.raises(StopIteration):
            loss_of(module, qwen, chosen, [], end, 2)
    total = sum(len(one.sample.ids) for one in chosen)
    assert shapes[0][0] == 2 and shapes[1] == (1, (4, 1, total), None)


def test_a_training_in_rows_loses_what_it_does_without(tmp_path):
    base, schedule = demo.ensure_untrained().planner, Schedule(steps=4, lr=3e-3, warmup=1, weight_decay=0.0)
    settings = LoraSettings(rank=4, alpha=8, batch=6, keep=1)
    for name, pack in (("alone", 0), ("rows", 3)):
        train(base, PAIRS, tmp_path / name, schedule, replace(settings, pack=pack), dtype="fp32")
    alone, rows = (read_log(tmp_path / name)[-1] for name in ("alone", "rows"))
    assert rows["loss"] == pytest.approx(alone["loss"], rel=1e-4) and rows["kept"] == pytest.approx(alone["kept"], 1e-2)
    with pytest.raises(InputError, match="pack 3, now none"):
        train(base, PAIRS, tmp_path / "rows", schedule, settings, dtype="fp32")
    with pytest.raises(InputError, match="pack is -1"):
        LoraSettings(pack=-1)
