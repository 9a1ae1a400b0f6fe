"""Merged planner folders: equal to base and LoRA, readable by what read the base, and whole or not there at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer
from transformers import Qwen2_5_VLForConditionalGeneration as Model

from unison_backend.demo import set as demo
from unison_backend.errors import InputError, ResourceError, WeightsError
from unison_backend.plan.tokens import ADDED_TOKENS
from unison_backend.planner.qwen import merging
from unison_backend.planner.qwen.findings import check_planner_folder
from unison_backend.planner.qwen.loading import load_qwen
from unison_backend.planner.qwen.merging import merge
from unison_backend.weights.adapter import ANSWERING_FOLDER, planning_adapter
from unison_backend.weights.folder import has_planning_weights

IDS = torch.tensor([[1025, 40, 41, 300, 1038, 7, 1050, 512, 1026]])
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
SAVED = ["embed_tokens", "lm_head"]
KINDS: dict[str, dict[str, Any]] = {
    "plain LoRA": {},
    "modules_to_save": {"modules_to_save": SAVED},
    "resized embeddings": {"rows": 1152},
    "tied modules_to_save": {"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True},
    "single rows": {"trainable_token_indices": list(range(1038, 1052))},
    "DoRA": {"use_dora": True},
}
UNTRAINED = {"plain LoRA", "DoRA"}
ONE_WAY = {"resized embeddings", "tied modules_to_save", "DoRA"}  # cannot be taken off once merged


pytestmark = pytest.mark.usefixtures("offline")


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(read(path) | values), encoding="utf-8")


@pytest.fixture(scope="module")
def embedded() -> Path:
    return demo.ensure_untrained().planner


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, embedded: Path) -> Path:
    """As the hub's 3B: tied head, no planning tokens, padding rows behind the tokenizer's."""
    folder = shutil.copytree(embedded, tmp_path_factory.mktemp("plain") / "qwen")
    weights = load_file(folder / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    change(folder / "config.json", tie_word_embeddings=True)
    kept = [entry for entry in read(folder / "tokenizer.json")["added_tokens"] if entry["content"] not in ADDED_TOKENS]
    change(folder / "tokenizer.json", added_tokens=kept)
    config = read(folder / "tokenizer_config.json")
    known = {k: v for k, v in config["added_tokens_decoder"].items() if v["content"] not in ADDED_TOKENS}
    special = [token for token in config["additional_special_tokens"] if token not in ADDED_TOKENS]
    change(folder / "tokenizer_config.json", added_tokens_decoder=known, additional_special_tokens=special)
    return folder


def make_adapter(base: Path, out: Path, *, rows: int = 0, **options: Any) -> None:
    """Write a random LoRA as peft does, without this package."""
    from peft import LoraConfig, get_peft_model

    model: Any = Model.from_pretrained(base, dtype=torch.float32)
    if (rows or options.get("modules_to_save") == SAVED) and model.config.tie_word_embeddings:
        model.config.tie_word_embeddings = model.config.get_text_config().tie_word_embeddings = False
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    if rows:
        model.resize_token_embeddings(rows, mean_resizing=False)
    settings = {"r": 4, "lora_alpha": 8, "target_modules": LINEAR, "task_type": "CAUSAL_LM"} | options
    tuned = get_peft_model(model, LoraConfig(**settings))
    torch.manual_seed(7)
    whole = ("modules_to_save", "trainable_tokens", *(SAVED if rows else []))
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_" in name or any(part in name for part in whole):
                parameter += 0.05 * torch.randn_like(parameter)
    tuned.save_pretrained(out, save_embedding_layers=bool(rows))


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, plain: Path) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    make_adapter(plain, folder, modules_to_save=SAVED)
    return folder


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits.float()


@pytest.mark.parametrize(
    ("which", "kind"),
    [(w, k) for w in ("plain", "embedded") for k in KINDS if (w, k) != ("embedded", "tied modules_to_save")],
)
@pytest.mark.filterwarnings("ignore")
def test_merged_is_base_and_adapter(request: pytest.FixtureRequest, tmp_path: Path, which: str, kind: str) -> None:
    base = request.getfixturevalue(which)
    make_adapter(base, tmp_path / "lora", **KINDS[kind])
    unmerged = load_qwen(base, tmp_path / "lora", dtype="fp32")
    merge(base, tmp_path / "lora", tmp_path / "out", dtype="fp32")

    merged, info = Model.from_pretrained(tmp_path / "out", dtype=torch.float32, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    made, untuned = logits(merged), logits(Model.from_pretrained(base, dtype=torch.float32))
    assert float((made - logits(unmerged.model)).abs().max()) <= 1e-4
    assert float((made[..., :1000] - untuned[..., :1000]).abs().max()) > 1e-2
    assert not merged.config.tie_word_embeddings
    assert merged.lm_head.weight is not merged.get_input_embeddings().weight

    _check_way_back(load_qwen(tmp_path / "out", dtype="fp32", answering=True), made, untuned, kind)
    planner = load_qwen(tmp_path / "out")
    trained = which == "embedded" or kind not in UNTRAINED
    assert planner.has_planning == trained == has_planning_weights(tmp_path / "out") == unmerged.has_planning
    assert planner.token_ids == unmerged.token_ids
    assert not {"lora", "out"} ^ {path.name for path in tmp_path.iterdir()}


def _check_way_back(answering: Any, made: torch.Tensor, untuned: torch.Tensor, kind: str) -> None:
    """Planning as the merged model, answering as the base."""
    assert answering.adapter_answers == answering.has_adapter == (kind not in ONE_WAY)
    assert float((logits(answering.model) - made).abs().max()) <= 1e-4
    with answering.without_adapter():
        answered = logits(answering.model)
    assert float((logits(answering.model) - made).abs().max()) <= 1e-4
    # what stands behind a signal token has read its row, which a way back leaves out where rows alone were trained
    places = 4 if kind == "single rows" else IDS.shape[1]
    apart = (answered[..., :1000] - untuned[..., :1000])[:, :places]
    assert (float(apart.abs().max()) <= 1e-4) == (kind not in ONE_WAY)


@pytest.mark.parametrize(("kind", "why"), [("DoRA", "scales"), ("resized embeddings", "changes the base's own")])
@pytest.mark.filterwarnings("ignore")
def test_why_a_merged_planner_does_not_answer_as_its_base_is_said(
    plain: Path, tmp_path: Path, kind: str, why: str
) -> None:
    make_adapter(plain, tmp_path / "lora", **KINDS[kind])
    said = merge(plain, tmp_path / "lora", tmp_path / "out", dtype="fp32")
    assert said is not None and why in said and not (tmp_path / "out" / ANSWERING_FOLDER).exists()


def test_a_way_back_is_an_adapter_of_peft_and_no_planning_lora(plain: Path, adapter: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    assert merge(plain, adapter, tmp_path / "out", dtype="fp32") is None
    place = tmp_path / "out" / ANSWERING_FOLDER
    merged = Model.from_pretrained(tmp_path / "out", dtype=torch.float32)
    back = PeftModel.from_pretrained(merged, place)
    untuned = logits(Model.from_pretrained(plain, dtype=torch.float32))
    assert float((logits(back) - untuned)[..., :1000].abs().max()) <= 1e-4
    assert not planning_adapter(place, tmp_path / "out") and planning_adapter(adapter, tmp_path / "out")


def test_a_way_back_that_does_not_lead_there_is_not_kept(
    plain: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = merging.reversed_state
    monkeypatch.setattr(merging, "reversed_state", lambda model: {k: -t for k, t in true(model).items()})
    with pytest.raises(WeightsError, match=r"taken off again the logits differ from the base's by .*float32 allows"):
        merge(plain, adapter, tmp_path / "out", dtype="fp32")
    assert not list(tmp_path.iterdir())


def test_small_files_stay_as_they_were(plain: Path, adapter: Path, tmp_path: Path) -> None:
    base = shutil.copytree(plain, tmp_path / "base")
    change(base / "generation_config.json", temperature=0.1, do_sample=False)  # transformers would not save this
    (base / "added_tokens.json").write_text('{"<|im_end|>": 1026}')
    merge(base, adapter, tmp_path / "out")
    out = tmp_path / "out"
    for name in ("preprocessor_config.json", "video_preprocessor_config.json", "chat_template.json"):
        assert (out / name).read_bytes() == (base / name).read_bytes()
    for name in ("generation_config.json", "vocab.json", "merges.txt"):
        assert (out / name).read_bytes() == (base / name).read_bytes()
    before, after = read(base / "config.json"), read(out / "config.json")
    assert after == before | {"tie_word_embeddings": False}
    assert after["torch_dtype"] == "bfloat16"

    tokenizer = AutoTokenizer.from_pretrained(out)
    assert tokenizer.convert_tokens_to_ids(list(ADDED_TOKENS)) == list(range(1038, 1052))
    assert set(ADDED_TOKENS) | {"<|im_start|>"} <= set(tokenizer.all_special_tokens)
    assert tokenizer("a <CFI>b").input_ids[-2] == 1038
    assert read(out / "added_tokens.json") == {"<|im_end|>": 1026} | {t: 1038 + i for i, t in enumerate(ADDED_TOKENS)}
    keys = {key for file in out.glob("*.safetensors") for key in load_file(file)}
    assert {"model.embed_tokens.weight", "lm_head.weight", "visual.merger.ln_q.weight"} <= keys  # the hub's names


def test_dtype_and_rows_are_written_into_the_config(plain: Path, tmp_path: Path) -> None:
    make_adapter(plain, tmp_path / "lora", rows=1152)
    nested = shutil.copytree(plain, tmp_path / "base")  # as transformers 5 writes it
    Model.from_pretrained(plain, dtype=torch.bfloat16).config.save_pretrained(nested)
    change(nested / "config.json", tie_word_embeddings=True)
    for base in (plain, nested):
        out = tmp_path / f"{base.parent.name}-out"
        merge(base, tmp_path / "lora", out, dtype="fp16")
        config = read(out / "config.json")
        assert config.get("text_config", config).get("vocab_size", config.get("vocab_size")) == 1152
        assert Model.from_pretrained(out, dtype="auto").dtype == torch.float16


def test_an_empty_folder_may_be_given_and_any_other_is_kept(plain: Path, adapter: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    steps: list[int] = []
    merge(plain, adapter, out, progress=lambda stage, done, total: steps.append(done))
    assert steps == [0, 1, 2, 3, 4] and has_planning_weights(out)
    content = sorted(out.iterdir())
    with pytest.raises(InputError, match="exists already"):
        merge(plain, adapter, out)
    with pytest.raises(InputError, match="is the base itself"):
        merge(plain, adapter, plain)
    assert sorted(out.iterdir()) == content


def test_a_result_that_differs_is_not_kept(
    plain: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Model.save_pretrained

    def damaged(model: Any, folder: Path, **options: Any) -> None:
        with torch.no_grad():
            model.lm_head.weight[1044] += 1
        save(model, folder, **options)
        with torch.no_grad():
            model.lm_head.weight[1044] -= 1

    monkeypatch.setattr(Model, "save_pretrained", damaged)
    with pytest.raises(WeightsError, match=r"lm_head\.weight was not written as it was merged"):
        merge(plain, adapter, tmp_path / "out", dtype="fp32")
    monkeypatch.setattr(Model, "save_pretrained", save)
    monkeypatch.setattr(merging, "untie", lambda model: model.lm_head.weight.data.mul_(1.01))
    with pytest.raises(WeightsError, match=r"merged logits differ from the LoRA's by .*float32 allows"):
        merge(plain, adapter, tmp_path / "out", dtype="fp32")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_and_a_stop_leave_nothing(
    plain: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if stage == "merging" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merge(plain, adapter, tmp_path / "out", progress=stop)
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
        with pytest.raises(ResourceError, match="no room for the merged planner; free 0"):
            merge(plain, adapter, tmp_path / "out")
    monkeypatch.setattr(merging, "_write_small_files", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(ResourceError, match=r"cannot be written .*No space left"):
        merge(plain, adapter, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_lora_for_another_base_writes_nothing(plain: Path, adapter: Path, tmp_path: Path) -> None:
    lora = shutil.copytree(adapter, tmp_path / "lora")
    state = load_file(lora / "adapter_model.safetensors")
    state = {k: t[:, :32].clone() if k.endswith("lora_A.weight") else t for k, t in state.items()}
    save_file(state, lora / "adapter_model.safetensors")
    with pytest.raises(WeightsError, match=r"does not fit .* is \[4, 32\], the base's weight there is"):
        merge(plain, lora, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_half_precision_within_its_tolerance(plain: Path, adapter: Path, tmp_path: Path) -> None:
    unmerged = load_qwen(plain, adapter)
    merge(plain, adapter, tmp_path / "out")
    expected, made = logits(unmerged.model), logits(load_qwen(tmp_path / "out").model)
    assert float((made - expected).abs().max()) <= 2e-2 * max(1.0, float(expected.abs().max()))


def test_findings_for_the_doctor(embedded: Path, plain: Path, adapter: Path, tmp_path: Path) -> None:
    assert check_planner_folder(embedded) == [
        "model type qwen2_5_vl, 2 layers x 64",
        "weights bfloat16, 0.0006 GB in 1 file, complete; 1088 rows",
        "planning tokens present, ids 1038 to 1051",
        "head of its own",
        "processor files present",
    ]
    findings = check_planner_folder(plain)
    assert findings[2:4] == [
        "planning tokens absent: it plans by rules and answers questions",
        "head tied to the embedding",
    ]
    assert "holds a LoRA adapter" in check_planner_folder(adapter)[0]
    folder = shutil.copytree(embedded, tmp_path / "qwen")
    (folder / "preprocessor_config.json").unlink()
    assert "missing (preprocessor_config.json)" in check_planner_folder(folder)[4]
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    assert "model.safetensors is damaged, cut short" in check_planner_folder(folder)[0]
    assert check_planner_folder(tmp_path / "none") == [f"{tmp_path / 'none'} is not there; give a Qwen2.5-VL folder"]
