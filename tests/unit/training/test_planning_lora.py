"""The planning LoRA on the embedded Qwen: what is learned, resumed, saved and counted."""

import json
import multiprocessing
from dataclasses import replace
from random import Random

import pytest
import torch
from safetensors.torch import load_file

from unison_backend.demo import set as demo
from unison_backend.errors import Cancelled, InputError, PromptError, ResourceError, WeightsError
from unison_backend.plan.prompt import parse_pads
from unison_backend.plan.tasks import Task
from unison_backend.plan.tokens import ADDED_TOKENS
from unison_backend.planner.qwen.loading import load_qwen
from unison_backend.planner.qwen.merging import merge
from unison_backend.planner.qwen.planner import QwenPlanner
from unison_backend.training.cards import read_card
from unison_backend.training.log import EVALUATIONS_FILE, LOG_FILE, read_rows
from unison_backend.training.loop import STATE_FILE
from unison_backend.training.planning_data import draw
from unison_backend.training.planning_lora import LoraSettings, add_lora, train
from unison_backend.training.planning_record import Record
from unison_backend.training.planning_samples import (
    DECIDES,
    IGNORED,
    MAX_IDS,
    WINDOW,
    Sample,
    choose,
    planning_loss,
    to_batch,
    to_sample,
)
from unison_backend.training.planning_score import evaluate
from unison_backend.training.planning_wording import record_of
from unison_backend.training.planning_write import write
from unison_backend.training.record_files import RecordFiles
from unison_backend.training.schedule import Schedule
from unison_backend.training.shown import Samples
from unison_backend.training.watch import Watching

SCHEDULE = Schedule(steps=6, lr=3e-3, warmup=1, weight_decay=0.0, betas=(0.9, 0.95), seed=2, save_every=100)
SETTINGS = LoraSettings(rank=4, alpha=8, batch=2, keep=0)
PAIRS = [(record.prompt, record.tokens) for record in draw(12, seed=1)]


@pytest.fixture(scope="module")
def base():
    return demo.ensure_untrained().planner


@pytest.fixture(scope="module")
def qwen(base):
    return load_qwen(base, dtype="fp32")


@pytest.fixture(scope="module")
def trained(base, tmp_path_factory):
    """The folder of a finished run of six steps."""
    out = tmp_path_factory.mktemp("run")
    assert train(base, PAIRS, out, SCHEDULE, SETTINGS, dtype="fp32") == out / "adapter"
    return out


# Records as ids


def end_of(qwen):
    return qwen.tokenizer.convert_tokens_to_ids("<|im_end|>")


def test_a_sample_is_what_the_planner_reads_and_is_to_write(qwen):
    for record in draw(60, seed=3):
        sample = to_sample(qwen.tokenizer, record.prompt, record.tokens, end_of(qwen))
        asked = QwenPlanner(qwen).ids(parse_pads(record.prompt))
        assert list(sample.ids[: -sample.learned]) == list(asked)
        written = sample.ids[-sample.learned :]
        assert qwen.tokenizer.decode(written, skip_special_tokens=False) == record.tokens + "<|im_end|>"


def test_signals_in_the_answer_are_single_ids_and_typed_ones_are_text(qwen):
    signals = {qwen.token_ids[token] for token in ADDED_TOKENS[:12]}
    tokens = "<BORES>64,64<EORES><BONF>9<EONF><CFV>"
    sample = to_sample(qwen.tokenizer, "Write <CFI> and <|im_end|> on <IMGPAD>.", tokens, end_of(qwen))
    asked, written = sample.ids[: -sample.learned], sample.ids[-sample.learned :]
    assert [i for i in written if i in signals] == [
        qwen.token_ids[token] for token in ("<BORES>", "<EORES>", "<BONF>", "<EONF>", "<CFV>")
    ]
    assert not signals & set(asked) and "<CFI>" in qwen.tokenizer.decode(asked)
    assert asked.count(qwen.token_ids["<IMGPAD>"]) == 1
    bare = to_sample(qwen.tokenizer, "Write it on <IMGPAD>.", tokens, end_of(qwen)).ids
    assert sample.ids.count(end_of(qwen)) == bare.count(end_of(qwen))


def test_a_record_without_an_answer_only_decides(qwen):
    sample = to_sample(qwen.tokenizer, "Why?", "", end_of(qwen))
    assert sample.decides and not to_sample(qwen.tokenizer, "Why?", "So.", end_of(qwen)).decides
    _, labels, _ = to_batch([sample, Sample((1, 2, 3), 2)], pad=0)
    asked = len(QwenPlanner(qwen).ids(parse_pads("Why?")))
    assert labels[0].tolist() == [IGNORED] * asked + [DECIDES] and labels[1, :3].tolist() == [IGNORED, 2, 3]


