"""Planning records one after the other, as many as are asked for, none twice, in memory that does not grow.

Each record is drawn by a generator of its own, seeded with its number, so a longer file begins like a shorter one.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from random import Random

from ...errors import InputError
from ...plan.tasks import Task
from ..intent.sentences import intent_of
from ..planning_apart import is_kept_apart
from ..planning_careless import careless
from ..planning_data import draw
from ..planning_record import Language, Record
from ..planning_shapes import shape_order
from .grammar import Grammar, has_grammar
from .orders import order
from .written import sentence

WRITTEN_SHARE, SHAPE_SHARE = 0.35, 0.06  # of the records, those not of the grammar
CARELESS, GREETED = 0.15, 0.2
MAX_TRIES = 200  # for one record that has not been drawn before
_LANGUAGES: tuple[Language, ...] = ("en", "en", "zh")
_BITS = 28  # of what marks a text as drawn: 32 MB; at a million records one draw in 250 is thrown away for nothing


def stream(count: int, seed: int = 0, *, held_out: bool = False) -> Iterator[Record]:
    """`count` different records, the twelve tasks in turn, a third of them Chinese.

    held_out: in wordings and with some words of which training has none; no written sentences. In the registry's
    archive, which is without the grammar, of the templates alone. Raises InputError when there are not that many.
    """
    if not has_grammar():
        for record in draw(count, seed, held_out=held_out):
            yield replace(record, intent=intent_of(record.task))
        return
    seen, tasks = _Seen(), tuple(Task)
    for number in range(count):
        task = tasks[number % len(tasks)]
        language = _LANGUAGES[(number + number // len(tasks)) % 3]
        random = Random(f"records {seed} {held_out} {number}")
        for _ in range(MAX_TRIES):
            record = _drawn(task, language, random, held_out)
            if not (is_kept_apart(record) and not held_out) and seen.add(record.prompt):
                yield record
                break
        else:
            raise InputError(
                f"no more than about {number} different records can be drawn here; ask for fewer (--count)"
            )


def _drawn(task: Task, language: Language, random: Random, held_out: bool) -> Record:
    chosen = random.random()
    record = None
    if not held_out and chosen < WRITTEN_SHARE:
        record = sentence(task, language, random)
    elif task.is_generation and chosen > 1 - SHAPE_SHARE:
        record = shape_order(task, language, random, held_out=held_out, apart=None if held_out else False)
    record = record or order(task, language, random, held_out=held_out)
    text = record.prompt
    if not held_out and random.random() < GREETED:
        text = _greeted(text, Grammar(language, random, held_out))
    if random.random() < CARELESS:
        text = careless(text, language, random)
    return replace(record, prompt=text, intent=record.intent or intent_of(task))


def _greeted(text: str, writer: Grammar) -> str:
    """A word in front, one behind, or both; what an order means stays."""
    where = writer.random.random()
    if where < 0.6:
        hello = writer.pick("hello")
        if hello[-2:] == ", " and re.match("[A-Z][a-z]", text):
            text = text[:1].lower() + text[1:]
        text = hello + text
    if where > 0.45 and text[-1:] not in "?\uff1f":
        bye = writer.pick("bye")
        text = (text.rstrip(".\u3002") if bye[:1] in ",\uff0c\uff5e" else text) + bye
    return text


class _Seen:
    """Marks texts. What is marked already may be another text with the same mark; what is not is new for certain."""

    def __init__(self) -> None:
        self._marks = bytearray(1 << (_BITS - 3))

    def add(self, text: str) -> bool:
        """Whether `text` had no mark; it has one now."""
        data = text.encode()
        mark = (zlib.crc32(data) * 0x9E3779B1 ^ zlib.adler32(data) * 0x85EBCA77) & ((1 << _BITS) - 1)
        place, bit = mark >> 3, 1 << (mark & 7)
        if self._marks[place] & bit:
            return False
        self._marks[place] |= bit
        return True
