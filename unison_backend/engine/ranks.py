"""Several processes for one result, each with its own device: what one of them does for all, and what each does alone.

torch.distributed connects them; who starts them is `cli/gpus.py` (or any torchrun). Objects and flags go over gloo,
tensors over the devices' own backend. An even number of them shares the two guidance sides first, and each half then
shares the tokens of its side (`sequence.py`); an odd number, or one side, shares tokens only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from ..errors import InputError, UnisonError
from ..progress import Cancel

T = TypeVar("T")

VARIABLE = "UNISON_GPUS"
"""Set in the processes of one result: how many they are."""
# One rank reads weights from a slow disk while the others wait for it.
_PATIENCE = timedelta(hours=1)
_SHORT = timedelta(seconds=5)
_GONE = ("Connection closed by peer", "Connection reset by peer")
_ENDED = "unison_ended"


class Gone(UnisonError):
    """Another process of the result has ended."""


class Share(NamedTuple):
    """What a process does of one expert's work: one of `sides` guidance sides (1: all there are) and one of `parts` of
    its tokens. mesh: all `among` processes by (side, ring, ulysses), the last two diffusers' names; None for one."""

    rank: int = 0
    among: int = 1
    sides: int = 1
    mesh: Any = None

    @property
    def parts(self) -> int:
        """Among how many processes the tokens of a side are shared."""
        return self.among // self.sides

    @property
    def side(self) -> int:
        """Which guidance side this process makes, where each is made apart."""
        return self.rank // self.parts

    def gathered(self, velocity: Any) -> list[Any]:
        """The velocities of all sides, in their order."""
        import torch
        import torch.distributed as dist

        parts = [torch.empty_like(velocity) for _ in range(self.sides)]
        dist.all_gather(parts, velocity.contiguous(), group=self.mesh.get_group("side"))
        return parts


@dataclass(frozen=True)
class Ranks:
    """This process among `count`. The first leads: it plans, reads and writes."""

    rank: int = 0
    count: int = 1
    store: Any = field(default=None, compare=False)
    """torch.distributed's, through which the processes found each other."""

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
        with others():
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
            with others():
                dist.all_reduce(flag, op=dist.ReduceOp.MAX)
            return bool(flag)

        return asked

    def all_agree(self, answer: bool) -> bool:
        """Whether the answer is yes in every process."""
        if self.count == 1:
            return answer
        import torch
        import torch.distributed as dist

        flag = torch.tensor([answer], dtype=torch.uint8)
        dist.all_reduce(flag, op=dist.ReduceOp.MIN)
        return bool(flag)

    def share(self, sides: int, device: str) -> Share:
        """What this process does of the work of an expert with so many guidance sides, on a kind of device."""
        if self.count == 1:
            return Share()
        apart = shared_sides(self.count, sides)
        return Share(self.rank, self.count, apart, _mesh(device, apart, self.count // apart))

    def ending(self, status: int) -> tuple[bool, int]:
        """Called when this process fails: whether it is the first of all, which is to say why, and the first's status.

        Where nobody can be asked any more each speaks for itself.
        """
        if self.store is None:
            return True, status
        try:
            self.store.set_timeout(_SHORT)
            first = self.store.compare_set(_ENDED, "", f"{self.rank} {status}").decode().split()
        except RuntimeError:
            return True, status
        return int(first[0]) == self.rank, int(first[1])


ALONE = Ranks()


def joined(device: str) -> tuple[Ranks, str]:
    """This process among those that were started together, connected, and its device; `ALONE` outside of such."""
    count = int(os.environ.get(VARIABLE, "1"))
    if count == 1:
        return ALONE, device
    import torch
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    rank = int(os.environ["RANK"])
    on_gpu = device != "cpu" and torch.cuda.is_available()
    own = f"cuda:{os.environ['LOCAL_RANK']}" if on_gpu else "cpu"
    if on_gpu:
        torch.cuda.set_device(own)
    store, _, _ = next(rendezvous("env://", timeout=_PATIENCE))
    # Named by device: diffusers asks for the CPU's backend by this name.
    backends = "cpu:gloo,cuda:nccl" if on_gpu else "cpu:gloo"
    dist.init_process_group(backends, store=store, rank=rank, world_size=count, timeout=_PATIENCE)
    return Ranks(rank, count, store), own


def check_heads(count: int, sides: int, heads: int) -> None:
    """Raise InputError where `count` processes cannot share a transformer's attention heads."""
    if _fits(count, sides, heads):
        return
    fit = ", ".join(str(other) for other in range(1, 2 * heads + 1) if _fits(other, sides, heads))
    parts = count // shared_sides(count, sides)
    raise InputError(
        f"--gpus {count} shares the tokens of a guidance side among {parts} GPUs, and this "
        f"model's {heads} attention heads do not go among so many; with it --gpus is one of {fit}"
    )


def _fits(count: int, sides: int, heads: int) -> bool:
    """Whether the last process has a head of its own when the heads are filled up to a multiple (diffusers' rule)."""
    parts = count // shared_sides(count, sides)
    missing = -heads % parts
    return missing < (heads + missing) // parts


def shared_sides(count: int, sides: int) -> int:
    """How many guidance sides are made apart by `count` processes: 2 where they halve evenly, else 1."""
    return 2 if sides == 2 and count % 2 == 0 else 1


@lru_cache
def _mesh(device: str, sides: int, parts: int) -> Any:
    from torch.distributed.device_mesh import init_device_mesh

    return init_device_mesh(device, (sides, 1, parts), mesh_dim_names=("side", "ring", "ulysses"))


@contextmanager
def others() -> Iterator[None]:
    """Turns the end of another process into that of this one. Raises Gone."""
    try:
        yield
    except RuntimeError as error:
        if not any(words in str(error) for words in _GONE):
            raise
        raise Gone(
            "another process of this run has ended (killed, or out of memory): the result is not made"
        ) from error
