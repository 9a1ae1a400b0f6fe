"""Sequence parallel: the tokens of a guidance side among several processes, by diffusers' Ulysses attention.

Each process has its part of the tokens; self attention exchanges them for a part of the heads, so that whatever kernel
it uses sees all tokens. Cross attention needs no exchange: its keys are the text, which every process has.

What `enable_parallelism` is made of is called here without it: it cannot be undone (one run has a guidance side of its
own, the next has not), knows no plan for Wan VACE, and divides by the number of accelerators, which is 0 on a CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.hooks.context_parallel import apply_context_parallel, remove_context_parallel
from diffusers.models._modeling_parallel import ContextParallelConfig, ContextParallelInput, ParallelConfig
from torch import Tensor

from ..errors import InputError
from .attention import blocks_of, runs_vace
from .ranks import Share

_TOKENS = ContextParallelInput(split_dim=1, expected_dims=3)
_PLACES = ContextParallelInput(split_dim=1, expected_dims=4, split_output=True)


def tokens_of(transformer: Any, shape: torch.Size | tuple[int, ...]) -> int:
    """How many tokens the transformer makes of latents [1, 16, T', h, w]."""
    _, patch_height, patch_width = transformer.config.patch_size
    return int(shape[2] * (shape[3] // patch_height) * (shape[4] // patch_width))


@contextmanager
def split_tokens(transformer: Any, share: Share, tokens: int) -> Iterator[None]:
    """Inside, each process of `share` computes its part of `tokens`, and all of them return the whole.

    Nothing is padded where numbers do not divide evenly: parts differ by one token, and the last process has fewer
    heads (`check_heads` says how many processes they go among). Raises InputError for fewer tokens than processes.
    """
    if share.parts == 1:
        yield
        return
    if tokens < share.parts:
        raise InputError(f"{tokens} tokens are too few for {share.parts} GPUs a guidance side: lower --gpus")
    heads = transformer.config.num_attention_heads
    mesh = share.mesh["ring", "ulysses"]
    config = ContextParallelConfig(
        ulysses_degree=share.parts,
        mesh=mesh,
        ulysses_anything=bool(tokens % share.parts or heads % share.parts),
    )
    parallel = ParallelConfig(context_parallel_config=config)
    parallel.setup(share.rank, share.among, torch.device(share.mesh.device_type), mesh=mesh)
    plan = _plan(transformer)
    processors = [block.attn1.processor for block in blocks_of(transformer) if hasattr(block, "attn1")]
    sizes = [len(part) for part in torch.arange(tokens).tensor_split(share.parts)]
    joins = transformer.proj_out.register_forward_hook(lambda _, given, made: _joined(made, sizes, share.mesh))
    apply_context_parallel(transformer, config, plan)
    for processor in processors:
        processor._parallel_config = parallel
    try:
        yield
    finally:
        for processor in processors:
            processor._parallel_config = None
        remove_context_parallel(transformer, plan)
        joins.remove()


def _plan(transformer: Any) -> dict[str, Any]:
    """Where tokens are divided: places at the rope, and what the first block of each kind reads. Later VACE blocks get
    the undivided states too, and only the first one reads them."""
    plan: dict[str, Any] = {"rope": {0: _PLACES, 1: _PLACES}, "blocks.0": {"hidden_states": _TOKENS}}
    if runs_vace(transformer):
        plan["vace_blocks.0"] = {"hidden_states": _TOKENS, "control_hidden_states": _TOKENS}
    return plan


def _joined(part: Tensor, sizes: list[int], mesh: Any) -> Tensor:
    """All parts [B, size, D] of the tokens, in order. diffusers' own takes collectives of uneven sizes, which not every
    backend has."""
    import torch.distributed as dist

    whole = torch.nn.functional.pad(part, (0, 0, 0, max(sizes) - part.shape[1])).contiguous()
    parts = [torch.empty_like(whole) for _ in sizes]
    dist.all_gather(parts, whole, group=mesh.get_group("ulysses"))
    return torch.cat([made[:, :size] for made, size in zip(parts, sizes, strict=True)], dim=1)
