"""The transformer as the options of a run want it: attention kernel, offloading, compiled blocks."""

from __future__ import annotations

from typing import Any

import torch

from .attention import use_kernel
from .device import PACKAGES, check_attention
from .settings import EngineOptions


def set_up(transformer: Any, device: torch.device, options: EngineOptions) -> None:
    """Apply `options` to a transformer that lies where they want it. Raises UnsupportedError."""
    check_attention(options.attention, device)
    use_kernel(transformer, options.attention if options.attention in PACKAGES else "native")
    if options.offload == "group":
        offload_blocks(transformer, device)
    if options.compile:
        transformer.compile_repeated_blocks(fullgraph=True)


def offload_blocks(transformer: Any, device: torch.device) -> None:
    """Each block is on `device` only while it works; on a GPU the next one is fetched meanwhile."""
    from diffusers.hooks.group_offloading import apply_group_offloading

    apply_group_offloading(
        transformer,
        onload_device=device,
        offload_device=torch.device("cpu"),
        offload_type="block_level",
        num_blocks_per_group=1,
        use_stream=device.type == "cuda",
        low_cpu_mem_usage=True,
    )
