"""What has to be known of all records before one is trained on, from one look at each."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..plan.prompt import parse_pads
from ..plan.tasks import MediaKind
from ..progress import Cancel, Progress, check, never, silent
from .chats import Chat, Pair
from .sample_keys import KeyMaker, file_key

_STAGE = "looking at the records"
_SEEN = 500  # records between two looks at progress and cancel


@dataclass(frozen=True)
class Survey:
    """lengths [N]: bytes of each record's text. chats: which records are chats. key: of all that the records are.

    questions: of records without an answer those with different words, each as its number and the kinds of its media.
    """

    lengths: Tensor
    chats: tuple[int, ...]
    key: str
    questions: tuple[tuple[int, tuple[MediaKind, ...]], ...]


def survey(records: Sequence[Pair | Chat], progress: Progress = silent, cancel: Cancel = never) -> Survey:
    """Look at each record once. Raises PromptError for a question that cannot be read, Cancelled."""
    lengths, key = array("q"), KeyMaker()
    chats: list[int] = []
    questions: list[tuple[int, tuple[MediaKind, ...]]] = []
    asked: set[int] = set()
    for index, record in enumerate(records):
        if index % _SEEN == _SEEN - 1:
            check(cancel, _STAGE)
            progress(_STAGE, index, len(records))
        lengths.append(len((str(record) if isinstance(record, Chat) else "".join(record)).encode()))
        for text in _contents(record):
            key.add(text)
        if isinstance(record, Chat):
            chats.append(index)
        elif not record[1] and (mark := _mark(record[0])) not in asked:
            asked.add(mark)
            questions.append((index, parse_pads(record[0]).kinds))
    return Survey(torch.tensor(lengths), tuple(chats), key.key, tuple(questions))


def _mark(text: str) -> int:
    """What a text is told apart by in little memory."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _contents(record: Pair | Chat) -> Iterator[str]:
    """All that a record is, its files' contents too."""
    if not isinstance(record, Chat):
        yield from record
        return
    yield str(record)
    yield from (file_key(Path(medium.path)) for medium in record.media if medium.path)
