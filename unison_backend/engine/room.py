"""Whether both guidance sides fit into memory together."""

from __future__ import annotations

from typing import Any

import torch

# Bytes for each token of one side at the worst moment of a forward pass, in units of the width, beside the VACE hints:
# counted on meta tensors (tests/unit/engine/test_room.py holds it there) in half precision, which needs the most
# relative to its size since norms and gates are computed in float32.
FLOATS_PER_WIDTH = 8
# What other programs and the allocator's gaps may take of the memory that is free.
SHARE = 0.8


def activation_bytes(transformer: Any, shape: torch.Size) -> int:
    """An upper bound of a forward pass's activations for one side with latents [1, 16, T', h, w]."""
    config = transformer.config
    _, patch_height, patch_width = config.patch_size
    tokens = shape[2] * (shape[3] // patch_height) * (shape[4] // patch_width)
    width = config.num_attention_heads * config.attention_head_dim
    item = transformer.patch_embedding.weight.element_size()
    return int(tokens * (width * (4 * FLOATS_PER_WIDTH + item * len(config.vace_layers)) + 2 * item * config.ffn_dim))


def fits_twice(transformer: Any, shape: torch.Size, device: torch.device) -> bool:
    """Whether the free memory of `device` takes the activations of two sides; True where nobody can say."""
    return 2 * activation_bytes(transformer, shape) < SHARE * free_bytes(device)


def free_bytes(device: torch.device) -> float:
    """The memory that is free on `device`, what PyTorch holds and does not use included."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type == "cpu":
        import psutil

        return float(psutil.virtual_memory().available)
    return float("inf")