def test_deciding_leaves_the_other_ids_odds_alone():
    """No empty answer is learned: of a question's logits the signals' alone fall, and all others rise in proportion."""
    torch.manual_seed(0)
    logits = torch.randn(1, 1, 8, requires_grad=True)
    loss = planning_loss(logits, torch.tensor([[DECIDES]]), signals=[2, 5])
    chances = logits.softmax(-1)[0, 0]
    assert loss.item() == pytest.approx(-(1 - chances[[2, 5]].sum()).log().item(), rel=1e-5)
    loss.backward()
    gradient = logits.grad[0, 0]
    assert (gradient[[2, 5]] > 0).all() and (gradient[[0, 1, 3, 4, 6, 7]] < 0).all()
    others = gradient[[0, 1, 3, 4, 6, 7]] / chances[[0, 1, 3, 4, 6, 7]]
    assert torch.allclose(others, others[0].expand(6), rtol=1e-3)


def test_the_loss_is_the_mean_of_what_is_learned_and_decided():
    torch.manual_seed(0)
    logits, wanted = torch.randn(2, 2, 8), torch.tensor([[3, IGNORED], [DECIDES, 4]])
    parts = [planning_loss(logits, torch.full_like(wanted, IGNORED).index_put((r, c), wanted[r, c]), [2])
             for r, c in ((torch.tensor(0), torch.tensor(0)), (torch.tensor(1), torch.tensor(0)),
                          (torch.tensor(1), torch.tensor(1)))]  # fmt: skip
    assert planning_loss(logits, wanted, [2]).item() == pytest.approx(sum(part.item() for part in parts) / 3, rel=1e-5)


def test_labels_are_the_plan_and_the_end_alone():
    ids, labels, real = to_batch([Sample((1, 2, 3, 4), 2), Sample((5, 6, 7, 8, 9, 10), 1)], pad=0)
    x = IGNORED
    assert ids.tolist() == [[1, 2, 3, 4, 0, 0], [5, 6, 7, 8, 9, 10]]
    assert labels.tolist() == [[x, x, 3, 4, x, x], [x, x, x, x, x, 10]]
    assert real.tolist() == [[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]]


def test_too_long_a_record_is_refused(qwen):
    with pytest.raises(InputError, match=rf"a record has \d+ tokens, at most {MAX_IDS}"):
        to_sample(qwen.tokenizer, "why " * MAX_IDS, "", end_of(qwen))
    longest = to_sample(qwen.tokenizer, "7" * 1500, "<CFI>", end_of(qwen))
    assert 1500 < len(longest.ids) <= MAX_IDS


def test_a_batch_is_of_about_one_length_and_no_length_is_preferred():
    lengths = torch.arange(400) % 100
    batches = [choose(lengths, 8, torch.Generator().manual_seed(seed)) for seed in range(600)]
    assert all(len(batch) == 8 for batch in batches)
    spans = torch.tensor([float(lengths[batch].max() - lengths[batch].min()) for batch in batches])
    assert spans.mean() < 2.5 * 100 / WINDOW
    seen = torch.cat([lengths[batch] for batch in batches]).float()
    assert abs(float(seen.mean()) - 49.5) < 3 and abs(float(seen.std()) - 28.9) < 2
    assert len({index for batch in batches for index in batch}) == 400


def test_samples_are_made_when_asked_for_and_too_long_a_one_is_found_first(qwen):
    samples = Samples(qwen, PAIRS, end_of(qwen))
    assert samples[2].sample == to_sample(qwen.tokenizer, *PAIRS[2], end_of(qwen)) and samples[2] is samples[2]
    assert samples.lengths.tolist() == [len((prompt + tokens).encode()) for prompt, tokens in PAIRS]
    with_long = Samples(qwen, [*PAIRS, ("why " * MAX_IDS, "")], end_of(qwen))
    assert with_long.doubtful == [len(PAIRS)]
    with pytest.raises(InputError, match="a record has"):
        _ = with_long[len(PAIRS)]


def test_too_long_a_record_ends_a_training_before_its_first_step(base, tmp_path):
    with pytest.raises(InputError, match="a record has"):
        train(base, [*PAIRS, ("why " * MAX_IDS, "<CFI>")], tmp_path, SCHEDULE, SETTINGS, dtype="fp32")
    assert not (tmp_path / STATE_FILE).exists()


