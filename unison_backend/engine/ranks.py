"""Several processes for one result, each with its own device: what one of them does for all, and what each does alone.

torch.distributed connects them; who starts them is `cli/gpus.py` (or any torchrun). Objects and flags go over gloo,
velocities over the devices' own backend.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from ..errors import Cancelled, UnisonError
from ..progress import Cancel

T = TypeVar("T")

VARIABLE = "UNISON_GPUS"
"""Set in the processes of one result: how many they are."""
# One rank reads weights from a slow disk while the others wait for it.
_PATIENCE = timedelta(hours=1)
_GONE = ("Connection closed by peer", "Connection reset by peer")


@dataclass(frozen=True)
class Ranks:
    """This process among `count`. The first leads: it plans, reads and writes."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process speaks and writes."""
        return self.rank == 0

    def lead(self, work: Callable[[], T]) -> T:
        """What `work` gives in the first process, in all of them. What it raises there of ours ends them all."""
        if self.count == 1:
            return work()
        import torch
        import torch.distributed as dist

        made: list[Any] = [None, None]
        if self.leads:
            try:
                made[0] = work()
            except UnisonError as error:
                made[1] = error
        with _others():
            dist.broadcast_object_list(made, src=0, device=torch.device("cpu"))
        if made[1] is not None:
            raise made[1]
        value: T = made[0]
        return value

    def agreed(self, cancel: Cancel) -> Cancel:
        """`cancel` of any process in all of them: they ask together, before each step."""
        if self.count == 1:
            return cancel

        def asked() -> bool:
            import torch
            import torch.distributed as dist

            flag = torch.tensor([cancel()], dtype=torch.uint8)
            with _others():
                dist.all_reduce(flag, op=dist.ReduceOp.MAX)
            return bool(flag)

        return asked

    def gathered(self, velocity: Any) -> list[Any]:
        """The velocities of all processes, in their order."""
        import torch
        import torch.distributed as dist

        parts = [torch.empty_like(velocity) for _ in range(self.count)]
        with _others():
            dist.all_gather(parts, velocity.contiguous())
        return parts


ALONE = Ranks()


def joined(device: str) -> tuple[Ranks, str]:
    """This process among those that were started together, connected, and its device; `ALONE` outside of such."""
    count = int(os.environ.get(VARIABLE, "1"))
    if count == 1:
        return ALONE, device
    import torch
    import torch.distributed as dist

    rank = int(os.environ["RANK"])
    on_gpu = device != "cpu" and torch.cuda.is_available()
    own = f"cuda:{os.environ['LOCAL_RANK']}" if on_gpu else "cpu"
    if on_gpu:
        torch.cuda.set_device(own)
    if not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=_PATIENCE)
    return Ranks(rank, count), own


@contextmanager
def _others() -> Iterator[None]:
    """Turns the end of another process, which has said why, into that of this one."""
    try:
        yield
    except RuntimeError as error:
        if not any(words in str(error) for words in _GONE):
            raise
        raise Cancelled("the run: another of its processes has ended") from error
