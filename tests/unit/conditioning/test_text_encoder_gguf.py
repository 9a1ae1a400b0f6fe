"""UMT5 as a GGUF file of llama.cpp's converter: its names, its blocks, and the tokenizer that it took apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sentencepiece import SentencePieceProcessor

from unison_backend.conditioning.sentencepiece import _fields
from unison_backend.conditioning.text_encoder import load_text_encoder
from unison_backend.demo import set as demo
from unison_backend.errors import WeightsError
from unison_backend.weights.find import find
from unison_backend.weights.state import SPIECE_KEY, load_state_dict
from unison_backend.weights.wan_layouts import umt5_hf_key

KINDS = gguf.GGMLQuantizationType
TEXTS = (
    "A red circle,  on a blue   background!",
    "\ufb01ne \u7ea2\u8272\u5706\u5f62 \uff11\uff12",
    "</s> <extra_id_0> <pad>",
    " ",
    "",
)
State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def encoder() -> State:
    return load_state_dict(demo.ensure().text_encoder)


def charsmap(spiece: bytes) -> bytes:
    (normalizer,) = (spiece[start:end] for number, start, end in _fields(spiece, 0, len(spiece)) if number == 3)
    return next((normalizer[s:e] for number, s, e in _fields(normalizer, 0, len(normalizer)) if number == 2), b"")


def written(path: Path, state: State, tokenizer: bool = True, drop: int = 0) -> State:
    """As llama.cpp writes a T5 encoder, by its own table of names; the weights that it stands for, by HF's."""
    blocks = sum(key.endswith("SelfAttention.q.weight") for key in state)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.T5ENCODER, blocks)
    writer, meant = gguf.GGUFWriter(path, "t5encoder"), {}
    if tokenizer:
        spiece = bytes(state[SPIECE_KEY].numpy())
        processor = SentencePieceProcessor(model_proto=spiece)
        ids = range(processor.get_piece_size() - drop)
        asked = (("is_unknown", 2), ("is_control", 3), ("is_unused", 5), ("is_byte", 6))
        kind = [next((value for name, value in asked if getattr(processor, name)(i)), 1) for i in ids]
        writer.add_tokenizer_model("t5")
        writer.add_token_list([processor.id_to_piece(i) for i in range(processor.get_piece_size())])
        writer.add_token_scores([processor.get_score(i) for i in ids])
        writer.add_token_types(kind)
        writer.add_add_space_prefix(True)
        writer.add_remove_extra_whitespaces(True)
        if table := charsmap(spiece):
            writer.add_precompiled_charsmap(table)
    for key, tensor in state.items():
        if key in (SPIECE_KEY, "encoder.embed_tokens.weight"):
            continue
        values = tensor.float().numpy()
        name = names.get_name(key, try_suffixes=(".weight",))
        assert name is not None and umt5_hf_key(name) == key
        if values.ndim == 2 and values.shape[1] % 32 == 0:
            packed = gguf.quantize(values, KINDS.Q8_0)
            writer.add_tensor(name, packed, raw_dtype=KINDS.Q8_0)
            meant[key] = torch.from_numpy(gguf.dequantize(packed, KINDS.Q8_0).astype(np.float32))
        else:
            writer.add_tensor(name, values)
            meant[key] = tensor.float()
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return meant


def test_it_reads_texts_as_the_weights_that_it_stands_for(tmp_path: Path, encoder: State) -> None:
    meant = written(tmp_path / "umt5-xxl-encoder-Q8_0.gguf", encoder)
    save_file(meant | {SPIECE_KEY: encoder[SPIECE_KEY]}, tmp_path / "meant.safetensors")
    made = load_text_encoder(tmp_path / "umt5-xxl-encoder-Q8_0.gguf", dtype=torch.float32)
    expected: Any = load_text_encoder(tmp_path / "meant.safetensors", dtype=torch.float32)
    for text in TEXTS:
        assert made.tokenize(text) == expected.tokenize(text)
    assert len(made.tokenize(TEXTS[0])) > 5
    torch.testing.assert_close(made.encode(TEXTS[0]), expected.encode(TEXTS[0]), atol=1e-4, rtol=1e-4)


def test_without_a_tokenizer_inside_it_takes_one_beside_it(tmp_path: Path, encoder: State) -> None:
    written(tmp_path / "e.gguf", encoder, tokenizer=False)
    with pytest.raises(WeightsError, match=r"e\.gguf has no tokenizer: put UMT5's spiece\.model"):
        load_text_encoder(tmp_path / "e.gguf")
    (tmp_path / "spiece.model").write_bytes(bytes(encoder[SPIECE_KEY].numpy()))
    assert len(load_text_encoder(tmp_path / "e.gguf").tokenize("a red circle")) > 2
    written(tmp_path / "odd.gguf", encoder, drop=1)
    with pytest.raises(WeightsError, match=r"odd\.gguf is damaged"):
        load_text_encoder(tmp_path / "odd.gguf")


def test_it_is_found_behind_other_forms(tmp_path: Path) -> None:
    folder = tmp_path / "text_encoders"
    folder.mkdir()
    (folder / "umt5-xxl-encoder-Q5_K_M.gguf").touch()
    assert find(tmp_path).text_encoder == folder / "umt5-xxl-encoder-Q5_K_M.gguf"
    (folder / "umt5-xxl-enc-bf16.safetensors").touch()
    assert find(tmp_path).text_encoder == folder / "umt5-xxl-enc-bf16.safetensors"
