"""Records of any file, which planners are measured with: chat records, or lines of an instruction and its tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, UnisonError
from ..plan.prompt import IMGPAD, VIDPAD, parse_pads
from ..plan.tasks import Task
from ..plan.tokens import parse
from ..planner.rules.detect import detect
from .chats import FILES
from .held_out import spread
from .json_rows import rows
from .planning_record import Record


def read_records(path: Path) -> list[Record]:
    """The records of JSON lines or a JSON list: {"messages": [...]} with the plan as the last turn (an answer in words
    or none is a question), or {"prompt": ..., "tokens": ...}; "task" and "language" count where they stand.

    Raises InputError naming the record that is none, or whose tokens are no plan for its media.
    """
    records = []
    for number, row in enumerate(rows(path), 1):
        try:
            records.append(_record(row.value))
        except (UnisonError, ValueError, KeyError, TypeError, IndexError) as error:
            why = f"has no {error}" if isinstance(error, KeyError) else str(error)
            raise InputError(f"{path}: record {number} is no instruction with its plan ({why})") from error
    if not records:
        raise InputError(f"{path} has no records")
    return records


def some(records: Sequence[Record], count: int, seed: int = 0) -> list[Record]:
    """`count` of them, drawn over tasks and languages alike."""
    return [records[index] for index in spread([(r.task, r.language) for r in records], count, seed)]


def _record(row: Mapping[str, Any]) -> Record:
    if "messages" in row:
        asked, told = (turn["content"] for turn in row["messages"][-2:])
        for mark, pad in (("<image>", IMGPAD), ("<video>", VIDPAD)):
            asked = asked.replace(mark, pad) if row.get(FILES[mark]) else asked
    else:
        asked, told = row["prompt"], row["tokens"]
    if not isinstance(asked, str) or not isinstance(told, str):
        raise InputError("what is asked and what is told have to be text")
    prompt = parse_pads(asked)
    plan = parse(told, prompt.text, prompt.kinds)
    task = Task(row["task"]) if "task" in row else plan.task
    if task != plan.task:
        raise InputError(f"its task is {task}, but its tokens are those of {plan.task}")
    tokens = plan.tokens if plan.task.is_generation else ""
    language, intent = str(row.get("language") or detect(asked)), str(row.get("intent") or "")
    return Record(plan.task, language, asked, tokens, prompt.kinds, intent, bool(row.get("mask_keeps")))
