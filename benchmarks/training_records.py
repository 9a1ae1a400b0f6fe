"""What many planning records take in memory: held there, and left in their file as `train planner` leaves them.

Usage: python3 -m uv run python benchmarks/training_records.py FILE

FILE: of `unison data planning`. Each way in a process of its own: everything that is looked at before the first step
(checked, surveyed, lengths, key, questions), then 2,000 records drawn at random and made into ids. Peak memory is the
process's own, beside that of one which has loaded the libraries and the tokenizer alone.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from unison_backend.demo import set as demo
from unison_backend.planner.qwen.loading import load_qwen
from unison_backend.training.chats import as_sample, read_messages
from unison_backend.training.record_files import RecordFiles
from unison_backend.training.shown import Samples
from unison_backend.training.survey import survey

DRAWN = 2000


def nothing(file: Path) -> Any:
    """No records."""
    return []


def held(file: Path) -> Any:
    """All of them in memory."""
    return [as_sample(row) for row in read_messages(file)]


def left(file: Path) -> Any:
    """All of them in the file."""
    return RecordFiles([file])


def measured(way: Callable[[Path], Any], file: Path, told: Any) -> None:
    """Puts the figures of one way into the queue `told`."""
    qwen = load_qwen(demo.ensure().planner, dtype="fp32")
    end = qwen.tokenizer.convert_tokens_to_ids("<|im_end|>")
    before = time.process_time()
    records = way(file)
    samples = Samples(qwen, records, end, survey(records))
    ready = time.process_time()
    figures: dict[str, Any] = {"records": len(records), "looked at, CPU s": round(ready - before, 1)}
    if records:
        drawn = torch.randint(len(records), (DRAWN,), generator=torch.Generator().manual_seed(0)).tolist()
        figures["ids"] = sum(len(samples[index].sample.ids) for index in drawn)
        figures["a record made into ids, CPU ms"] = round((time.process_time() - ready) / DRAWN * 1000, 3)
    figures["peak MB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    told.put(figures)


def main() -> None:
    """Measure and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    file = parser.parse_args().file
    spawn, found = multiprocessing.get_context("spawn"), {}
    for way in (nothing, held, left):
        told = spawn.Queue()
        process = spawn.Process(target=measured, args=(way, file, told))
        process.start()
        found[way.__name__] = told.get()
        process.join()
    base = found["nothing"]["peak MB"]
    for name in ("held", "left"):
        found[name]["MB of records"] = found[name]["peak MB"] - base
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
