"""What is written beside a training's state and log while it runs: trackers and plots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .plots import draw_log
from .trackers import Tracker, figures_of, open_trackers


@dataclass(frozen=True)
class Watching:
    """What a person asked for. log_with: names of trackers (`trackers.names`)."""

    log_with: tuple[str, ...] = ()


USUAL = Watching()


class Watch:
    """Told of each line of the log and of each save. watching: None writes nothing at all."""

    def __init__(self, watching: Watching | None = None) -> None:
        self.watching = watching
        self._trackers: list[Tracker] = []

    @contextmanager
    def writing(self, folder: Path, step: int, settings: Mapping[str, object]) -> Iterator[None]:
        """Inside, the trackers are open; figures go on behind `step`."""
        if self.watching:
            self._trackers = open_trackers(self.watching.log_with, folder, step, settings)
        try:
            yield
        finally:
            for tracker in self._trackers:
                tracker.finish()
            self._trackers = []

    def logged(self, row: Mapping[str, float]) -> None:
        """A line of the log."""
        for tracker in self._trackers:
            tracker.log(figures_of(row), step=int(row["step"]))

    def saved(self, folder: Path) -> None:
        """The state was written: draw the log again."""
        if self.watching:
            draw_log(folder)
