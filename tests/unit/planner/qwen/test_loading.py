"""Qwen2.5-VL folders and adapters: what loads, what it then is, and what is refused, with the reason."""

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
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import Qwen2_5_VLForConditionalGeneration as Model

from unison_backend.demo import set as demo
from unison_backend.errors import InputError, LibraryError, UnsupportedError, WeightsError
from unison_backend.plan.tokens import ADDED_TOKENS
from unison_backend.planner.qwen import loading
from unison_backend.planner.qwen.loading import Qwen, load_qwen

IDS = torch.tensor([[1025, 40, 41, 300, 1038, 7, 1050, 512, 1026]])
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
TEXT_ONLY = r"^(?!.*visual).*(?:q_proj|v_proj|o_proj|down_proj).*"  # as LLaMA-Factory writes it
SAVED = ["embed_tokens", "lm_head"]


pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture(scope="module")
def embedded() -> Path:
    return demo.ensure_untrained().planner


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, embedded: Path) -> Path:
    """As the hub's 3B: tied head, no planning tokens, padding rows behind the tokenizer's."""
    return make_plain(embedded, tmp_path_factory.mktemp("plain") / "qwen")


def make_plain(source: Path, folder: Path) -> Path:
    shutil.copytree(source, folder)
    weights = load_file(folder / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    change(folder / "config.json", tie_word_embeddings=True)
    tokenizer = read(folder / "tokenizer.json")
    kept = [entry for entry in tokenizer["added_tokens"] if entry["content"] not in ADDED_TOKENS]
    change(folder / "tokenizer.json", added_tokens=kept)
    config = read(folder / "tokenizer_config.json")
    change(
        folder / "tokenizer_config.json",
        added_tokens_decoder={
            k: v for k, v in config["added_tokens_decoder"].items() if v["content"] not in ADDED_TOKENS
        },
        additional_special_tokens=[t for t in config["additional_special_tokens"] if t not in ADDED_TOKENS],
    )
    return folder


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(read(path) | values), encoding="utf-8")


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits.float()


def make_adapter(
    base: Path, out: Path, *, rows: int = 0, save_embeddings: bool = False, **options: Any
) -> torch.Tensor:
    """Write a random LoRA as peft does, without this package; returns the training model's logits."""
    model: Any = Model.from_pretrained(base, dtype=torch.float32)
    if rows:
        model.resize_token_embeddings(rows, mean_resizing=False)
    untie = rows or options.get("modules_to_save") == SAVED
    if untie and model.config.tie_word_embeddings:
        model.config.tie_word_embeddings = model.config.get_text_config().tie_word_embeddings = False
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    settings = {"r": 4, "lora_alpha": 8, "target_modules": LINEAR, "task_type": "CAUSAL_LM"} | options
    tuned = get_peft_model(model, LoraConfig(**settings))
    torch.manual_seed(7)
    whole = ("modules_to_save", "trainable_tokens", *(["embed_tokens", "lm_head"] if save_embeddings else []))
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_" in name or any(part in name for part in whole):
                parameter += 0.05 * torch.randn_like(parameter)
    tuned.save_pretrained(out, save_embedding_layers=save_embeddings)
    return logits(tuned)


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


def same(a: torch.Tensor, b: torch.Tensor, tolerance: float = 1e-5) -> bool:
    return a.shape == b.shape and float((a - b).abs().max()) <= tolerance


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


def test_embedded_folder_as_a_whole(embedded: Path) -> None:
    qwen = load_qwen(embedded)
    assert qwen.has_planning and qwen.adapter_removable and not qwen.has_adapter
    assert list(qwen.token_ids) == list(ADDED_TOKENS) and list(qwen.token_ids.values()) == list(range(1038, 1052))
    assert qwen.base is qwen.model and qwen.language_model is qwen.model.model.language_model
    assert not qwen.model.training and qwen.base.dtype == torch.bfloat16
    assert qwen.processor is not None and qwen.processor.tokenizer is qwen.tokenizer
    assert qwen.to("cpu") is qwen and qwen.device == torch.device("cpu")
    qwen.module.device = torch.device("meta")  # as the host's memory manager does
    assert {id(p) for p in qwen.module.parameters()} == {id(p) for p in qwen.model.parameters()}


def test_plain_folder_gets_the_tokens_but_has_no_planning(plain: Path) -> None:
    qwen = load_qwen(plain, dtype="fp32")
    assert not qwen.has_planning
    assert [qwen.tokenizer.convert_ids_to_tokens(i) for i in qwen.token_ids.values()] == list(ADDED_TOKENS)
    assert list(qwen.token_ids.values()) == list(range(1038, 1052))
    assert qwen.base.lm_head.weight.shape == (1088, 64)  # never shrunk to the tokenizer
    assert qwen.base.lm_head.weight is not qwen.base.get_input_embeddings().weight
    assert not qwen.base.config.tie_word_embeddings
    assert "<|im_start|>" in qwen.tokenizer.all_special_tokens
    assert same(logits(qwen.model), logits(Model.from_pretrained(plain, dtype=torch.float32)), 0)


