"""A model's words held to a JSON schema, token by token.

llguidance does it: it counts the characters of a string, takes a choice of whole objects, has wheels for Linux, macOS
and Windows, and needs nothing else.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ....errors import UnsupportedError
from ....weights.folder import first_line
from ..model import ModelFailed
from ..plan_schema import Schema

if TYPE_CHECKING:
    from torch import Tensor

INSTALL = "pip install llguidance (the extra `prompt`)"
_FLOOR = 1e4  # what an infinite score becomes


def can_hold() -> bool:
    """Whether llguidance is installed."""
    import importlib.util

    return importlib.util.find_spec("llguidance") is not None


def check_can_hold() -> None:
    """Raises UnsupportedError without llguidance: a model that is held to nothing seldom writes a plan."""
    if not can_hold():
        raise UnsupportedError(f"planning by prompt takes llguidance, which is not installed: {INSTALL}")


class Held:
    """Logits processor for one generation of one row: only what goes on towards a text of `schema`."""

    def __init__(self, tokenizer: Any, schema: Schema, prompt_length: int) -> None:
        self._tokenizer, self._schema, self._read = tokenizer, schema, prompt_length
        self._matcher: Any = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """[1, V] scores with minus infinity for every token that leads away; one that is no number counts as low."""
        import llguidance.torch
        import torch

        if self._matcher is None:
            self._matcher = self._begin(scores.shape[-1])
        for token in input_ids[0, self._read :].tolist():
            self._matcher.consume_token(token)
        self._read = input_ids.shape[1]
        bits = llguidance.torch.allocate_token_bitmask(1, scores.shape[-1])
        llguidance.torch.fill_next_token_bitmask(self._matcher, bits, 0)
        allowed = (bits[0].unsqueeze(1) >> torch.arange(32, dtype=torch.int32)) & 1
        mask = allowed.bool().flatten()[: scores.shape[-1]].to(scores.device)
        return scores.nan_to_num(nan=-_FLOOR, posinf=_FLOOR, neginf=-_FLOOR).masked_fill(~mask, -torch.inf)

    def _begin(self, size: int) -> Any:
        import llguidance

        grammar = llguidance.LLMatcher.grammar_from_json_schema(
            json.dumps(self._schema), overrides={"whitespace_flexible": False}
        )
        try:
            matcher = llguidance.LLMatcher(_vocabulary(self._tokenizer, size), grammar)
        except Exception as error:  # its Rust code raises what it likes for a tokenizer that it cannot read
            raise ModelFailed(f"llguidance cannot read the model's tokenizer: {first_line(error)}") from error
        if matcher.is_error():
            raise ModelFailed(f"llguidance cannot hold the model to a plan: {matcher.get_error()[:200]}")
        return matcher


@lru_cache(maxsize=2)
def _vocabulary(tokenizer: Any, size: int) -> Any:
    """A tokenizer's tokens as bytes; building them takes seconds for a vocabulary of 150,000."""
    import llguidance.hf

    return llguidance.hf.from_tokenizer(tokenizer, n_vocab=size)
