"""Where a training's figures go besides its log: a CSV file of our own, and accelerate's trackers by their names.

Both know where a run that was killed is gone on from: the CSV file is written from the log, which was cut there, and
TensorBoard is told to forget what came later.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..errors import InputError, MediaError, ResourceError, UnsupportedError
from ..files import replacing
from .log import EVALUATIONS_FILE, read_log, read_rows

CSV = "csv"
CSV_FILE = "log.csv"
TENSORBOARD = "tensorboard"
TENSORBOARD_FOLDER = "tensorboard"

Settings = Mapping[str, object]


class Tracker(Protocol):
    """Takes figures by their names, such as `train/loss`, as they come."""

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """The figures after `step`."""

    def finish(self) -> None:
        """Write what waits and close."""


def names() -> tuple[str, ...]:
    """The trackers that there are: `csv`, and those that this accelerate knows."""
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    return (CSV, *LOGGER_TYPE_TO_CLASS)


def check_trackers(asked: Sequence[str]) -> None:
    """Raise InputError for a name that is no tracker's, UnsupportedError for one whose package is not installed."""
    from accelerate.tracking import get_available_trackers

    known, there = names(), {CSV, *(str(getattr(name, "value", name)) for name in get_available_trackers())}
    for name in asked:
        if name not in known:
            raise InputError(f"--log-with {name}: there is no such tracker; it is one of {', '.join(known)}")
        if name not in there:
            extra = " (or this package's optional extra tensorboard)" if name == TENSORBOARD else ""
            package = name.replace("_", "-")
            raise UnsupportedError(
                f"--log-with {name} takes the package {package}, which is not installed: pip install {package}{extra}"
            )


def figures_of(row: Mapping[str, float]) -> dict[str, float]:
    """A line of the log as figures by their trackers' names; nothing of the step itself."""
    told = {f"train/{name}": value for name, value in row.items() if name not in ("step", "lr", "seconds_per_step")}
    if row.get("seconds_per_step"):
        told["train/steps_per_second"] = round(1 / row["seconds_per_step"], 4)
    return {"train/learning_rate": row["lr"], **told} if "lr" in row else told


def held_out_figures(row: Mapping[str, float]) -> dict[str, float]:
    """An evaluation as figures by their trackers' names."""
    return {f"eval/{name}": value for name, value in row.items() if name != "step"}


def open_trackers(asked: Sequence[str], folder: Path, step: int, settings: Settings) -> list[Tracker]:
    """Those asked for, which go on behind `step`. Raises as `check_trackers`, and ResourceError."""
    check_trackers(asked)
    return [CsvTracker(folder) if name == CSV else _of_accelerate(name, folder, step, settings) for name in asked]


def show(tracker: Any, picture: Path, step: int) -> None:
    """A picture's file in TensorBoard; other trackers take figures only."""
    if getattr(tracker, "name", "") != TENSORBOARD:
        return
    import numpy as np
    from PIL import Image

    with Image.open(picture) as opened:
        pixels = np.asarray(opened.convert("RGB"))[None]
    tracker.log_images({"eval/pictures": pixels}, step=step, dataformats="NHWC")


class CsvTracker:
    """`log.csv`: a line for each step that has figures, a column for each figure; what came before is in it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / CSV_FILE
        self.rows: dict[int, dict[str, float]] = {}
        for row in read_log(folder):
            self.rows.setdefault(int(row["step"]), {}).update(figures_of(row))
        for row in read_rows(folder / EVALUATIONS_FILE):
            self.rows.setdefault(int(row["step"]), {}).update(held_out_figures(row))
        if self.rows or self.path.is_file():
            self._write()

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """A line, or more in the line that this step has. Raises ResourceError."""
        self.rows.setdefault(step, {}).update(figures)
        self._write()

    def finish(self) -> None:
        """Nothing waits."""

    def _write(self) -> None:
        columns = ["step", *dict.fromkeys(name for row in self.rows.values() for name in row)]
        try:
            with replacing(self.path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, columns)
                writer.writeheader()
                writer.writerows({"step": step, **row} for step, row in sorted(self.rows.items()))
        except (OSError, MediaError) as error:
            raise ResourceError(f"{self.path} cannot be written ({error}); make room there") from error


def _of_accelerate(name: str, folder: Path, step: int, settings: Settings) -> Tracker:
    """One of accelerate's, started; the run is named as its folder is."""
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    kind = LOGGER_TYPE_TO_CLASS[name]
    run = folder.resolve().name
    plain = {key: value if isinstance(value, (int, float, str)) else str(value) for key, value in settings.items()}
    if name == TENSORBOARD:  # what a killed run wrote of later steps comes again
        board: Any = kind(TENSORBOARD_FOLDER, folder, purge_step=step + 1)
        board.start()
        board.log({"settings": "\n".join(f"    {key}: {value}" for key, value in plain.items())}, step=0)
        return board  # type: ignore[no-any-return]
    tracker: Any = kind(run, folder) if kind.requires_logging_directory else kind(run)
    tracker.start()
    tracker.store_init_configuration(plain)
    return tracker  # type: ignore[no-any-return]
