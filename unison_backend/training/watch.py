"""What happens beside the steps of a training: trackers, plots, evaluations, the best result, an early end.

None of it has a say in a weight. What has to survive a kill (the best figure so far, how often nothing better came) is
in `Watch.state`, which the training's state holds: a run that goes on evaluates at the same steps and ends at the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from .kept import BEST, Write, keep, write_folder
from .log import EVALUATIONS_FILE, append_row, cut_rows
from .plots import draw_log
from .trackers import Tracker, figures_of, held_out_figures, open_trackers, show


@dataclass(frozen=True)
class Watching:
    """What a person asked for.

    log_with: names of trackers (`trackers.names`). eval_every: steps between evaluations, 0 for none. early_stop: end
    after so many evaluations that brought nothing better, 0 never. keep_last: results written at saves, the last ones.
    """

    log_with: tuple[str, ...] = ()
    eval_every: int = 0
    early_stop: int = 0
    keep_last: int = 0

    def __post_init__(self) -> None:
        for name in ("eval_every", "early_stop", "keep_last"):
            if getattr(self, name) < 0:
                raise InputError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it has to be at least 0")
        if self.early_stop and not self.eval_every:
            raise InputError("--early-stop takes --eval-every: what ends the training is an evaluation")


USUAL = Watching()


@dataclass(frozen=True)
class Watched:
    """What a recipe lets be watched.

    write: puts the result as it is now into an empty folder. measure: held-out figures of it, by name, the same in
    every process; None where nothing is held out. figure: the one that says which result is best, and higher, whether
    more of it is better. picture: shows the result after a step as a file, in the process that writes.
    """

    write: Write
    measure: Callable[[], dict[str, float]] | None = None
    figure: str = "loss"
    higher: bool = False
    picture: Callable[[int], Path] | None = None


class Watch:
    """Told of each step, line of the log and save. watching: None writes and measures nothing at all."""

    def __init__(self, watching: Watching | None = None, watched: Watched | None = None) -> None:
        self.watching, self.watched = watching, watched
        self.state: dict[str, float] = {}
        self._trackers: list[Tracker] = []
        if watching and watching.eval_every and not (watched and watched.measure):
            raise InputError("--eval-every takes something that is held out to evaluate on")

    @contextmanager
    def writing(self, folder: Path, step: int, settings: Mapping[str, object]) -> Iterator[None]:
        """Inside, in the process that writes, the trackers are open; figures go on behind `step`."""
        cut_rows(folder / EVALUATIONS_FILE, int(self.state.get("looked", 0)))
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

    def saved(self, folder: Path, step: int, *, is_last: bool) -> None:
        """The state was written: draw the log again, and keep the result beside it; the last one has its own place."""
        draw_log(folder)
        if self.watching and self.watched and step and not (is_last or self.is_over):
            keep(folder, step, self.watching.keep_last, self.watched.write)

    def is_due(self, step: int, last: int) -> bool:
        """Whether the result after `step` is to be evaluated, and was not yet."""
        every = self.watching.eval_every if self.watching else 0
        return bool(every and step and (step % every == 0 or step == last) and self.state.get("looked", 0) < step)

    def look(self, folder: Path, step: int, *, is_first: bool) -> None:
        """Evaluate; every process does, the first one writes. The best result so far is kept in `folder`/best."""
        assert self.watched and self.watched.measure  # is_due says so
        figures = self.watched.measure()
        figure = figures[self.watched.figure]
        best = self.state.get("best")
        is_better = best is None or (figure > best if self.watched.higher else figure < best)
        if is_first:
            if is_better:
                write_folder(folder / BEST, self.watched.write)
            append_row(folder / EVALUATIONS_FILE, {"step": step, **figures})
            for tracker in self._trackers:
                tracker.log(held_out_figures(figures), step=step)
            if self.watched.picture:
                path = self.watched.picture(step)
                for tracker in self._trackers:
                    show(tracker, path, step)
        if is_better:
            self.state |= {"best": figure, "best_step": step}
        self.state |= {"looked": step, "since": 0 if is_better else self.state.get("since", 0) + 1}

    @property
    def is_over(self) -> bool:
        """Whether so many evaluations brought nothing better that the training ends."""
        patience = self.watching.early_stop if self.watching else 0
        return bool(patience) and self.state.get("since", 0) >= patience

    def summary(self, folder: Path, step: int, last: int) -> list[str]:
        """What there is to say at the end."""
        if not (self.watched and "best" in self.state):
            return []
        name, best, at = self.watched.figure, self.state["best"], int(self.state["best_step"])
        lines = [f"best held-out {name}: {best:.5g}, after step {at}; that result is kept in {folder / BEST}"]
        if self.is_over and step < last:
            lines.append(
                f"stopped after step {step} of {last}: {int(self.state['since'])} evaluations brought nothing better "
                "(a larger --early-stop goes on)"
            )
        return lines
