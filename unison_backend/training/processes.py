"""Training on several processes, each with a device of its own, as `accelerate launch` and torchrun start them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch

from ..errors import UnsupportedError

Item = TypeVar("Item")

# One process may encode for hours longer than the others; when one ends, the launcher ends all.
PATIENCE = timedelta(days=2)
# Each process has a whole copy of what is trained, and of the frozen models beside it.
_WHOLE = ("NO", "MULTI_GPU", "MULTI_CPU")


@dataclass(frozen=True)
class Processes:
    """Which of `count` processes this is. device: its own, where it was not named."""

    rank: int = 0
    count: int = 1
    device: str = "auto"

    @property
    def is_first(self) -> bool:
        """The one that writes and speaks for all."""
        return self.rank == 0

    def part(self, items: Sequence[Item]) -> Sequence[Item]:
        """This process's share: every `count`th item."""
        return items[self.rank :: self.count]

    def gathered(self, items: list[Item]) -> list[Item]:
        """The items of all processes, those of the first one in front; each process gets the same."""
        if self.count == 1:
            return items
        from accelerate.utils import gather_object

        found: list[Item] = gather_object(items)
        return found

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            torch.distributed.barrier()

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """The first process goes through the block, then the others: what it writes they find."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()


ALONE = Processes()


def joined(device: str = "auto") -> Processes:
    """This process among those that were started together, connected; `ALONE` outside of such.

    device: what was asked for; "auto" and "cuda" are the process's own GPU, `cuda:LOCAL_RANK`.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ALONE
    from accelerate import PartialState

    cpu = device == "cpu" or not torch.cuda.is_available()
    state = PartialState(cpu=cpu, timeout=PATIENCE)
    own = str(state.device) if device in ("auto", "cuda", "cpu") else device
    return Processes(state.process_index, state.num_processes, own)


def check_whole(accelerator: Any) -> None:
    """Raise UnsupportedError where accelerate was told to split weights over the processes (FSDP, DeepSpeed).

    What is trained here is small and is written, averaged and resumed whole.
    """
    kind = str(getattr(accelerator.distributed_type, "value", accelerator.distributed_type))
    if kind not in _WHOLE:
        raise UnsupportedError(
            f"accelerate's configuration asks for {kind}, which splits weights over the processes; these trainings "
            "keep them whole on each: choose multi-GPU without it (`accelerate config`), with --gradient-checkpointing "
            "or a smaller --batch where memory is short"
        )
