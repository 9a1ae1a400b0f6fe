"""A coroutine that is listened to from ordinary code, and stops at once when the person does.

It runs in a loop and a thread of its own: a read that waits for a silent server cannot look at anything else, and the
host may have a loop running where nodes run. Stopping cancels the task, which closes its connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from ....progress import Cancel, check

T = TypeVar("T")

_LOOK = 0.05  # seconds between two looks at `cancel`
_CLOSING = 2.0  # seconds that a connection has to close


def listen(
    work: Callable[[Callable[[str], None]], Coroutine[Any, Any, T]],
    heard: Callable[[str], None],
    cancel: Cancel,
    stage: str,
) -> T:
    """What `work(say)` returns; each text that it says reaches `heard` in the caller's thread.

    Raises what `work` and `heard` raise, and Cancelled.
    """
    loop = asyncio.new_event_loop()
    said: SimpleQueue[str | None] = SimpleQueue()
    task = loop.create_task(work(said.put))
    task.add_done_callback(lambda _: said.put(None))
    thread = Thread(target=_turn, args=(loop, task), name="unison-server", daemon=True)
    thread.start()
    try:
        while True:
            check(cancel, stage)
            with suppress(Empty):
                text = said.get(timeout=_LOOK)
                if text is None:
                    break
                heard(text)
    finally:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(task.cancel)
        thread.join(_CLOSING)
    return task.result()


def _turn(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> None:
    try:
        with suppress(BaseException):  # the task keeps it for the one who asks
            loop.run_until_complete(task)
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
