"""The log of a training: a JSON line for every twenty steps, and each step in exactly one of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ..errors import ResourceError
from ..files import replacing

LOG_FILE = "log.jsonl"
EVALUATIONS_FILE = "evaluations.jsonl"
LOG_EVERY = 20  # steps whose losses are averaged into one line


def read_log(folder: Path) -> list[dict[str, float]]:
    """The lines of a training's log, without one that was cut short."""
    return read_rows(folder / LOG_FILE)


def read_rows(path: Path) -> list[dict[str, float]]:
    """JSON lines that have a step, without one that was cut short."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    rows = []
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return rows


def cut_rows(path: Path, step: int) -> None:
    """Drop the lines of steps after `step`: a run that was killed wrote them, and they will be written again."""
    if not path.is_file():
        return
    lines = [json.dumps(row) + "\n" for row in read_rows(path) if row["step"] <= step]
    try:
        with replacing(path) as temporary:
            temporary.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise ResourceError(f"{path} cannot be written ({error.strerror}); make room there") from error


def append_row(path: Path, row: Mapping[str, float]) -> None:
    """One line more. Raises ResourceError."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(row)) + "\n")
    except OSError as error:
        raise ResourceError(f"{path} cannot be written ({error.strerror})") from error


class Log:
    """Writes the log in `folder`. Terms of steps since the last line wait in `waiting`, which a state keeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.waiting: dict[str, list[float]] = {}  # by term: not every step has each

    def cut(self, step: int) -> None:
        """Drop the lines of steps after `step`."""
        cut_rows(self.folder / LOG_FILE, step)

    def add(self, terms: Mapping[str, float]) -> None:
        """One step's terms."""
        for name, value in terms.items():
            self.waiting.setdefault(name, []).append(value)

    def write(self, step: int, lr: float, seconds: float) -> dict[str, float]:
        """One line with the means of the steps that wait, which is returned. seconds: of one step."""
        means = {name: round(sum(values) / len(values), 6) for name, values in self.waiting.items()}
        self.waiting = {}
        line = {"step": step, "lr": lr, "seconds_per_step": round(seconds, 4)} | means
        append_row(self.folder / LOG_FILE, line)
        return line
