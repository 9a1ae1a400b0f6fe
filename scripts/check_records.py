"""What stands in a file of planning records: how many, how many different, of which tasks, kinds and languages.

python scripts/check_records.py FILE [--rules 2000] [--show 100]

Every record's tokens are read back and have to give its task and media. --rules: how many of so many, drawn evenly, the
rules planner plans alike; --show: some that it does not.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from unison_backend.errors import UnisonError  # noqa: E402
from unison_backend.plan.prompt import parse_pads  # noqa: E402
from unison_backend.plan.tokens import parse  # noqa: E402
from unison_backend.planner.rules.plan import RulesPlanner  # noqa: E402


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a file, one at a time."""
    with path.open(encoding="utf-8") as file:
        yield from (json.loads(line) for line in file if line.strip())


def check(path: Path) -> int:
    """Print the counts; the number of records."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("task", "language", "intent")}
    seen: set[int] = set()
    characters = number = 0
    for number, row in enumerate(rows_of(path), 1):
        asked, told = (turn["content"] for turn in row["messages"])
        prompt = parse_pads(asked)
        plan = parse(told, prompt.text, prompt.kinds)
        if (plan.tokens, plan.task.value, list(prompt.kinds)) != (told, row["task"], row["media"]):
            raise SystemExit(f"record {number} is not read back: {row}")
        seen.add(hash(asked))
        characters += len(asked)
        for name, counter in counts.items():
            counter[row[name]] += 1
    _say(f"{number} records, {len(seen)} different, {characters / max(1, number):.0f} characters each, all read back")
    for name, counter in counts.items():
        _say(f"{name}: " + ", ".join(f"{key} {count}" for key, count in counter.most_common()))
    return number


def compare(path: Path, records: int, most: int, shown: int) -> None:
    """Print how many of `most` records the rules planner plans alike, by language and kind."""
    step, planner = max(1, records // most), RulesPlanner()
    right, counts, told = Counter[str](), Counter[str](), []
    for row in (row for number, row in enumerate(rows_of(path)) if number % step == 0):
        asked, tokens = (turn["content"] for turn in row["messages"])
        try:
            made = planner.plan(parse_pads(asked)).plan.tokens
        except UnisonError as error:
            made = str(error)
        for key in ("all", row["language"], row["intent"]):
            counts[key] += 1
            right[key] += made == tokens
        if made != tokens:
            told.append(
                f"{row['language']} {row['intent']}: {asked}\n  {tokens or '(an answer)'}\n  {made or '(an answer)'}"
            )
    _say(
        "the rules planner plans alike: " + ", ".join(f"{k} {right[k] / counts[k]:.1%} of {counts[k]}" for k in counts)
    )
    for line in told[:: max(1, len(told) // shown)][:shown] if shown else ():
        _say(line)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rules", type=int, default=0, metavar="N")
    parser.add_argument("--show", type=int, default=0, metavar="N")
    given = parser.parse_args()
    found = check(given.file)
    if given.rules:
        compare(given.file, found, given.rules, given.show)
