"""Whether the host's network for Wan is as the host made it, by which its parts may be called in another way."""

from __future__ import annotations

from itertools import chain
from typing import Any


def foreign_part(network: Any) -> str:
    """What keeps the network from being known to be the host's own text-to-video Wan or VACE; empty if nothing does.

    Other packs put their own layers, blocks or attention in place of the host's, for a model or for all of them.

    network: the diffusion model, whole or compiled, in blocks or at once.
    """
    from comfy.ldm.modules.attention import attention_pytorch
    from comfy.ldm.wan import model as wan

    if why := other_kind(network):
        return why
    network = without_compile(network)
    blocks = [without_compile(block) for block in chain(network.blocks, getattr(network, "vace_blocks", ()))]
    attentions = [without_compile(block.cross_attn) for block in blocks]
    if any(type(attention) is not wan.WanT2VCrossAttention for attention in attentions):
        return "the cross attention is not the host's"
    for module in chain([network], blocks, attentions):
        for name in ("forward", "forward_orig", "_forward"):
            # The host puts a method back where a patch had been, so one of the object's own can be the class's.
            used, own = getattr(module, name, None), getattr(type(module), name, None)
            if getattr(used, "__func__", used) is not own or (own is not None and own.__module__ != wan.__name__):
                return f"something replaced {type(module).__name__}.{name}"
    # The host's decorator, by its code: it is what asks for an override of the attention.
    if getattr(wan.optimized_attention, "__code__", None) is not attention_pytorch.__code__:
        return "something replaced the host's attention"
    return ""


def other_kind(network: Any) -> str:
    """What a network is if not the host's text-to-video Wan or VACE, in words; empty if it is."""
    from comfy.ldm.wan import model as wan

    network = without_compile(network)
    if type(network) in (wan.WanModel, wan.VaceWanModel) and getattr(network, "ref_conv", None) is None:
        return ""
    return f"{type(network).__name__} is not the host's text-to-video Wan or VACE"


def without_compile(module: Any) -> Any:
    """A module without torch.compile around it."""
    return getattr(module, "_orig_mod", module)
