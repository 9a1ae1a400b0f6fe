"""Memory that runs out, as every library says it, in words that tell what to lower."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import ResourceError

_SIGNS = ("can't allocate memory", "out of memory", "not enough memory")


@contextmanager
def memory_errors(doing: str, cure: str) -> Iterator[None]:
    """Inside, running out of memory raises ResourceError: "out of memory while {doing}: {cure}"."""
    import torch

    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise ResourceError(f"out of memory while {doing}: {cure}") from error
    except RuntimeError as error:
        if any(sign in str(error).lower() for sign in _SIGNS):
            raise ResourceError(f"out of memory while {doing}: {cure}") from error
        raise
