"""How often a planner is right, task by task and field by field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import UnisonError
from ..plan.plan import Plan
from ..plan.prompt import parse_pads
from ..planner.base import Planner
from ..progress import Cancel, Progress, check, never, silent
from .planning_data import Record


@dataclass(frozen=True)
class Score:
    """Exact matches of whole plans over counts, by task, and of single fields over all plans."""

    tasks: dict[str, tuple[int, int]]
    fields: dict[str, tuple[int, int]]
    wrong: tuple[tuple[str, str, str], ...]

    @property
    def exact(self) -> float:
        """Share of plans that are right in every field."""
        right, count = (sum(pair[index] for pair in self.tasks.values()) for index in (0, 1))
        return right / count if count else 0.0


FIELDS = ("task", "width", "height", "num_frames", "frames", "mask", "source", "references")


def evaluate(
    planner: Planner, records: Sequence[Record], *, progress: Progress = silent, cancel: Cancel = never
) -> Score:
    """Plan every record and compare with its tokens, as a whole and field by field. `wrong` lists what differs."""
    from ..plan.tokens import parse

    tasks: dict[str, list[int]] = {}
    fields = {name: [0, 0] for name in FIELDS}
    wrong = []
    for number, record in enumerate(records):
        check(cancel, "evaluating the planner")
        prompt = parse_pads(record.prompt)
        expected = parse(record.tokens, prompt.text, prompt.kinds)
        made: Plan | None = None
        try:
            made = planner.plan(prompt).plan
            text = made.tokens
        except UnisonError as error:
            text = str(error)
        right = made is not None and (text, made.task) == (expected.tokens, expected.task)
        count = tasks.setdefault(record.task.value, [0, 0])
        count[0], count[1] = count[0] + right, count[1] + 1
        for name, pair in fields.items():
            pair[0] += made is not None and getattr(made, name) == getattr(expected, name)
            pair[1] += 1
        if not right:
            wrong.append((record.prompt, record.tokens, text))
        progress("evaluating the planner", number + 1, len(records))
    return Score(
        {name: (pair[0], pair[1]) for name, pair in tasks.items()},
        {name: (pair[0], pair[1]) for name, pair in fields.items()},
        tuple(wrong),
    )


def as_table(score: Score) -> list[str]:
    """The score as a Markdown table: tasks, then fields, then all."""
    rows = [*score.tasks.items(), *((f"field {name}", pair) for name, pair in score.fields.items())]
    right, count = (sum(pair[index] for pair in score.tasks.values()) for index in (0, 1))
    lines = [f"| {name} | {pair[0]} of {pair[1]} | {pair[0] / max(1, pair[1]):.1%} |" for name, pair in rows]
    return ["| | exact | share |", "|---|---|---|", *lines, f"| **all** | {right} of {count} | {score.exact:.1%} |"]
