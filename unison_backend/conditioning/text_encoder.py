"""UMT5 and its tokenizers, in which no text becomes a special token."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import WeightsError
from ..weights import wan_layouts as layouts
from ..weights.fit import is_packed, seems
from ..weights.small_json import read_json
from ..weights.state import SPIECE_KEY
from ..weights.wan import Source, filled, locate, model_config, read_source
from .sentencepiece import literal_pieces

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import UMT5EncoderModel

    Device = torch.device | str

MAX_TOKENS = 512  # T5's context in Wan (text_len), the end token included
EOS = 1  # UMT5's `</s>`

_EMBEDDINGS = ("shared.weight", "encoder.embed_tokens.weight")
_TOKENIZER_FILES = ("spiece.model", "tokenizer.model", "tokenizer.json")
_UNTYPED = "\ue000"  # a private character, in no instruction
_TOKENIZER_FOLDERS = (".", "tokenizer", "google/umt5-xxl")


def load_text_encoder(path: Path | str, *, dtype: torch.dtype | None = None, device: Device = "cpu") -> TextEncoder:
    """A UMT5 encoder of any size with its tokenizer: from inside the file, beside it, or from a `tokenizer` folder."""
    import torch
    from transformers import UMT5Config, UMT5EncoderModel

    source = locate(Path(path), "text_encoder")
    state = read_source(source, dtype, device)
    spiece, kind = state.pop(SPIECE_KEY, None), seems(state)
    state = {layouts.umt5_hf_key(key): tensor for key, tensor in state.items()}
    state = {key: tensor for key, tensor in state.items() if not key.startswith(("decoder.", "lm_head."))}
    _embed(state, dtype or torch.bfloat16)
    config = model_config(source, state, layouts.umt5_config, kind)
    encode = _tokenizer(source, bytes(spiece.cpu().numpy()) if spiece is not None else None, config["vocab_size"])
    keep = ("wo",) if dtype is torch.float16 else ()
    model: Any = filled(lambda **c: UMT5EncoderModel(UMT5Config(**c)), config, source, state, dtype, device, keep)
    model.encoder.embed_tokens.weight = model.shared.weight
    return TextEncoder(model, encode)


def _embed(state: dict[str, Tensor], dtype: torch.dtype) -> None:
    """The embedding, which is one matrix under two names and no linear layer: out of fp8 or GGUF, in `dtype`."""
    from ..weights.fp8 import SCALE, unscaled
    from ..weights.gguf import unpacked

    for key in (key for key in _EMBEDDINGS if key in state):
        if (scale := state.pop(f"{key}{SCALE}", None)) is not None:
            state[key] = unscaled(state[key], scale, dtype)
        elif is_packed(state[key]):
            state[key] = unpacked(state[key]).to(dtype)
    embedding = state.get("shared.weight", state.get("encoder.embed_tokens.weight"))
    if embedding is not None:
        state["shared.weight"] = state["encoder.embed_tokens.weight"] = embedding


class TextEncoder:
    """UMT5 as Wan uses it. The text is literal: a typed `</s>`, `<pad>` or `<extra_id_0>` is plain characters.

    model: the HF encoder. encode_ids: text -> ids without an end token.
    """

    def __init__(self, model: UMT5EncoderModel, encode_ids: Callable[[str], list[int]]) -> None:
        self.model = model
        self._encode_ids = encode_ids

    def tokenize(self, text: str) -> list[int]:
        """The ids of `text`, 1 to 512 of them: cut to 511, then the end id 1."""
        return [*self._encode_ids(text)[: MAX_TOKENS - 1], EOS]

    def encode(self, text: str) -> Tensor:
        """One row for each id of `tokenize`: [n, d_model] float32 on the model's device, no padding."""
        import torch

        ids = torch.tensor([self.tokenize(text)], device=self.model.device)
        with torch.no_grad():
            rows: Tensor = self.model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        return rows[0].float()


def _tokenizer(source: Source, spiece: bytes | None, rows: int) -> Callable[[str], list[int]]:
    """Text -> ids of the tokenizer inside the file (`spiece`) or the first one found; it has at most `rows` ids."""
    if spiece is not None:
        return _sentencepiece(spiece, rows, f"{source.path}: {SPIECE_KEY}")
    for file in _tokenizer_files(source):
        if file.suffix == ".json":
            return _tokenizer_json(file, rows)
        return _sentencepiece(file.read_bytes(), rows, str(file))
    raise WeightsError(
        f"{source.path} has no tokenizer: put UMT5's spiece.model (google/umt5-xxl) into {source.folder}, "
        "or use ComfyUI's umt5_xxl_*.safetensors, which hold it"
    )


def _tokenizer_files(source: Source) -> Iterator[Path]:
    folders = [source.folder / name for name in _TOKENIZER_FOLDERS]
    if source.folder.name == source.component:
        folders.append(source.folder.parent / "tokenizer")
    for folder in folders:
        yield from (folder / name for name in _TOKENIZER_FILES if (folder / name).is_file())


def _sentencepiece(model: bytes, rows: int, what: str) -> Callable[[str], list[int]]:
    from sentencepiece import SentencePieceProcessor

    try:
        processor = SentencePieceProcessor(model_proto=literal_pieces(model))
    except (RuntimeError, LookupError, ValueError) as error:
        raise WeightsError(f"{what} is not a sentencepiece model ({error}); download it again") from error
    _check_tokenizer(processor.get_piece_size(), processor.eos_id(), rows, what)
    return lambda text: list(processor.encode(text, out_type=int, add_bos=False, add_eos=False))


def _tokenizer_json(path: Path, rows: int) -> Callable[[str], list[int]]:
    """A `tokenizers` file whose special pieces no text can be.

    Its `encode_special_tokens` alone is not enough: special tokens are pieces of the unigram model as well, so a typed
    `</s>` still becomes id 1 (measured, transformers 4.57 and 5). They keep their ids under names that cannot be typed.
    """
    from tokenizers import Tokenizer

    content = read_json(path)
    try:
        special = {token["content"] for token in content.pop("added_tokens", None) or ()}
        pieces = content["model"]["vocab"]
        eos = next((index for index, (piece, _) in enumerate(pieces) if piece == "</s>"), None)
        content["model"]["vocab"] = [[_UNTYPED + text if text in special else text, score] for text, score in pieces]
        content |= {"post_processor": None, "truncation": None, "padding": None}
        tokenizer = Tokenizer.from_str(json.dumps(content))
    except Exception as error:  # tokenizers raises the bare class
        raise WeightsError(f"{path} is not a unigram tokenizer ({error}); put spiece.model there instead") from error
    _check_tokenizer(len(pieces), eos, rows, str(path))
    return lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids)


def _check_tokenizer(size: int, eos: int | None, rows: int, what: str) -> None:
    if size > rows or eos != EOS:
        found = f"{what} has {size} pieces and end id {eos}"
        raise WeightsError(f"{found}: not the tokenizer of an encoder with {rows} rows and end id {EOS}")
