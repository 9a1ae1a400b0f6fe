"""Attention processors of the transformer: text rows that stand for many, and what both guidance sides share.

diffusers' processors know no mask on cross attention. Ours add one value to the scores of each row of text, so that
few rows can stand for all padding (conditioning/padding.py). Without a bias they do what diffusers' own do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.models.attention_dispatch import AttentionBackendName
from diffusers.models.transformers.transformer_wan import WanAttnProcessor
from torch import Tensor, nn


class TextAttention(WanAttnProcessor):  # type: ignore[misc]
    """Cross attention; bias [B, 1, 1, rows] is added to the scores of each row of text.

    It stays with PyTorch's own attention whatever self attention uses: most kernels ignore a bias or refuse it.
    """

    _attention_backend = AttentionBackendName.NATIVE  # type: ignore[assignment]
    bias: Tensor | None = None

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None, rotary_emb: Any = None,
    ) -> Any:  # fmt: skip
        mask = None if self.bias is None else self.bias.to(_working_dtype(hidden_states))
        return super().__call__(attn, hidden_states, encoder_hidden_states, mask, rotary_emb)


class SharedAttention(WanAttnProcessor):  # type: ignore[misc]
    """Self attention of a batch whose items are equal, done once: both guidance sides before they have seen text."""

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None, rotary_emb: Any = None,
    ) -> Any:  # fmt: skip
        done = super().__call__(attn, hidden_states[:1], None, attention_mask, rotary_emb)
        return done.expand(hidden_states.shape[0], -1, -1)


def blocks_of(transformer: Any) -> list[Any]:
    """All blocks, VACE's behind the main ones."""
    return [*transformer.blocks, *transformer.vace_blocks]


def take_text_biases(transformer: Any) -> None:
    """Make the transformer's cross attention ready for `text_biases`."""
    for block in blocks_of(transformer):
        block.attn2.set_processor(TextAttention())


def use_kernel(transformer: Any, backend: str) -> None:
    """Self attention by one of diffusers' attention backends, by name ("native", "flash", "sage")."""
    for block in blocks_of(transformer):
        block.attn1.processor._attention_backend = AttentionBackendName(backend)


def text_processors(transformer: Any) -> list[Any]:
    """The cross attentions' processors of the blocks that run, in order."""
    return [block.attn2.processor for block in blocks_of(transformer) if not isinstance(block, _NoHint)]


def runs_vace(transformer: Any) -> bool:
    """Whether the VACE blocks run, which they do not inside `without_vace`."""
    return not isinstance(transformer.vace_blocks[0], _NoHint)


@contextmanager
def text_biases(transformer: Any, bias: Tensor | None) -> Iterator[None]:
    """Inside, rows of text weigh exp(bias) times as much; bias [B, 1, 1, rows]."""
    for processor in text_processors(transformer):
        processor.bias = bias
    try:
        yield
    finally:
        for processor in text_processors(transformer):
            processor.bias = None


@contextmanager
def shared_first_attention(transformer: Any) -> Iterator[None]:
    """Inside, a batch is one sample with several texts.

    The first main block and the first VACE block have not seen text when they attend: one pass does for all, exactly.
    """
    first = [transformer.blocks[0].attn1, transformer.vace_blocks[0].attn1]
    own = [attention.processor for attention in first]
    for attention, processor in zip(first, own, strict=True):
        shared = SharedAttention()
        shared._attention_backend = processor._attention_backend
        attention.set_processor(shared)
    try:
        yield
    finally:
        for attention, processor in zip(first, own, strict=True):
            attention.set_processor(processor)


class _NoHint(nn.Module):
    """In the place of a VACE block: adds nothing."""

    def forward(self, hidden_states: Tensor, text: Tensor, control: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
        return hidden_states.new_zeros(1), control


@contextmanager
def without_vace(transformer: Any) -> Iterator[None]:
    """Inside, the VACE blocks are not run and add nothing: what strength 0 means, without a third of the work."""
    own = transformer.vace_blocks
    transformer.vace_blocks = nn.ModuleList(_NoHint() for _ in own)
    try:
        yield
    finally:
        transformer.vace_blocks = own


def _working_dtype(tensor: Tensor) -> torch.dtype:
    device = tensor.device.type
    autocast = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    return torch.get_autocast_dtype(device) if autocast else tensor.dtype
