"""A model folder's tokenizer and the small files beside it, looked at before a library reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import WeightsError
from .small_json import read_json, short_repr

TOKENIZER = "tokenizer.json"
_FILES = (
    *(TOKENIZER, "tokenizer_config.json", "vocab.json", "added_tokens.json", "special_tokens_map.json"),
    *("chat_template.json", "generation_config.json"),
)
# How published tokenizers cut text: Qwen2 and later, GPT-2, Llama 3, and T5's runs of spaces.
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_KNOWN_PATTERNS = (
    rf"{_WORDS}\p{{N}}{_REST}",
    rf"{_WORDS}\p{{N}}{{1,3}}{_REST}",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r" {2,}",
)


def check_tokenizer(folder: Path) -> None:
    """WeightsError for a tokenizer that is damaged or cuts text by patterns that are not known to end soon.

    The engine that runs such a pattern goes back over the text, and one text of a few dozen letters can take for ever.
    """
    for file in (folder / name for name in _FILES if (folder / name).is_file()):
        content = read_json(file)
        for pattern in _patterns(content) if file.name == TOKENIZER else ():
            if pattern not in _KNOWN_PATTERNS:
                raise WeightsError(f"{file} cuts text by a pattern that is not known ({short_repr(pattern)}), "
                                   "which is refused; use the tokenizer of the published model")  # fmt: skip


def _patterns(content: Any) -> Iterator[str]:
    """The regular expressions in a tokenizer's steps; pieces and merges hold none."""
    if isinstance(content, dict):
        if "Regex" in content:
            yield str(content["Regex"])
        for key, value in content.items():
            if key not in ("vocab", "merges", "added_tokens"):
                yield from _patterns(value)
    elif isinstance(content, list):
        for value in content:
            yield from _patterns(value)
