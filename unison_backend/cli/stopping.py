"""Ctrl-C, SIGTERM and SIGHUP: a run ends at its next safe point, and within two seconds wherever it is.

Importing a library, reading weights or a single large convolution has no safe point for seconds, on a loaded machine
for half a minute. So a thread watches: a second behind the signal the run is interrupted at its next line of Python,
a second later, when there is no such line because it is inside a library, the process ends as it is. What is being
written then has a name of its own (`unfinished`), which is removed.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from types import FrameType
from typing import NoReturn

from ..progress import Cancel
from ..unfinished import remove_own

PATIENCE = 0.8  # seconds, twice
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # the last one is not Windows'

_status = 128 + signal.SIGINT


def stop_status() -> int:
    """The exit status of a run that was stopped: 128 and the signal's number, as shells count."""
    return _status


@contextmanager
def stop_signal(*, patient: bool = False) -> Iterator[Cancel]:
    """A `Cancel` that the first signal sets: the run stops at its next safe point. A second one stops at once.

    patient: a run that saves its state at a safe point is not interrupted before it. Signals that are ignored when
    this begins stay so (nohup). Only for the main thread.
    """
    global _status

    _status = 128 + signal.SIGINT
    stop = _Stop(patient)
    with contextlib.ExitStack() as stack:
        if not patient:
            stack.enter_context(_watched(stop))
        for name in _NAMES:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                stack.callback(signal.signal, number, signal.signal(number, stop.handle))
        yield stop.asked


class _Stop:
    """What became of a signal. heard: the run knows of it, at a safe point or because it was interrupted; overdue: no
    safe point came in time."""

    def __init__(self, patient: bool) -> None:
        self.heard = Event()
        self.overdue = False
        self._patient, self._stopped = patient, False

    def handle(self, number: int, frame: FrameType | None) -> None:
        global _status

        again, self._stopped = self._stopped or self.overdue, True
        _status = 128 + number
        if again:
            self.heard.set()
            raise KeyboardInterrupt
        when = "at the next step" if self._patient else "at the next step, in a second at the latest"
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # a terminal that is gone, or is written to
            sys.stderr.write(f"\nstopping {when}; press Ctrl-C again to stop at once\n")

    def asked(self) -> bool:
        if self._stopped:
            self.heard.set()
        return self._stopped


@contextmanager
def _watched(stop: _Stop) -> Iterator[None]:
    """Inside, a thread hears of signals when they come, even while the main thread is inside a library."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    previous = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    Thread(target=_watch, args=(ours, stop), daemon=True).start()
    try:
        yield
    finally:
        stop.heard.set()
        signal.set_wakeup_fd(previous)
        theirs.close()


def _watch(signals: socket.socket, stop: _Stop) -> None:
    numbers = {getattr(signal, name, None) for name in _NAMES}
    with signals:
        while came := signals.recv(1):
            if came[0] not in numbers:
                continue
            if stop.heard.wait(PATIENCE):
                return
            stop.overdue = True
            _thread.interrupt_main(signal.Signals(came[0]))
            if not stop.heard.wait(PATIENCE):
                with contextlib.suppress(OSError):
                    os.write(2, b"\nunison: cancelled\n")
                leave(128 + came[0])
            return


def leave(status: int) -> NoReturn:
    """End the process as it is, without what it has not finished: taking PyTorch and models down in order takes the
    interpreter up to ten seconds."""
    remove_own()
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(status)
