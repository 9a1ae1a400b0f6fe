"""The flow-matching loss of Wan VACE, for the demo model and for the projector alike.

`compact_text` is what makes it cheap: of a text context's 2048 rows nearly all are the same padding row. Attention
over m equal rows is attention over one of them with ln(m) added to its score, so one padding row is enough, exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..conditioning.text_context import CONTEXT_ROWS
from ..engine.unipc import TRAIN_TIMESTEPS, shifted
from ..errors import InputError


def draw_sigmas(count: int, generator: torch.Generator, shift: float) -> Tensor:
    """Noise levels in 0..1, uniform before the shift that sampling uses."""
    u = torch.rand(count, generator=generator)
    return shifted(u, shift)


def flow_loss(
    transformer: Any, clean: Tensor, context: Tensor, rows: Sequence[Tensor], sigmas: Tensor, noise: Tensor
) -> Tensor:
    """Mean squared error of the velocity noise - clean at x = (1 - sigma) clean + sigma noise.

    clean, noise [B, 16, T', h, w]; context [B, 96, T', h, w]; rows: B text contexts [n, 4096] without their padding;
    sigmas [B] in 0..1. The transformer's cross attention must be made ready by `compact_text`.
    """
    at = sigmas.to(clean)[:, None, None, None, None]
    text, bias = pack_rows(rows)
    for processor in text_processors(transformer):
        if not hasattr(processor, "bias"):
            raise ValueError("compact_text comes first")
        processor.bias = bias
    strength = context.new_ones(len(transformer.config.vace_layers))
    velocity = transformer(
        hidden_states=(1 - at) * clean + at * noise,
        timestep=sigmas.to(clean) * TRAIN_TIMESTEPS,
        encoder_hidden_states=text,
        control_hidden_states=context,
        control_hidden_states_scale=strength,
        return_dict=False,
    )[0]
    return functional.mse_loss(velocity.float(), (noise - clean).float())


def pack_rows(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """B contexts [n, D] as one [B, max n + 1, D], and what is added to their scores: [B, 1, 1, max n + 1].

    The last row is zero and stands for all padding up to 2048 rows. Raises InputError above that.
    """
    longest = max(len(row) for row in rows)
    if longest >= CONTEXT_ROWS:
        raise InputError(f"a text context has {longest} rows; at most {CONTEXT_ROWS - 1} can be trained on")
    packed = rows[0].new_zeros(len(rows), longest + 1, rows[0].shape[1])
    bias = rows[0].new_full((len(rows), 1, 1, longest + 1), -math.inf)
    for index, row in enumerate(rows):
        packed[index, : len(row)] = row
        bias[index, ..., : len(row)] = 0
        bias[index, ..., -1] = math.log(CONTEXT_ROWS - len(row))
    return packed, bias


def compact_text(transformer: Any) -> None:
    """Make the transformer's cross attention take what `pack_rows` gives."""
    from diffusers.models.transformers.transformer_wan import WanAttnProcessor

    class CompactText(WanAttnProcessor):  # type: ignore[misc]
        bias: Tensor | None = None

        def __call__(
            self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None,
            attention_mask: Tensor | None = None, rotary_emb: Any = None,
        ) -> Any:  # fmt: skip
            mask = None if self.bias is None else self.bias.to(_working_dtype(hidden_states))
            return super().__call__(attn, hidden_states, encoder_hidden_states, mask, rotary_emb)

    for block in [*transformer.blocks, *transformer.vace_blocks]:
        block.attn2.set_processor(CompactText())


def recompute_blocks(transformer: Any) -> None:
    """Keep no activations inside blocks (gradient checkpointing): less memory for a third more time.

    A block is done again with the text bias of its own first pass, whatever text has been seen since.
    """
    from torch.utils.checkpoint import checkpoint

    def recomputed(block: Any, *given: Any) -> Any:
        processor, bias = block.attn2.processor, block.attn2.processor.bias

        def run(*given: Any) -> Any:
            processor.bias = bias
            return block(*given)

        return checkpoint(run, *given, use_reentrant=False)

    transformer.enable_gradient_checkpointing(recomputed)


def _working_dtype(tensor: Tensor) -> torch.dtype:
    device = tensor.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else tensor.dtype


def text_processors(transformer: Any) -> list[Any]:
    """The cross attentions' processors, in order."""
    return [block.attn2.processor for block in [*transformer.blocks, *transformer.vace_blocks]]
