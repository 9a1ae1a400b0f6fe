"""Planning records written as they are drawn, so that half a million of them take no more memory than one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import Cancelled, ResourceError
from ..files import replacing, writing
from ..progress import Cancel, Progress
from .planning_record import Record
from .reference_format import unreadable

_SEEN = 100  # records between two looks at the progress


@dataclass
class Written:
    """What was written: records by task and by language, the person's own, and by reason what was left out."""

    tasks: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    own: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """All records in the file."""
        return sum(self.tasks.values()) + self.own


def told(records: Iterable[Record], count: int, progress: Progress, cancel: Cancel) -> Iterator[Record]:
    """The same records, `count` of them, with progress as they come. Raises Cancelled, saying what becomes of it."""
    for number, record in enumerate(records):
        if cancel():
            raise Cancelled(
                f"drawing records ({number} of {count}); nothing is kept of them, the same command begins anew and "
                "writes the same"
            )
        if number % _SEEN == 0:
            progress("drawing records", number, count)
        yield record


def write(
    records: Iterable[Record], path: Path, own: Sequence[dict[str, Any]] = (), *, count: int | None = None,
    for_reference: bool = False,
) -> Written:  # fmt: skip
    """Records as JSON lines, or as one JSON list where the name ends in `.json` (LLaMA-Factory takes both); the file
    comes to its name when it is whole.

    own: the person's chat records, spread evenly among the `count` records (default: the length of `records`).
    for_reference: without those that the reference's parser cannot read. Raises ResourceError for a place or disk that
    takes none; what drawing raises.
    """
    if count is None:
        records = list(records)
        count = len(records)
    done = Written()
    rows = (json.dumps(row, ensure_ascii=False) for row in _rows(records, count, own, for_reference, done))
    first, between, last = ("[\n", ",\n", "\n]\n") if path.suffix == ".json" else ("", "\n", "\n")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, writing(path), temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(first)
            for number, row in enumerate(rows):
                file.write(between * bool(number) + row)
            file.write(last)
    except OSError as error:
        raise ResourceError(
            f"the records cannot be written to {path} ({error.strerror}); give another place"
        ) from error
    return done


def _rows(
    records: Iterable[Record], count: int, own: Sequence[dict[str, Any]], for_reference: bool, done: Written
) -> Iterator[dict[str, Any]]:
    """Each record as a row, the person's own in their places; `done` counts them."""
    for number, record in enumerate(records):
        while done.own < len(own) and number >= (done.own + 1) * count // (len(own) + 1):
            yield own[done.own]
            done.own += 1
        reason = unreadable(record) if for_reference else None
        if reason is not None:
            done.left_out[reason] += 1
            continue
        done.tasks[record.task.value] += 1
        done.languages[record.language] += 1
        yield record.as_messages()
    for row in own[done.own :]:
        done.own += 1
        yield row
