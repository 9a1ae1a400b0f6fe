"""How long `unison` works on after a signal, stage by stage: seconds from the signal to the end of the process.

    python scripts/measure_stop.py                      # SIGINT at the beginning and at each stage of a picture
    python scripts/measure_stop.py --signal TERM --size 832x480 --late 1.0

Each stage is waited for by the line that the command writes about it. Afterwards the folder of the result is looked
into: a run that was stopped leaves nothing there.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STAGES = (
    "start",
    "loading libraries",
    "loading the planner",
    "reading the instruction",
    "loading the engine",
    "encoding sources",
    "sampling",
    "decoding",
)


def seconds_to_stop(command: list[str], stage: str, number: int, late: float) -> tuple[float | None, int]:
    """Seconds from the signal to the end, None when it was over before; and its status."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    if stage != "start":
        for line in process.stderr:
            if line.startswith(f"{stage} ..."):
                break
    time.sleep(late)
    if process.poll() is not None:
        return None, process.returncode
    begin = time.monotonic()
    process.send_signal(number)
    process.stderr.read()
    status = process.wait()
    return time.monotonic() - begin, status


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signal", choices=("INT", "TERM", "HUP"), default="INT")
    parser.add_argument("--size", default="832x480")
    parser.add_argument("--late", type=float, default=0.3, help="seconds from the stage's beginning to the signal")
    parser.add_argument("--stage", choices=STAGES, action="append")
    options = parser.parse_args()
    width, height = options.size.split("x")
    for stage in options.stage or STAGES:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "unison_backend.cli", "run", "Draw a red circle", "--out", folder,
                       "--set", f"width={width}", f"height={height}"]  # fmt: skip
            seconds, status = seconds_to_stop(command, stage, signal.Signals[f"SIG{options.signal}"], options.late)
            left = [path.name for path in Path(folder).iterdir()]
        told = "over before" if seconds is None else f"{seconds:6.2f} s"
        sys.stdout.write(f"{stage:24} {told:12} status {status}  left: {left or 'nothing'}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
