"""What batches are made of, made ahead by processes of their own while a step is computed (torch's DataLoader).

The batches are named by their numbers before they are made, so that what comes of it is the same with and without such
processes, to the bit, and wherever a run was stopped. They ignore the signals that stop a training: it makes its step,
saves, and ends them. Each begins as a new Python, on every system: a copy of a process whose libraries run threads may
crash (a segmentation fault was seen), and nothing of the models is copied.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from ..errors import InputError, ResourceError, UnisonError

_STOPS = ("SIGINT", "SIGTERM", "SIGHUP")  # the last one is not Windows'
_DIED = "DataLoader worker"

Item = TypeVar("Item")
ItemOf = TypeVar("ItemOf", covariant=True)


def check_workers(count: int) -> None:
    """Raises InputError for a number of processes below 0."""
    if count < 0:
        raise InputError(f"--workers is {count}; it has to be at least 0")


class Items(Protocol[ItemOf]):
    """Anything that is made by its number."""

    def __getitem__(self, index: int) -> ItemOf:
        """Raises UnisonError."""


class Feed(Generic[Item]):
    """Items by their numbers: made when they are asked for, or ahead by `workers` processes inside `made_ahead`.

    ahead: batches that each process makes ahead.
    """

    def __init__(self, items: Items[Item], workers: int = 0, ahead: int = 4) -> None:
        check_workers(workers)
        self._items, self._workers, self._batches = items, workers, ahead
        self._ahead: Iterator[list[tuple[int, Item | UnisonError]]] | None = None

    @contextmanager
    def made_ahead(self, order: Callable[[], Iterable[list[int]]]) -> Iterator[None]:
        """Inside, batches are made ahead in `order`, in which they have to be taken. Without workers, nothing.

        The items are pickled for each process. Raises ResourceError where a process dies of what the system does to it
        (memory, mostly).
        """
        if not self._workers:
            yield
            return
        loader: DataLoader[Any] = DataLoader(
            _Caught(self._items), batch_sampler=_Order(order), num_workers=self._workers, collate_fn=list,
            prefetch_factor=self._batches, worker_init_fn=_begin, generator=torch.Generator(),
            multiprocessing_context="spawn",
        )  # fmt: skip
        others, begun = set(active_children()), set[BaseProcess]()
        try:
            with _stops_wait():
                self._ahead = iter(loader)
            begun = set(active_children()) - others
            yield
        except RuntimeError as error:
            if _DIED not in str(error):
                raise
            raise ResourceError(
                f"a process that reads ahead died ({error}); give fewer --workers, or more memory (in a container "
                "also /dev/shm)"
            ) from error
        finally:
            self._ahead = None  # with it the processes end, but where an error that is under way still holds it
            del loader
            for process in begun & set(active_children()):
                process.kill()  # they ignore SIGTERM
                process.join()

    def take(self, numbers: Sequence[int]) -> list[Item]:
        """The items of a batch. Raises what making them raises, as if it were made here."""
        if self._ahead is None:
            return [self._items[number] for number in numbers]
        made = next(self._ahead)
        assert [number for number, _ in made] == list(numbers), "batches are taken in the order they were named in"
        found = []
        for _, item in made:
            if isinstance(item, UnisonError):
                raise item
            found.append(item)
        return found


class _Order:
    """torch's batch_sampler: the batches by their numbers."""

    def __init__(self, order: Callable[[], Iterable[list[int]]]) -> None:
        self._order = order

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._order())


class _Caught(Dataset[Any]):
    """Each item with its number; an error of ours is handed over as it is, since torch would wrap it in a report."""

    def __init__(self, items: Items[Any]) -> None:
        self._items = items

    def __getitem__(self, index: int) -> tuple[int, Any]:
        try:
            return index, self._items[index]
        except UnisonError as error:
            return index, error


@contextmanager
def _stops_wait() -> Iterator[None]:
    """Processes that begin inside hear no stop before `_begin`; one that comes meanwhile is heard here afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    stops = {found for name in _STOPS if (found := getattr(signal, name, None)) is not None}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(number: int) -> None:
    for name in _STOPS:
        if (found := getattr(signal, name, None)) is not None:
            signal.signal(found, signal.SIG_IGN)
