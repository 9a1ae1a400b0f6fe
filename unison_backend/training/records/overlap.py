"""How much of held-out records training has seen: their words, and their runs of words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..planning_record import Record

RUN = 4  # words (in Chinese: characters) of a run
TRAINED = 6000  # training records that are drawn to compare with
# Pads and numbers are nobody's words; of a script without spaces each character is one.
_WORD = re.compile(r"<(?:IMG|VID)PAD>|[^\W\d_\u3400-\u9fff]+(?:'[^\W\d_]+)?|[\u3400-\u9fff]")


@dataclass(frozen=True)
class Overlap:
    """Shares, 0 to 1, of the held-out records: distinct words, and distinct runs of words, that training has too."""

    words: float
    runs: float


class Vocabulary:
    """The distinct words and runs of records that pass by."""

    def __init__(self) -> None:
        self.words: set[str] = set()
        self.runs: set[tuple[str, ...]] = set()

    def heard(self, records: Iterable[Record]) -> Iterator[Record]:
        """`records` as they are, their words taken as they pass."""
        for record in records:
            words, runs = _parts(record)
            self.words |= words
            self.runs |= runs
            yield record

    def known(self, trained: Iterable[Record]) -> Overlap:
        """How much of them stands in `trained`; nothing of none."""
        words, runs = set(self.words), set(self.runs)
        for record in trained:
            seen_words, seen_runs = _parts(record)
            words -= seen_words
            runs -= seen_runs
        return Overlap(
            1 - len(words) / len(self.words) if self.words else 0.0,
            1 - len(runs) / len(self.runs) if self.runs else 0.0,
        )


def _parts(record: Record) -> tuple[set[str], set[tuple[str, ...]]]:
    words = [word.lower() for word in _WORD.findall(record.prompt) if not word.startswith("<")]
    return set(words), {tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1)}
