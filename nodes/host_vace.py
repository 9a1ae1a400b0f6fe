"""VACE at strength 0 costs nothing: what is added 0 times is not computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

CONTEXT, STRENGTH = "vace_context", "vace_strength"


def drop_idle_contexts(conds: list[dict[str, Any]]) -> bool:
    """Take VACE contexts of strength 0 out of a run's conds, as long as one is left; True if one has none but those.

    Then `without_vace` may stand around the network.
    """
    from comfy.conds import CONDConstant, CONDRegular

    is_idle = False
    for cond in conds:
        given = cond["model_conds"]
        if CONTEXT not in given or STRENGTH not in given:
            continue
        strengths = given[STRENGTH].cond
        kept = [index for index, strength in enumerate(strengths) if strength != 0]
        is_idle = is_idle or not kept
        if 0 < len(kept) < len(strengths):
            context = CONDRegular(given[CONTEXT].cond[:, kept])
            left = CONDConstant([strengths[index] for index in kept])
            cond["model_conds"] = given | {CONTEXT: context, STRENGTH: left}
    return is_idle


def without_vace(network: Any) -> Callable[..., Any]:
    """The host's wrapper around a VACE network that runs it as the plain Wan it contains where no strength is left.

    With several GPUs the host has a network for each, and the wrapper stands around all of them.
    """
    plain = _plain(network)

    def wrapper(executor: Any, *given: Any, **named: Any) -> Any:
        strengths = named.get(STRENGTH)
        if strengths is None or any(strength != 0 for strength in strengths):
            return executor(*given, **named)
        named = {name: value for name, value in named.items() if name not in (CONTEXT, STRENGTH)}
        here = executor.class_obj
        forward = (plain if here is network else _plain(here))._forward
        # the wrappers that are still to come, around the plain network
        rest = type(executor).new_class_executor(forward, here, executor.wrappers, executor.idx + 1)
        return rest.execute(*given, **named)

    return wrapper


def _plain(network: Any) -> Any:
    """The host's classes share all but VACE's blocks, so an object of the plain class with the same parts is the plain
    network."""
    from comfy.ldm.wan.model import WanModel

    plain = WanModel.__new__(WanModel)
    plain.__dict__ = network.__dict__
    return plain
