"""Progress and Ctrl-C on a terminal."""

from __future__ import annotations

import sys
import time
from typing import Any

from ..progress import duration

# Stages whose own output shows that they go on; a bar would be drawn into it.
_STREAMED = ("answering",)
EVERY = 60.0  # seconds between lines of a long stage where there is no terminal


class Bar:
    """A `Progress` that draws one bar a stage on stderr.

    Without a terminal it writes one line a stage, and for a long one a line a minute that says how long it still takes.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._stage: str | None = None
        self._bar: Any = None
        self._began = self._told = 0.0  # seconds, where there is no bar
        self._first = 0

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if self._quiet:
            return
        if stage in _STREAMED:
            self._close()
            return
        if stage != self._stage:
            self._close()
            self._stage = stage
            self._open(stage, done, total)
        if self._bar is None:
            self._tell(done, total)
        else:
            self._bar.total = total or None
            self._bar.update(done - self._bar.n)

    def _open(self, stage: str, done: int, total: int) -> None:
        if not sys.stderr.isatty():
            sys.stderr.write(f"{stage} ...\n")
            self._began = self._told = time.monotonic()
            self._first = done
            return
        from tqdm import tqdm

        self._bar = tqdm(total=total or None, desc=stage, file=sys.stderr, leave=True)

    def _tell(self, done: int, total: int) -> None:
        """A line where there is no bar and the last one is a while ago."""
        now = time.monotonic()
        if now - self._told < EVERY or not total or done <= self._first:
            return
        self._told = now
        left = (now - self._began) / (done - self._first) * (total - done)
        sys.stderr.write(f"{self._stage}: {done} of {total}, about {duration(left)} left\n")

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = None
