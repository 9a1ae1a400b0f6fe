"""Planning data: instructions with pads and the signal tokens that answer them, for the planning LoRA.

A record is a plan first and words second: the plan is drawn, then written down in one of many ways, so its tokens are
right by construction. Words that mean a size come from the meaning table that the rules planner reads with. Templates
are split: those of the held-out part are never used for training. Others are sentences that people wrote, where their
plan is certain, and orders of the shape world; some of all are typed carelessly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from ..errors import InputError
from ..plan.tasks import Task
from . import planning_sentences
from .planning_apart import is_kept_apart
from .planning_careless import careless
from .planning_record import LANGUAGES, Language, Record
from .planning_shapes import shape_order
from .planning_wording import record_of

__all__ = ["LANGUAGES", "Language", "Record", "balance", "draw", "draw_plain"]

SHAPE_SHARE, SENTENCE_SHARE = 0.22, 0.15  # of the records, those not from templates
CARELESS = 0.15
MAX_TRIES = 50  # for one record that has not been drawn before

_LANGUAGES: tuple[Language, ...] = ("en", "en", "zh")  # in turn
_Make = Callable[[Task, Language], Record]


def draw(count: int, seed: int = 0, *, held_out: bool = False) -> list[Record]:
    """`count` different records, the twelve tasks in turn, a third of them Chinese.

    held_out: in wordings of which training has none, with the numbers kept apart among them; no written sentences.
    Raises InputError when there are not that many different ones.
    """
    random = Random(f"planning {seed} {held_out} wide")
    sentences = None if held_out else _Sentences(random)

    def make(task: Task, language: Language) -> Record:
        chosen = random.random()
        record = sentences.next(task, language) if sentences and chosen < SENTENCE_SHARE else None
        if record is None and task.is_generation and chosen > 1 - SHAPE_SHARE:
            record = shape_order(task, language, random, held_out=held_out, apart=None if held_out else False)
        if record is None:
            record = record_of(task, language, random, held_out=held_out, wide=True)
        return _as_typed(record, random) if random.random() < CARELESS else record

    if held_out:  # a dozen has both languages already
        return _different(count, make, languages=lambda index: _LANGUAGES[(index + index // len(Task)) % 3])
    return _different(count, make, is_kept_apart)


def draw_plain(count: int, seed: int = 0, *, held_out: bool = False) -> list[Record]:
    """As `draw`, of the plain templates with their few numbers alone; the rules planner's models learned from these."""
    random = Random(f"planning {seed} {held_out}")
    return _different(count, lambda task, language: record_of(task, language, random, held_out=held_out))


def _different(
    count: int, make: _Make, refused: Callable[[Record], bool] = lambda record: False,
    languages: Callable[[int], Language] = lambda index: _LANGUAGES[index // len(Task) % 3],
) -> list[Record]:  # fmt: skip
    """`count` records with different words, the tasks in turn. languages: the language of a record by its number."""
    records: list[Record] = []
    seen: set[str] = set()
    tasks = tuple(Task)
    for index in range(count):
        language = languages(index)
        for _ in range(MAX_TRIES):
            record = make(tasks[index % len(tasks)], language)
            if record.prompt not in seen and not refused(record):
                break
        else:
            raise InputError(f"no more than about {len(records)} different records can be drawn here; ask for fewer")
        seen.add(record.prompt)
        records.append(record)
    return records


def _as_typed(record: Record, random: Random) -> Record:
    return Record(
        task=record.task,
        language=record.language,
        prompt=careless(record.prompt, record.language, random),
        tokens=record.tokens,
        media=record.media,
    )


class _Sentences:
    """Written sentences by language and task, each once, in an order of the seed's."""

    def __init__(self, random: Random) -> None:
        self._left = {language: list(planning_sentences.sentences(language)) for language in LANGUAGES}
        self._found: dict[tuple[Task, Language], list[Record]] = {}
        for rows in self._left.values():
            random.shuffle(rows)

    def next(self, task: Task, language: Language) -> Record | None:
        """One that has not been given yet; None when there is none left. Each line is planned when it is reached."""
        waiting = self._found.setdefault((task, language), [])
        rows = self._left[language]
        while not waiting and rows:
            record = planning_sentences.record_from(rows.pop(), language)
            if record is not None:
                self._found.setdefault((record.task, language), []).append(record)
        return waiting.pop() if waiting else None


def balance(records: Sequence[Record]) -> dict[str, int]:
    """How many records there are of each task."""
    counts: dict[str, int] = {}
    for record in records:
        counts[record.task.value] = counts.get(record.task.value, 0) + 1
    return counts
