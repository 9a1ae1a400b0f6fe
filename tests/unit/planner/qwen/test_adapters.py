"""LoRA adapters of the planner: what each kind gives, and what is refused, with the reason."""

from __future__ import annotations

import json
import pickle
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import Qwen2_5_VLForConditionalGeneration as Model

from unison_backend.errors import WeightsError
from unison_backend.plan.tokens import ADDED_TOKENS
from unison_backend.planner.qwen.loading import Qwen, load_qwen

from .folders import IDS, LINEAR, SAVED, change, logits, make_adapter, same, without

TEXT_ONLY = r"^(?!.*visual).*(?:q_proj|v_proj|o_proj|down_proj).*"  # as LLaMA-Factory writes it

pytestmark = pytest.mark.usefixtures("offline")

KINDS: dict[str, dict[str, Any]] = {
    "plain LoRA": {},
    "text only": {"target_modules": TEXT_ONLY},
    "modules_to_save": {"modules_to_save": SAVED},
    "embedding saved alone": {"modules_to_save": ["embed_tokens"]},
    "resized embeddings": {"rows": 1152, "save_embeddings": True},
    "resized modules_to_save": {"rows": 1152, "modules_to_save": SAVED},
    "fewer padding rows": {"rows": 1056, "modules_to_save": SAVED},
    "tied embedding written": {"save_embeddings": True},
    "tied modules_to_save": {"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True},
    "single rows": {"trainable_token_indices": list(range(1038, 1052))},
    "LoRA on embedding and head": {"target_modules": [*LINEAR, *SAVED]},
    "DoRA": {"use_dora": True},
    "biases": {"bias": "lora_only"},
}
# Kinds that leave something in the base, and kinds that bring rows for the tokens when the base has none.
LASTING = {"resized embeddings", "tied embedding written", "biases"}
TRAINED = set(KINDS) - {"plain LoRA", "text only", "embedding saved alone", "DoRA", "biases"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_every_kind_of_adapter_gives_the_training_models_logits(plain: Path, tmp_path: Path, kind: str) -> None:
    expected = make_adapter(plain, tmp_path, **KINDS[kind])
    qwen = load_qwen(plain, tmp_path, dtype="fp32")
    assert same(logits(qwen.model), expected) and same(logits(qwen.base), expected)
    assert qwen.adapter_removable == (kind not in LASTING)
    assert qwen.has_planning == (kind in TRAINED)
    base = logits(Model.from_pretrained(plain, dtype=torch.float32))
    with qwen.without_adapter():
        without = logits(qwen.model)
    assert not same(expected[..., :1000], base[..., :1000], 1e-3)
    if qwen.adapter_removable:
        assert same(without[..., :1000], base[..., :1000])
    else:
        assert same(without, expected)
    assert same(logits(qwen.model), expected)
    assert not any(parameter.requires_grad for parameter in qwen.model.parameters())


def old_names(folder: Path) -> None:
    """Keys and module names of before transformers 4.52."""
    path = folder / "adapter_model.safetensors"
    old = {
        key.replace(".model.language_model.", ".model.").replace(".model.model.visual.", ".model.visual."): tensor
        for key, tensor in load_file(path).items()
    }
    assert old.keys() != load_file(path).keys()
    save_file(old, path)


@pytest.mark.parametrize("kind", ["plain LoRA", "modules_to_save", "resized embeddings", "full names"])
@pytest.mark.filterwarnings("ignore")
def test_adapters_with_old_key_names_are_applied(plain: Path, tmp_path: Path, kind: str) -> None:
    names = {"target_modules": [f"model.language_model.layers.{n}.self_attn.q_proj" for n in (0, 1)]}
    expected = make_adapter(plain, tmp_path, **KINDS.get(kind, names))
    old_names(tmp_path)
    if kind == "full names":
        change(tmp_path / "adapter_config.json", target_modules=[f"model.layers.{n}.self_attn.q_proj" for n in (0, 1)])
    assert same(logits(load_qwen(plain, tmp_path, dtype="fp32").model), expected)


class Bomb:
    """Writes a file when a pickle with it is opened."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return Path.touch, (self.target,)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, plain: Path) -> Path:
    """A LoRA with embedding and head, trained with canonical token ids."""
    folder = tmp_path_factory.mktemp("adapter")
    make_adapter(plain, folder, modules_to_save=SAVED)
    return folder


def test_pickled_adapter_without_code_loads_and_one_with_code_never_runs(
    plain: Path, adapter: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(adapter, tmp_path / "lora")
    state = load_file(folder / "adapter_model.safetensors")
    (folder / "adapter_model.safetensors").unlink()
    torch.save(state, folder / "adapter_model.bin")
    assert same(logits(load_qwen(plain, folder).model), logits(load_qwen(plain, adapter).model), 0)
    content = state | {"x": Bomb(tmp_path / "ran")}
    for write in (lambda path: torch.save(content, path), lambda path: path.write_bytes(pickle.dumps(content, 2))):
        write(folder / "adapter_model.bin")
        with pytest.raises(WeightsError, match=r"refused|not a weights file"):
            load_qwen(plain, folder)
    assert not (tmp_path / "ran").exists()


def test_an_adapter_does_not_choose_what_is_imported(
    plain: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(adapter, tmp_path / "lora")
    (tmp_path / "unison_bomb.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    change(folder / "adapter_config.json", megatron_config={"x": 1}, megatron_core="unison_bomb")
    load_qwen(plain, folder)
    assert not (tmp_path / "ran").exists()


def rewrite(edit: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "adapter_model.safetensors"
        save_file(edit(load_file(path)), path)

    return apply


def reshaped(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {k: torch.zeros(t.shape[0], 96) if k.endswith("q_proj.lora_A.weight") else t for k, t in state.items()}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-64])


def swap_ids(folder: Path) -> None:
    tokens = [{"id": 1038 + i, "content": token} for i, token in enumerate(reversed(ADDED_TOKENS))]
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": tokens}))


def fewer_rows(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {k: t[:1040].clone() if t.shape[0] == 1088 else t for k, t in state.items()}


MISFITS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no config": (without("adapter_config.json"), "has no adapter_config.json"),
    "other method": (
        lambda f: change(f / "adapter_config.json", peft_type="IA3"),
        "type 'IA3'; the planner takes a LoRA",
    ),
    "no weights": (without("adapter_model.safetensors"), "has no adapter_model.safetensors"),
    "truncated": (lambda f: cut(f / "adapter_model.safetensors"), "adapter_model.safetensors is damaged, cut short"),
    "no LoRA": (rewrite(lambda s: {"vae.weight": torch.zeros(2)}), "holds no LoRA weights"),
    "other width": (
        rewrite(reshaped),
        r"layers\.0\.self_attn\.q_proj\.lora_A\.weight is \[4, 96\], .* there is \[64, 64\]",
    ),
    "other architecture": (
        rewrite(lambda s: {k.replace("self_attn", "attention"): t for k, t in s.items()}),
        r"layers\.0\.attention\..* has no counterpart there, so it is for another architecture",
    ),
    "not targeted": (
        lambda f: change(f / "adapter_config.json", target_modules=["q_proj"]),
        "LoRA weights were not applied",
    ),
    "some weights lost": (
        rewrite(lambda s: {k: t for k, t in s.items() if "layers.1.mlp.up_proj" not in k}),
        r"2 LoRA weights were not applied, such as .*layers\.1\.mlp\.up_proj\.lora_A",
    ),
    "other ids": (swap_ids, "expects <CFI> to be token 1051, the base's tokenizer has it as 1038"),
    "ids beyond the rows": (
        rewrite(fewer_rows),
        "trained with 1040 embedding rows, but the tokenizer .* up to id 1051",
    ),
    "no such module": (lambda f: change(f / "adapter_config.json", target_modules=["qkv_proj"]), "cannot be put onto"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_adapters_that_do_not_fit_are_refused_with_the_reason(
    plain: Path, adapter: Path, tmp_path: Path, name: str
) -> None:
    folder = shutil.copytree(adapter, tmp_path / "lora")
    MISFITS[name][0](folder)
    with pytest.raises(WeightsError, match=MISFITS[name][1]):
        load_qwen(plain, folder)


def test_a_base_with_the_tokens_in_another_order_is_refused(embedded: Path, adapter: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(embedded, tmp_path / "qwen")
    text = (folder / "tokenizer.json").read_text().replace("<CFI>", "<X>").replace("<CFV>", "<CFI>")
    (folder / "tokenizer.json").write_text(text.replace("<X>", "<CFV>"))
    config = (folder / "tokenizer_config.json").read_text().replace("<CFI>", "<X>").replace("<CFV>", "<CFI>")
    (folder / "tokenizer_config.json").write_text(config.replace("<X>", "<CFV>"))
    with pytest.raises(WeightsError, match="expects <CFI> to be token 1038, the base's tokenizer has it as 1039"):
        load_qwen(folder, adapter)
    vouched = shutil.copytree(adapter, tmp_path / "lora")  # its own tokenizer vouches for that order
    shutil.copy(folder / "tokenizer.json", vouched)
    assert load_qwen(folder, vouched).token_ids["<CFI>"] == 1039


def test_inference_mode_and_another_thread(plain: Path, adapter: Path) -> None:
    made: list[Any] = []

    def run() -> None:
        with torch.inference_mode():
            made.append(load_qwen(plain, adapter, dtype="fp32"))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    qwen: Qwen = made[0]
    inside = logits(qwen.model)
    with qwen.without_adapter():
        base = logits(qwen.model)
    assert not same(inside, base, 1e-3) and same(inside, logits(load_qwen(plain, adapter, dtype="fp32").model))
    tokens = qwen.model.generate(input_ids=IDS, attention_mask=torch.ones_like(IDS), max_new_tokens=2, do_sample=False)
    assert tokens.shape[1] > IDS.shape[1]


def test_progress_and_moving_with_an_adapter(plain: Path, adapter: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    qwen = load_qwen(plain, adapter, progress=lambda *step: steps.append(step))
    assert steps == [("loading the planner", done, 4) for done in range(5)]
    assert isinstance(qwen.model, PeftModel)
    assert {p.device.type for p in qwen.to("meta").model.parameters()} == {"meta"}
    assert qwen.device.type == "meta"


RUNAWAY = r"^(?:\w+\.?)+(?:\w+\.?)+(?:\w+\.?)+(?:\w+\.?)+!$"
"""Takes longer than anyone waits for each module's name."""
PATTERNS: dict[str, dict[str, Any]] = {
    "target": {"target_modules": RUNAWAY},
    "exclude": {"exclude_modules": RUNAWAY},
    "rank": {"rank_pattern": {RUNAWAY: 4}},
    "layers": {"layers_pattern": [RUNAWAY], "layers_to_transform": [0, 1]},
}


@pytest.mark.parametrize("name", PATTERNS)
def test_no_pattern_of_an_adapter_is_run(embedded: Path, tmp_path: Path, name: str) -> None:
    """The weights say where they go: the adapter does what it did before its configuration was spoilt."""
    expected = make_adapter(embedded, tmp_path / "lora")
    change(tmp_path / "lora" / "adapter_config.json", **PATTERNS[name])
    assert same(logits(load_qwen(embedded, tmp_path / "lora", dtype="fp32").model), expected, 1e-5)


def test_ranks_and_alphas_of_single_modules(embedded: Path, tmp_path: Path) -> None:
    patterns = {
        "rank_pattern": {r".*layers\.0.*q_proj": 2, "v_proj": 8},
        "alpha_pattern": {"v_proj": 3, r"layers.1.self_attn.q_proj": 5},
    }
    expected = make_adapter(embedded, tmp_path / "lora", **patterns)
    assert same(logits(load_qwen(embedded, tmp_path / "lora", dtype="fp32").model), expected, 1e-5)
    change(tmp_path / "lora" / "adapter_config.json", alpha_pattern={r"layers\.1\.self_attn\.q_proj$": 5, "v_proj": 3})
    assert same(logits(load_qwen(embedded, tmp_path / "lora", dtype="fp32").model), expected, 1e-5)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "alpha as a pattern": ({"alpha_pattern": {RUNAWAY: 3}}, "alpha_pattern has .*, a pattern, which is not run"),
    "rank of text": ({"r": "4"}, "r is '4'; it is a number from 1 to 65536"),
    "another rank": ({"r": 1000}, "speaks of rank 1000, but .* has 4 in the weights"),
    "huge rank": ({"r": 10**9}, "r is 1000000000; it is a number"),
    "layers made": ({"layer_replication": [[0, 1_000_000]]}, "layer_replication is list; it is not taken here"),
    "saved by pattern": ({"modules_to_save": ["(a+)+$"]}, "modules_to_save is list; it is a list of module names"),
    "saved a number": ({"modules_to_save": 3}, "modules_to_save is 3; it is a list of module names"),
    "rows of text": ({"trainable_token_indices": "all"}, "trainable_token_indices is 'all'; it is a list of token"),
    "endless start": ({"init_lora_weights": "pissa_niter_999999999"}, "pissa_niter_ and at most 99"),
    "another kind": ({"peft_type": ["LORA"]}, "an adapter of type list; the planner takes a LoRA"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_adapter_configurations_that_are_refused(embedded: Path, tmp_path: Path, name: str) -> None:
    make_adapter(embedded, tmp_path / "lora")
    values, told = REFUSED[name]
    change(tmp_path / "lora" / "adapter_config.json", **values)
    with pytest.raises(WeightsError, match=told):
        load_qwen(embedded, tmp_path / "lora")