def test_exact_plans_are_counted_on_the_way_and_adapters_kept(base, trained, tmp_path):
    """Watching changes no bit of the adapter; what is kept on the way loads with PEFT and as a planner."""
    from peft import PeftModel

    held_out = draw(3, seed=5, held_out=True)
    watching = Watching(eval_every=2, keep_last=1)
    schedule = replace(SCHEDULE, save_every=2)
    train(base, PAIRS, tmp_path, schedule, SETTINGS, dtype="fp32", watching=watching, held_out=held_out)
    whole, made = (load_file(out / "adapter" / "adapter_model.safetensors") for out in (trained, tmp_path))
    assert all(torch.equal(whole[key], made[key]) for key in whole)
    kept = tmp_path / "checkpoints" / "step-000004"
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]
    tuned = load_qwen(base, kept, dtype="fp32")
    rows = read_rows(tmp_path / EVALUATIONS_FILE)
    assert [row["step"] for row in rows] == [2, 4, 6]
    assert rows[1]["exact"] == round(evaluate(QwenPlanner(tuned), held_out).exact, 6)
    loaded = PeftModel.from_pretrained(load_qwen(base, dtype="fp32").model, kept)
    ids = torch.tensor([QwenPlanner(tuned).ids(parse_pads("Draw a fox."))])
    with torch.no_grad():
        assert torch.equal(loaded(input_ids=ids).logits, tuned.model(input_ids=ids).logits)
    assert load_file(tmp_path / "best" / "adapter_model.safetensors").keys() == whole.keys()


def test_an_adapters_files_name_base_and_training_and_no_place_of_this_machine(base, trained):
    folder = trained / "adapter"
    config = json.loads((folder / "adapter_config.json").read_text())
    front, text = read_card(folder / "README.md")
    assert config["base_model_name_or_path"] == front["base_model"] == base.name
    assert "| rank | 4 |" in text and "| seed | 2 |" in text and "| records | 12 |" in text and "| 6 | " in text
    for path in folder.iterdir():
        told = path.read_bytes()
        assert str(trained).encode() not in told and str(base.parent).encode() not in told, path.name


def test_held_out_plans_that_are_learned_count_as_exact(base, tmp_path):
    records = [record_of(Task.TEXT_TO_IMAGE, "en", Random(1)), record_of(Task.TEXT_UNDERSTANDING, "en", Random(2))]
    pairs = [(record.prompt, record.tokens) for record in records]
    watching = Watching(eval_every=30)
    schedule = replace(SCHEDULE, steps=60, lr=1e-2)
    train(base, pairs, tmp_path, schedule, SETTINGS, dtype="fp32", watching=watching, held_out=records)
    last = read_rows(tmp_path / EVALUATIONS_FILE)[-1]
    assert (last["exact"], last["exact_en"]) == (1, 1)


# The adapter


def test_the_language_models_linear_layers_embedding_and_head_are_trained(base):
    model = add_lora(load_qwen(base), SETTINGS)
    names = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert not any("visual" in name for name in names)
    layers = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    loras = {name for name in names if "lora_" in name}
    assert {name.split(".lora_")[0].rsplit(".", 1)[1] for name in loras} == layers and len(loras) == 2 * 7 * 2
    assert {name.split(".")[-4] for name in names - loras} == {"embed_tokens", "lm_head"} and len(names - loras) == 2
    dtypes = {parameter.requires_grad: parameter.dtype for parameter in model.parameters()}
    assert dtypes == {True: torch.float32, False: torch.bfloat16}


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16"])
def test_a_few_steps_make_the_loss_fall_whatever_the_base_is_in(base, tmp_path, dtype):
    train(base, PAIRS[3:5], tmp_path, replace(SCHEDULE, steps=40, lr=1e-2), SETTINGS, dtype=dtype)
    first, last = (json.loads(line)["loss"] for line in (tmp_path / LOG_FILE).read_text().splitlines())
    assert last < 0.3 * first


