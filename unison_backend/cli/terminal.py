"""Progress and Ctrl-C on a terminal."""

from __future__ import annotations

import sys
from typing import Any

# Stages whose own output shows that they go on; a bar would be drawn into it.
_STREAMED = ("answering",)


class Bar:
    """A `Progress` that draws one bar a stage on stderr; without a terminal it writes one line a stage."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._stage: str | None = None
        self._bar: Any = None

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
            self._open(stage, total)
        if self._bar is not None:
            self._bar.total = total or None
            self._bar.update(done - self._bar.n)

    def _open(self, stage: str, total: int) -> None:
        if not sys.stderr.isatty():
            sys.stderr.write(f"{stage} ...\n")
            return
        from tqdm import tqdm

        self._bar = tqdm(total=total or None, desc=stage, file=sys.stderr, leave=True)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = None
