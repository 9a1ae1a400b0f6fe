"""The demo set's two tokenizers, trained on `corpus.txt` in under a second: one sentencepiece, one byte-level BPE.

Both take any text: characters that are not in the corpus fall back to bytes. Training is single-threaded or counts
exactly, so the same libraries write the same bytes every time.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..plan.tokens import ADDED_TOKENS

# UMT5's ids: pad 0, end 1, unknown 2, no beginning.
SPIECE_PIECES = 512

# Qwen2.5's special tokens, in its order (Qwen2.5-VL tokenizer_config.json); Unison's 14 follow.
QWEN_SPECIAL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
BPE_ENTRIES = 1024
TOKENS = BPE_ENTRIES + len(QWEN_SPECIAL) + len(ADDED_TOKENS)

# How Qwen2 cuts text before merging (its tokenizer.json).
_QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def corpus() -> list[str]:
    """The training sentences, English and Chinese."""
    return _data("corpus.txt").splitlines()


def chat_template() -> str:
    """The Jinja chat template: Qwen2.5-VL's turns, its default system prompt and its vision placeholders."""
    return "".join(line for line in _data("chat_template.jinja").splitlines())


def token_id(token: str) -> int:
    """The id of a special or added token in the demo planner."""
    return BPE_ENTRIES + (QWEN_SPECIAL + ADDED_TOKENS).index(token)


def _data(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def train_sentencepiece(sentences: Sequence[str] = (), coverage: float = 0.985) -> bytes:
    """A unigram model of `SPIECE_PIECES` pieces as a sentencepiece file, of `sentences` (default: the corpus).

    coverage: share of the characters that get pieces; rarer ones fall back to bytes, which leaves room for words.
    """
    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(sentences or corpus()),
        model_writer=model,
        vocab_size=SPIECE_PIECES,
        model_type="unigram",
        character_coverage=coverage,
        byte_fallback=True,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        normalization_rule_name="identity",
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def write_qwen_tokenizer(folder: Path, sentences: Sequence[str] = ()) -> None:
    """tokenizer.json, vocab.json, merges.txt and tokenizer_config.json, which transformers 4.57 and 5 both read.

    sentences: what the merges are counted on (default: the corpus).
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, processors, trainers
    from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    split = Split(Regex(_QWEN_PATTERN), behavior="isolated")
    tokenizer.pre_tokenizer = Sequence([split, ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    alphabet = sorted(ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=BPE_ENTRIES, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(sentences or corpus(), trainer)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in QWEN_SPECIAL + ADDED_TOKENS])
    tokenizer.model.save(str(folder))
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", _tokenizer_config())
    write_json(folder / "chat_template.json", {"chat_template": chat_template()})


def _tokenizer_config() -> dict[str, Any]:
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    return {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(token_id(token)): {"content": token, **flags} for token in QWEN_SPECIAL + ADDED_TOKENS
        },
        "additional_special_tokens": [*QWEN_SPECIAL[1:], *ADDED_TOKENS],
        "bos_token": None,
        "chat_template": chat_template(),
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 131072,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON the same way on every platform (UTF-8, line feeds)."""
    path.write_bytes((json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode("utf-8"))
