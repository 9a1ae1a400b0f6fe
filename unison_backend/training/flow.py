"""The flow-matching loss of Wan VACE, for the demo model and for the projector alike.

`compact_text` is what makes it cheap: of a text context's 2048 rows nearly all are padding, which a few rows stand for,
exactly (conditioning/padding.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..conditioning.padding import pack_texts
from ..conditioning.text_context import CONTEXT_ROWS
from ..engine.unipc import TRAIN_TIMESTEPS, shifted


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
    Raises InputError for a text of more than 2048 rows.
    """
    from ..engine.attention import text_processors

    at = sigmas.to(clean)[:, None, None, None, None]
    text, bias = pack_texts(rows, CONTEXT_ROWS)
    for processor in text_processors(transformer):
        if not hasattr(processor, "bias"):
            raise ValueError("compact_text comes first")
        processor.bias = bias[:, None, None]
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


def compact_text(transformer: Any) -> None:
    """Make the transformer's cross attention ready for `flow_loss`."""
    from ..engine.attention import take_text_biases

    take_text_biases(transformer)


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
