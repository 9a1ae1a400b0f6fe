"""A cancel that is heard while a model reads and writes, and the tokens that end its turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ...progress import Cancel, check


@contextmanager
def heard_before(layers: Iterable[Any], cancel: Cancel, stage: str) -> Iterator[None]:
    """Inside, a cancel is heard before each of these layers (Cancelled), so that a long prompt stops within one."""
    hooks = [layer.register_forward_pre_hook(lambda *_: check(cancel, stage)) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def ends_of_turn(generation_config: Any) -> list[int]:
    """The tokens that end a turn, of which a configuration names one or several."""
    ends = generation_config.eos_token_id
    return list(ends) if isinstance(ends, (list, tuple)) else [ends]
