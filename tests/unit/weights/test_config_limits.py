"""Configurations that promise more than the weights hold, and small files that mean harm: one sentence, at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from unison_backend.conditioning.sentencepiece import literal_pieces
from unison_backend.errors import WeightsError
from unison_backend.weights.config_limits import check_config, check_processor
from unison_backend.weights.folder import has_planning_weights, model_type, weight_map
from unison_backend.weights.small_json import MAX_DEPTH, read_json
from unison_backend.weights.state import load_state_dict
from unison_backend.weights.tokenizer_files import check_tokenizer

SHAPES = {f"layers.{n}.weight": (64, 32) for n in range(12)} | {"embed.weight": (1000, 32)}
DEEP = "[" * 200_000

TEXTS = {
    "deep arrays": DEEP,
    "deep objects": '{"a":' * 100_000,
    "deep and closed": '{"a":' + "[" * 500 + "]" * 500 + "}",
    "infinity": '{"eps": Infinity}',
    "not a number": '{"eps": NaN}',
    "too large a float": '{"eps": 1e999}',
    "a number of 5,000 digits": f'{{"layers": {"9" * 5000}}}',
    "a list": "[1]",
    "half": '{"a": ',
    "no text": b"\xff\xfe\x00",
    "empty": "",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_that_is_no_configuration(tmp_path: Path, name: str) -> None:
    path, text = tmp_path / "config.json", TEXTS[name]
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(WeightsError, match=r"config\.json is (damaged|no JSON object)") as told:
        read_json(path)
    assert len(str(told.value)) < 300 + len(str(path))
    assert model_type(tmp_path) == "", "a listing goes on without it"


def test_depth_is_counted_not_tried(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"a":' * (MAX_DEPTH - 1) + "1" + "}" * (MAX_DEPTH - 1))
    assert read_json(path)["a"]
    path.write_text('{"a":' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1))
    with pytest.raises(WeightsError, match="nested more than 32 levels deep"):
        read_json(path)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"num_hidden_layers": 1_000_000}, "num_hidden_layers is 1000000"),
        ({"vision_config": {"depth": 10**9}}, "depth is 1000000000"),
        ({"backbone_config": {"depths": [5] * 100_000}}, "depths is 500000"),
        ({"encoder_layers": 1e300}, "encoder_layers is more than 10^12"),
        ({"hidden_size": 10**7}, "hidden_size is 10000000"),
        ({"vocab_size": 10**12}, "vocab_size is more than 10^12"),
        ({"image_size": [100_000, 100_000]}, "image_size is 100000"),
        ({"num_labels": 10**9}, "num_labels is 1000000000"),
        ({"max_position_embeddings": 10**10}, "max_position_embeddings is 10000000000"),
        ({"a": [{"b": [{"num_attention_heads": -(10**9)}]}]}, "num_attention_heads is -1000000000"),
    ],
)
def test_more_than_the_weights_can_have(config: dict[str, Any], named: str) -> None:
    with pytest.raises(WeightsError, match=named.replace("^", r"\^")) as told:
        check_config(Path("m/config.json"), config, SHAPES)
    assert "13 tensors, the widest of 1000" in str(told.value)


def test_what_published_configurations_say_is_taken() -> None:
    qwen = {
        "num_hidden_layers": 36, "hidden_size": 2048, "vocab_size": 151936, "max_position_embeddings": 128000,
        "rope_theta": 1000000.0, "max_window_layers": 70, "sliding_window": 32768, "image_token_id": 151655,
        "vision_config": {"depth": 32, "patch_size": 14, "fullatt_block_indexes": [7, 15, 23, 31]},
        "rms_norm_eps": 1e-06, "rope_scaling": {"mrope_section": [16, 24, 24]},
    }  # fmt: skip
    shapes = {f"model.layers.{n}.{part}": (2048, 2048) for n in range(36) for part in "qkvo"}
    check_config(Path("config.json"), qwen, shapes | {"model.embed_tokens.weight": (151936, 2048)})


def test_an_attention_out_of_a_repository_is_refused() -> None:
    config = {"text_config": {"_attn_implementation": "someone/kernel"}}
    with pytest.raises(WeightsError, match="names an attention from elsewhere"):
        check_config(Path("config.json"), config, SHAPES)


@pytest.mark.parametrize(
    "content",
    [
        {"min_pixels": 10**15},
        {"size": {"shortest_edge": 10**9}},
        {"size": {"height": 10**9, "width": 10}},
        {"patch_size": 100_000},
        {"image_processor": {"max_pixels": 10**18}},
    ],
)
def test_picture_sizes_that_no_memory_holds(tmp_path: Path, content: dict[str, Any]) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(content))
    with pytest.raises(WeightsError, match=r"preprocessor_config\.json: "):
        check_processor(tmp_path)


def test_a_tokenizer_with_a_runaway_pattern_is_refused(tmp_path: Path) -> None:
    steps = {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "(a+)+$"}}]}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"pre_tokenizer": steps, "model": {"vocab": {"Regex": 0}}}))
    with pytest.raises(WeightsError, match=r"a pattern that is not known \('\(a\+\)\+\$'\)"):
        check_tokenizer(tmp_path)


@pytest.mark.parametrize("value", [3, None, ["a"], {"a": 1}, "a\0b", "../up.safetensors"])
def test_an_index_of_odd_types(tmp_path: Path, value: Any) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a.weight": value}}))
    with pytest.raises(WeightsError, match=r"index\.json names"):
        weight_map(index)
    assert has_planning_weights(tmp_path) is False


CLAIMS = {
    "meta": (torch.empty(3, device="meta"), "has a shape but no data"),
    "strides of 0": (torch.zeros(1).expand(10**6, 10**6), "claims 1000000000000 values"),
    "sparse": (torch.eye(3).to_sparse(), "is stored as torch.sparse_coo"),
    "complex": (torch.zeros(2, dtype=torch.complex64), "is complex"),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_pickled_tensors_that_are_no_weights(tmp_path: Path, name: str) -> None:
    tensor, told = CLAIMS[name]
    torch.save({"a.weight": torch.zeros(2), "b.weight": tensor}, tmp_path / "m.pth")
    for device in ("cpu", "meta"):
        with pytest.raises(WeightsError, match=f"m.pth: b.weight {told}"):
            load_state_dict(tmp_path / "m.pth", device=device)


def test_a_sentencepiece_number_without_an_end_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="does not end"):
        literal_pieces(b"\xff" * 4_000_000)
