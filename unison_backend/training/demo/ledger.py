"""What a training of the embedded set has cost so far, stage by stage, and about how long the rest takes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ...errors import ResourceError
from ...files import replacing
from ...progress import duration

COSTS_FILE = "costs.json"
# CPU hours, reckoned from seconds a step of a short run (AMD EPYC, one thread); only how they compare has a say here.
USUAL_HOURS = {"vae": 6.5, "text": 0.3, "vace": 8.0, "qwen": 3.0, "planner": 3.3, "projector": 0.2}
LEAST = 1.0  # seconds; a stage that took less was only found done


class Ledger:
    """Seconds and CPU seconds of each stage, over all runs in `folder`, kept there as `costs.json`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / COSTS_FILE
        self.costs = _read(self._path)

    @contextmanager
    def counting(self, stage: str) -> Iterator[None]:
        """Inside, time counts for `stage`; what was counted is written however it ends. Raises ResourceError."""
        wall, cpu = time.monotonic(), time.process_time()
        try:
            yield
        finally:
            before = self.costs.get(stage, {"seconds": 0.0, "cpu_seconds": 0.0})
            spent = {"seconds": time.monotonic() - wall, "cpu_seconds": time.process_time() - cpu}
            if spent["seconds"] >= LEAST:
                self.costs[stage] = {name: round(before[name] + spent[name], 1) for name in spent}
                self._write()

    def told(self, stage: str, left: Sequence[str]) -> str:
        """A line about a stage that is done and those that are `left`."""
        cost = self.costs.get(stage)
        line = f"{stage}: was done"
        if cost is not None:
            line = f"{stage}: took {duration(cost['seconds'])} ({duration(cost['cpu_seconds'])} of CPU time)"
        if not left:
            return line
        line += f"; left: {', '.join(left)}"
        usual = sum(USUAL_HOURS[name] for name in self.costs)
        if not usual:
            return line
        rate = sum(cost["seconds"] for cost in self.costs.values()) / usual
        return f"{line}, about {duration(rate * sum(USUAL_HOURS[name] for name in left))}"

    def _write(self) -> None:
        try:
            with replacing(self._path) as temporary:
                temporary.write_text(json.dumps(self.costs, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise ResourceError(f"{self._path} cannot be written ({error.strerror}); make room there") from error


def _read(path: Path) -> dict[str, dict[str, float]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: {key: float(cost[key]) for key in ("seconds", "cpu_seconds")}
            for name, cost in found.items()
            if name in USUAL_HOURS
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