def test_rows_grow_only_when_the_tokens_need_it(plain: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(plain, tmp_path / "short")
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"] = weights["model.embed_tokens.weight"][:1040].clone()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    change(folder / "config.json", vocab_size=1040)
    first, second = load_qwen(folder, dtype="fp32").base, load_qwen(folder, dtype="fp32").base
    head = first.lm_head.weight
    assert head.shape == first.get_input_embeddings().weight.shape == (1052, 64)
    assert torch.equal(head, second.lm_head.weight)  # new rows do not depend on chance
    torch.testing.assert_close(head[1040:], head[:1040].mean(0).expand(12, 64))


def test_a_stored_head_counts_whatever_the_config_says(embedded: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(embedded, tmp_path / "merged")
    change(folder / "config.json", tie_word_embeddings=True)
    qwen = load_qwen(folder)
    assert qwen.has_planning and same(logits(qwen.model), logits(load_qwen(embedded).model), 0)


def shard(source: Path, folder: Path) -> Path:
    model = Model.from_pretrained(source, dtype=torch.bfloat16)
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    model.save_pretrained(folder, max_shard_size="100KB")
    assert len(list(folder.glob("*.safetensors"))) > 3
    return folder


def test_sharded_folder(embedded: Path, tmp_path: Path) -> None:
    folder = shard(embedded, tmp_path / "shards")
    assert same(logits(load_qwen(folder).model), logits(load_qwen(embedded).model), 0)
    part = sorted(folder.glob("*.safetensors"))[1]
    content = part.read_bytes()
    part.write_bytes(content[:-100])
    with pytest.raises(WeightsError, match=f"{part.name} is damaged, cut short"):
        load_qwen(folder)
    part.unlink()
    with pytest.raises(WeightsError, match=f"lacks 1 of .* weight files: {part.name}"):
        load_qwen(folder)
    shutil.copy(sorted(folder.glob("*.safetensors"))[0], part)
    with pytest.raises(WeightsError, match=rf"{part.name} does not hold .*; download that file again"):
        load_qwen(folder)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("auto", torch.bfloat16), ("bf16", torch.bfloat16), ("fp16", torch.float16), ("fp32", torch.float32)],
)
def test_dtypes(embedded: Path, dtype: str, expected: torch.dtype) -> None:
    assert {p.dtype for p in load_qwen(embedded, dtype=dtype).model.parameters()} == {expected}


