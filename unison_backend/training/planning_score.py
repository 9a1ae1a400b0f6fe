"""How often planners are right, by task, language and field, and several of them side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import UnisonError
from ..plan.plan import Plan
from ..plan.prompt import parse_pads
from ..plan.tokens import parse
from ..planner.base import Planner
from ..progress import Cancel, Progress, check, never, silent
from .planning_record import Record

FIELDS = ("task", "width", "height", "num_frames", "frames", "mask", "source", "references")

Counts = dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Score:
    """Right and counted. Whole plans by task and language; fields over the records in which one of both plans has it.

    wrong: (instruction, expected tokens, made tokens or the error) of each plan that differs.
    """

    tasks: Counts = field(default_factory=dict)
    languages: Counts = field(default_factory=dict)
    fields: Counts = field(default_factory=dict)
    wrong: tuple[tuple[str, str, str], ...] = ()

    @property
    def all(self) -> tuple[int, int]:
        """Whole plans that are right, and all."""
        right, count = (sum(pair[index] for pair in self.tasks.values()) for index in (0, 1))
        return right, count

    @property
    def exact(self) -> float:
        """Share of plans that are right in every field."""
        right, count = self.all
        return right / count if count else 0.0


def evaluate(
    planner: Planner, records: Sequence[Record], *, progress: Progress = silent, cancel: Cancel = never
) -> Score:
    """Plan every record and compare with its tokens, as a whole and field by field.

    A field that neither plan has says nothing about a planner and is not counted.
    """
    score, wrong = Score(), []
    for number, record in enumerate(records):
        check(cancel, "evaluating the planner")
        prompt = parse_pads(record.prompt)
        expected = parse(record.tokens, prompt.text, prompt.kinds)
        made: Plan | None = None
        try:
            text = planner.plan(prompt).plan.tokens
            made = parse(text, prompt.text, prompt.kinds)  # what no token says is not compared
        except UnisonError as error:
            text = str(error)
        right = made is not None and (text, made.task) == (expected.tokens, expected.task)
        _count(score.tasks, record.task.value, right)
        _count(score.languages, record.language, right)
        for name in FIELDS:
            if _has(expected, name) or (made is not None and _has(made, name)):
                _count(score.fields, name, made is not None and getattr(made, name) == getattr(expected, name))
        if not right:
            wrong.append((record.prompt, record.tokens, text))
        progress("evaluating the planner", number + 1, len(records))
    return Score(score.tasks, score.languages, score.fields, tuple(wrong))


def _has(plan: Plan, name: str) -> bool:
    return getattr(plan, name) not in (None, ())


def _count(counts: Counts, name: str, right: bool) -> None:
    before = counts.get(name, (0, 0))
    counts[name] = (before[0] + right, before[1] + 1)


def as_table(scores: Mapping[str, Score]) -> list[str]:
    """Planners by name side by side as a Markdown table: tasks, languages, fields, all."""
    lines = [f"| | {' | '.join(scores)} |", "|---" * (1 + len(scores)) + "|"]
    for prefix, kind in (("", "tasks"), ("language ", "languages"), ("field ", "fields")):
        counts: list[Counts] = [getattr(score, kind) for score in scores.values()]
        names = dict.fromkeys(name for each in counts for name in each)
        names = {name: None for name in (*FIELDS, *names) if name in names} if kind == "fields" else names
        lines += [_row(prefix + name, (each.get(name, (0, 0)) for each in counts)) for name in names]
    return [*lines, _row("**all**", (score.all for score in scores.values()))]


def _row(name: str, pairs: Iterable[tuple[int, int]]) -> str:
    cells = (f"{right} of {count}, {right / count:.1%}" if count else "none" for right, count in pairs)
    return f"| {name} | {' | '.join(cells)} |"
