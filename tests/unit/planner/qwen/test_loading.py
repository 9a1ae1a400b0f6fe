"""Qwen2.5-VL folders: what loads, what it then is, and what is refused, with the reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen2_5_VLForConditionalGeneration as Model

from unison_backend.errors import InputError, LibraryError, UnsupportedError, WeightsError
from unison_backend.plan.tokens import ADDED_TOKENS
from unison_backend.planner.qwen import options as qwen_options
from unison_backend.planner.qwen.loading import load_qwen

from .folders import change, logits, read, same, without

pytestmark = pytest.mark.usefixtures("offline")


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
    monkeypatch.setattr(qwen_options, "imports", lambda name: False)
    with pytest.raises(error, match=message):
        load_qwen(embedded, **options)


def test_auto_attention_takes_flash_where_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qwen_options, "imports", lambda name: name == "flash_attn")
    assert qwen_options._attention("auto", "bfloat16", True) == "flash_attention_2"
    assert (
        qwen_options._attention("auto", "float32", True) == qwen_options._attention("auto", "float16", False) == "sdpa"
    )


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
    odd = embedded / "config.json"
    for path, reason, other in ((tmp_path / "no", *["is not there"] * 2), (odd, "unknown suffix", "is a file")):
        with pytest.raises(WeightsError, match=reason):
            load_qwen(path)
        with pytest.raises(WeightsError, match=other):
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


def test_weights_in_eight_bit_stay_where_they_are(embedded: Path) -> None:
    qwen = load_qwen(embedded)
    qwen.base.is_quantized = True
    with pytest.raises(UnsupportedError, match="stays on the device"):
        qwen.to("cpu")


def test_the_habits_of_a_folder_are_not_taken_over(embedded: Path, tmp_path: Path) -> None:
    """Beams, penalties and time limits are the folder's author's; which tokens end a turn is not."""
    folder = shutil.copytree(embedded, tmp_path / "qwen")
    ends = read(folder / "generation_config.json")["eos_token_id"]
    change(folder / "generation_config.json", num_beams=10**6, max_time=1e-9, num_return_sequences=10**6)
    found = load_qwen(folder).base.generation_config
    assert found.eos_token_id == ends and (found.num_beams or 1) == 1 and not found.max_time