def test_a_resumed_run_gives_the_same_adapter(base, trained, tmp_path):
    asked = []

    def cancel():
        asked.append(1)
        return len(asked) > 3

    with pytest.raises(Cancelled, match="training the planner"):
        train(base, PAIRS, tmp_path, SCHEDULE, SETTINGS, dtype="fp32", cancel=cancel)
    assert torch.load(tmp_path / "state.pt")["step"] == 3 and not (tmp_path / "adapter").exists()
    train(base, PAIRS, tmp_path, SCHEDULE, SETTINGS, dtype="fp32")
    whole, resumed = (load_file(out / "adapter" / "adapter_model.safetensors") for out in (trained, tmp_path))
    assert whole.keys() == resumed.keys() and len(whole) == 2 * 7 * 2 + 2
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_processes_that_read_ahead_change_no_bit_of_it_also_when_it_is_resumed(base, trained, tmp_path):
    """From a file, cancelled behind its third step, once with and once without such processes."""
    write([Record(Task.TEXT_TO_IMAGE, "en", prompt, tokens) for prompt, tokens in PAIRS], tmp_path / "data.jsonl")
    asked, records = [], RecordFiles([tmp_path / "data.jsonl"])
    with pytest.raises(Cancelled):
        train(base, records, tmp_path, SCHEDULE, SETTINGS, dtype="fp32", workers=2,
              cancel=lambda: asked.append(1) or len(asked) > 3)  # fmt: skip
    assert torch.load(tmp_path / STATE_FILE)["step"] == 3 and multiprocessing.active_children() == []
    train(base, records, tmp_path, SCHEDULE, SETTINGS, dtype="fp32", workers=1)
    whole, made = (load_file(out / "adapter" / "adapter_model.safetensors") for out in (trained, tmp_path))
    assert all(torch.equal(whole[key], made[key]) for key in whole)
    with pytest.raises(InputError, match="--workers is -1"):
        train(base, records, tmp_path, SCHEDULE, SETTINGS, workers=-1)


def test_a_run_of_other_records_or_settings_is_no_resume(base, trained, tmp_path):
    for pairs, settings, said in (
        (PAIRS[1:], SETTINGS, "other data"),
        (PAIRS, replace(SETTINGS, batch=3), "batch 2, now 3"),
    ):
        with pytest.raises(InputError, match=rf"trained otherwise \({said}\)"):
            train(base, pairs, trained, SCHEDULE, settings, dtype="fp32")


def test_averaged_weights_become_the_adapter(base, trained, tmp_path):
    train(base, PAIRS, tmp_path, replace(SCHEDULE, ema=0.9), SETTINGS, dtype="fp32")
    state = torch.load(tmp_path / "state.pt")
    made = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    averaged = {value.double().sum().item() for value in state["averaged"].values()}
    assert {value.double().sum().item() for value in made.values()} == averaged
    assert averaged != {value.double().sum().item() for value in state["weights"].values()}


def test_a_run_goes_on_from_an_adapter(base, trained, tmp_path):
    """A step of next to nothing leaves what it began with; an adapter of another rank is refused by name."""
    start = trained / "adapter"
    train(base, PAIRS, tmp_path, replace(SCHEDULE, steps=1, lr=1e-12), SETTINGS, start=start, dtype="fp32")
    before, after = (load_file(out / "adapter" / "adapter_model.safetensors") for out in (trained, tmp_path))
    assert before.keys() == after.keys()
    assert all(torch.allclose(before[key], after[key], atol=1e-6) for key in before)
    assert any("lora_B" in key and bool(value.any()) for key, value in after.items())
    for wrong, folder in ((replace(SETTINGS, rank=2), start), (SETTINGS, tmp_path / "none")):
        with pytest.raises(WeightsError):
            train(base, PAIRS, tmp_path / "again", SCHEDULE, wrong, start=folder, dtype="fp32")