@pytest.mark.parametrize(("attention", "expected"), [("auto", "sdpa"), ("sdpa", "sdpa"), ("eager", "eager")])
def test_attention(embedded: Path, attention: str, expected: str) -> None:
    assert load_qwen(embedded, attention=attention).base.config._attn_implementation == expected


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"dtype": "int8"}, InputError, "dtype is 'int8'; it is one of auto, bf16, fp16, fp32"),
        ({"attention": "fast"}, InputError, "attention is 'fast'; it is one of auto, sdpa, eager, flash"),
        ({"attention": "flash_attention_2"}, UnsupportedError, "takes a CUDA device; or use sdpa"),
        ({"attention": "flash_attention_2", "device": "cuda"}, UnsupportedError, "pip install flash-attn; or use sdpa"),
        ({"attention": "flash_attention_2", "device": "cuda", "dtype": "fp32"}, UnsupportedError, "takes bf16 or fp16"),
        ({"quantize": "3bit"}, InputError, "quantize is '3bit'; it is one of 4bit, 8bit"),
        ({"quantize": "4bit"}, UnsupportedError, "4bit takes bitsandbytes, .*: pip install bitsandbytes"),
    ],
)
def test_options_that_cannot_be(
    embedded: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    monkeypatch.setattr(loading, "_imports", lambda name: False)
    with pytest.raises(error, match=message):
        load_qwen(embedded, **options)


def test_auto_attention_takes_flash_where_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_imports", lambda name: name == "flash_attn")
    assert loading._attention("auto", "bfloat16", True) == "flash_attention_2"
    assert loading._attention("auto", "float32", True) == loading._attention("auto", "float16", False) == "sdpa"


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def without_layer(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def eight_bits(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({k: t.to(torch.float8_e4m3fn) for k, t in weights.items()}, folder / "model.safetensors")


def dropped(name: str) -> Callable[[Path], None]:
    def drop(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({key: value for key, value in read(path).items() if key != name}))

    return drop


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no config": (without("config.json"), "has no config.json"),
    "broken config": (lambda f: (f / "config.json").write_text("{"), "config.json is damaged"),
    "other model": (lambda f: change(f / "config.json", model_type="llava"), "model of type 'llava'; the planner is a"),
    "no weights": (without("model.safetensors"), "has no model.safetensors"),
    "pickle": (pickled, "only pytorch_model.bin, which could hold code; get model.safetensors"),
    "no tokenizer": (lambda f: [without(n)(f) for n in ("tokenizer.json", "merges.txt")], "has no tokenizer.json"),
    "broken tokenizer": (lambda f: (f / "tokenizer.json").write_text("{}"), "its tokenizer cannot be read"),
    "quantised": (
        lambda f: change(f / "config.json", quantization_config={"quant_method": "awq"}),
        r"quantised \(awq\)",
    ),
    "fp8": (eight_bits, "stored as float8_e4m3fn; get the bf16"),
    "missing layer": (without_layer, r"1 weights are missing \(.*up_proj"),
    "other width": (
        lambda f: change(f / "config.json", intermediate_size=96),
        "intermediate_size is 96, but the weights have 128",
    ),
    "a million layers": (
        lambda f: change(f / "config.json", num_hidden_layers=1_000_000),
        "num_hidden_layers is 1000000, but its weights have",
    ),
    "one layer more": (
        lambda f: change(f / "config.json", num_hidden_layers=3),
        "num_hidden_layers is 3, but the weights have 2",
    ),
    "other vocabulary": (lambda f: change(f / "config.json", vocab_size=1000), "vocab_size is 1000, but the weights"),
    "layers not said": (dropped("num_hidden_layers"), "does not say num_hidden_layers"),
    "heads": (lambda f: change(f / "config.json", num_key_value_heads=3), "do not fit weights of width 64"),
    "heads of text": (lambda f: change(f / "config.json", num_attention_heads="4"), "do not fit weights of width 64"),
    "deep config": (lambda f: (f / "generation_config.json").write_text("[" * 200_000), "nested more than 32"),
    "end of turn": (
        lambda f: change(f / "generation_config.json", eos_token_id=["x"]),
        "eos_token_id is list; it is the number of a token",
    ),
    "end beyond": (lambda f: change(f / "generation_config.json", eos_token_id=10**9), "eos_token_id is 1000000000"),
    "tokenizer of odd types": (lambda f: change(f / "tokenizer.json", model=3), "its tokenizer cannot be read"),
    "own code": (lambda f: change(f / "tokenizer_config.json", auto_map={"AutoTokenizer": ["x.X", None]}), "auto_map"),
    "adapter": (lambda f: (f / "adapter_config.json").write_text("{}"), "holds a LoRA adapter"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_folders_are_refused_with_the_reason(embedded: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(embedded, tmp_path / "qwen")
    DAMAGE[name][0](folder)
    with pytest.raises(WeightsError, match=DAMAGE[name][1]):
        load_qwen(folder)


def test_paths_that_are_no_folder(embedded: Path, tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "no", "is not there"), (embedded / "config.json", "is a file")):
        with pytest.raises(WeightsError, match=reason):
            load_qwen(path)
        with pytest.raises(WeightsError, match=reason):
            load_qwen(embedded, path)


def test_processor_that_cannot_be_had(embedded: Path, tmp_path: Path) -> None:
    names = ("preprocessor_config.json", "video_preprocessor_config.json")
    folder = shutil.copytree(embedded, tmp_path / "qwen", ignore=shutil.ignore_patterns(*names))
    qwen = load_qwen(folder)
    assert qwen.processor is None and "download the complete folder" in str(qwen.processor_problem)


def test_a_library_that_the_processor_takes_and_that_does_not_load(
    embedded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a damaged folder: downloading it again would not help."""
    import transformers

    (tmp_path / "brokenlib.py").write_text("raise OSError('/x/libbroken.so: undefined symbol: foo')\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def from_pretrained(*_: Any, **__: Any) -> None:
        try:
            import brokenlib  # noqa: F401
        except OSError as error:
            raise ImportError("Could not import module 'Qwen2_5_VLProcessor'") from error

    monkeypatch.setattr(transformers.AutoProcessor, "from_pretrained", from_pretrained)
    problem = load_qwen(embedded).processor_problem
    assert isinstance(problem, LibraryError)
    assert str(problem).startswith(
        "pictures and videos cannot be shown: the library brokenlib cannot be loaded: OSError: /x/"
    )
    assert "download" not in str(problem)


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


def test_weights_in_eight_bit_stay_where_they_are(embedded: Path) -> None:
    qwen = load_qwen(embedded)
    qwen.base.is_quantized = True
    with pytest.raises(UnsupportedError, match="stays on the device"):
        qwen.to("cpu")


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


def test_the_habits_of_a_folder_are_not_taken_over(embedded: Path, tmp_path: Path) -> None:
    """Beams, penalties and time limits are the folder's author's; which tokens end a turn is not."""
    folder = shutil.copytree(embedded, tmp_path / "qwen")
    ends = read(folder / "generation_config.json")["eos_token_id"]
    change(folder / "generation_config.json", num_beams=10**6, max_time=1e-9, num_return_sequences=10**6)
    found = load_qwen(folder).base.generation_config
    assert found.eos_token_id == ends and (found.num_beams or 1) == 1 and not found.max_time