def test_token_rows_alone_can_be_trained_and_saved(base, qwen, trained, tmp_path):
    """The signal tokens' rows of embedding and head, and no other; the head stays apart from the embedding."""
    settings = replace(SETTINGS, token_rows=True, keep=1)
    adapter = train(base, PAIRS, tmp_path / "rows", SCHEDULE, settings, dtype="fp32")
    weights = load_file(adapter / "adapter_model.safetensors")
    rows = {name: value for name, value in weights.items() if "lora_" not in name}
    width = qwen.base.config.get_text_config().hidden_size
    assert [tuple(value.shape) for value in rows.values()] == [(len(ADDED_TOKENS), width)] * 2
    whole = (trained / "adapter" / "adapter_model.safetensors").stat().st_size
    assert (adapter / "adapter_model.safetensors").stat().st_size < whole / 2
    state = torch.load(tmp_path / "rows" / STATE_FILE)["weights"]
    assert max(value.numel() for name, value in state.items() if "lora_" not in name) == len(ADDED_TOKENS) * width
    loaded = load_qwen(base, adapter, dtype="fp32")
    assert loaded.has_planning and loaded.adapter_removable
    merge(base, adapter, tmp_path / "merged", dtype="fp32")
    merged = load_qwen(tmp_path / "merged", dtype="fp32").base
    ids = sorted(qwen.token_ids.values())
    for own, trained_rows in (
        (merged.get_input_embeddings().weight, rows[next(name for name in rows if "embed_tokens" in name)]),
        (merged.lm_head.weight, rows[next(name for name in rows if "lm_head" in name)]),
    ):
        assert torch.equal(own[ids], trained_rows)
    assert not torch.equal(merged.get_input_embeddings().weight, merged.lm_head.weight)
    others = [index for index in range(len(merged.lm_head.weight)) if index not in ids]
    assert torch.equal(merged.lm_head.weight[others], qwen.base.lm_head.weight[others])
    assert not torch.equal(merged.lm_head.weight[ids], qwen.base.lm_head.weight[ids])
    go_on = train(
        base, PAIRS, tmp_path / "more", replace(SCHEDULE, lr=1e-9, steps=2), settings, start=adapter, dtype="fp32"
    )
    more = load_file(go_on / "adapter_model.safetensors")
    assert all(torch.allclose(more[name], value, atol=1e-6) for name, value in rows.items())


def test_the_adapter_loads_plans_and_can_be_taken_off(base, qwen, trained):
    tuned = load_qwen(base, trained / "adapter", dtype="fp32")
    assert tuned.has_planning and tuned.has_adapter and tuned.adapter_removable
    assert tuned.token_ids == qwen.token_ids
    ids = torch.tensor([QwenPlanner(qwen).ids(parse_pads("Draw a fox."))])
    with torch.no_grad():
        plain, on = (each.model(input_ids=ids).logits for each in (qwen, tuned))
        with tuned.without_adapter():
            off = tuned.model(input_ids=ids).logits
    assert torch.equal(off, plain) and (on - plain).abs().max() > 1e-3
    assert QwenPlanner(tuned).plan(make="made", prompt=parse_pads("Draw a fox.")).plan.task.is_generation


def test_what_is_learned_is_what_the_planner_then_says(base, tmp_path):
    """Two records by heart: the planner that loads the adapter writes their tokens, and answers the question."""
    records = [record_of(Task.TEXT_TO_IMAGE, "en", Random(1)), record_of(Task.TEXT_UNDERSTANDING, "en", Random(2))]
    pairs = [(record.prompt, record.tokens) for record in records]
    out = train(base, pairs, tmp_path, replace(SCHEDULE, steps=60, lr=1e-2), SETTINGS, dtype="fp32")
    score = evaluate(QwenPlanner(load_qwen(base, out, dtype="fp32")), records)
    assert score.exact == 1.0, score.wrong


def test_a_base_in_half_precision_can_be_checkpointed_and_its_adapter_is_float32(base, tmp_path):
    settings = replace(SETTINGS, gradient_checkpointing=True)
    train(base, PAIRS, tmp_path, replace(SCHEDULE, steps=2), settings)  # auto: as stored, bfloat16
    made = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert {value.dtype for value in made.values()} == {torch.float32}
    assert load_qwen(base, tmp_path / "adapter").has_planning


def test_checkpointing_gives_the_same_adapter(base, trained, tmp_path):
    train(base, PAIRS, tmp_path, SCHEDULE, replace(SETTINGS, gradient_checkpointing=True), dtype="fp32")
    whole, made = (load_file(out / "adapter" / "adapter_model.safetensors") for out in (trained, tmp_path))
    for key, value in whole.items():
        torch.testing.assert_close(made[key], value, atol=1e-4, rtol=1e-3)


def test_nothing_to_train_on_is_said(base, tmp_path):
    with pytest.raises(InputError, match="unison data planning"):
        train(base, [], tmp_path, SCHEDULE, SETTINGS)
    with pytest.raises(PromptError, match="empty"):
        train(base, [("", "<CFI>")], tmp_path, SCHEDULE, SETTINGS)


def test_a_place_that_cannot_be_written_is_said(base, tmp_path):
    (tmp_path / "adapter").write_text("")
    with pytest.raises(ResourceError, match="adapter cannot be written"):
        train(base, PAIRS, tmp_path, replace(SCHEDULE, steps=1), SETTINGS)


@pytest.mark.parametrize("wrong", [{"rank": 0}, {"alpha": 0}, {"batch": 0}, {"dropout": 1.0}, {"dropout": -0.1}])
def test_settings_have_limits(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        LoraSettings(**wrong)
