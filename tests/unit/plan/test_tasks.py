"""Everything that lists tasks is held to their rows: a further row is missed everywhere until each place has it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from unison_backend.demo.world import tasks as world
from unison_backend.plan.plan import task_of
from unison_backend.plan.tasks import ROWS, Task, task_for
from unison_backend.training import planning_wording
from unison_backend.training.demo import vace
from unison_backend.training.records import orders

pytestmark = pytest.mark.fast
ROOT = Path(__file__).parents[3]


def _generation() -> set[str]:
    return {task.value for task, row in ROWS.items() if row.output != "text"}


def _card_names() -> set[str]:
    text = (ROOT / "js" / "unison_words.js").read_text(encoding="utf-8")
    return set(
        re.findall(
            r"\b([a-z]+_[a-z_]+): \"", text[text.index("NAMES_ZH = {") : text.index("export function isChinese")]
        )
    )


def _locale(language: str) -> Callable[[], set[str]]:
    def names() -> set[str]:
        text = (ROOT / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8")
        return set(json.loads(text)["UnisonRouteTask"]["inputs"]) - {"plan"}

    return names


def _help(language: str) -> Callable[[], set[str]]:
    def names() -> set[str]:
        text = (ROOT / "js" / "docs" / "UnisonRouteTask" / f"{language}.md").read_text(encoding="utf-8")
        return {name for name in re.findall(r"`(\w+_\w+)`", text) if not name.startswith("unison")}

    return names


def _snapshot() -> set[str]:
    text = (ROOT / "tests" / "host" / "data" / "nodes.json").read_text(encoding="utf-8")
    return set(json.loads(text)["UnisonRouteTask"]["inputs"]["optional"])


def _workflow_branches() -> set[str]:
    text = next(ROOT.glob("workflows/Route by Task*.json")).read_text(encoding="utf-8")
    nodes = [
        node
        for graph in (json.loads(text), *json.loads(text).get("definitions", {}).get("subgraphs", ()))
        for node in graph["nodes"]
    ]
    route = next(node for node in nodes if node["type"] == "UnisonRouteTask")
    return {entry["name"] for entry in route["inputs"] if entry["link"] is not None} - {"plan"}


def _first_words(names: Iterable[str]) -> set[str]:
    return {name.split()[0] for name in names}


EVERY = {  # places that name every task
    "the card's Chinese names": _card_names,
    "English locale": _locale("en"),
    "Chinese locale": _locale("zh"),
    "English help page": _help("en"),
    "Chinese help page": _help("zh"),
    "snapshot of the nodes": _snapshot,
}
MAKING = {  # places that name the tasks that make something
    "planning data": lambda: {task.value for task in planning_wording.MAKERS},
    "the grammar of planning data": lambda: {task.value for task in orders.KINDS},
    "the world's examples": lambda: _first_words(world._MAKERS),
    "training of the embedded VACE": lambda: {
        name for group in vace.GROUPS.values() for name in _first_words(group.counts)
    },
    "the auto workflow's branches": _workflow_branches,
}


def amiss() -> dict[str, set[str]]:
    """Places whose tasks are not those of the rows, with what differs."""
    wanted = {place: {task.value for task in ROWS} for place in EVERY} | {place: _generation() for place in MAKING}
    differ = {place: names() ^ wanted[place] for place, names in (EVERY | MAKING).items()}
    return {place: names for place, names in differ.items() if names}


def test_every_place_has_the_tasks_of_the_rows() -> None:
    assert amiss() == {}
    assert tuple(ROWS) == tuple(Task)


def test_a_further_row_is_missed_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake(str):
        value = "image_upscaling"

    row = ROWS[Task.IMAGE_EDITING]
    monkeypatch.setitem(ROWS, Fake("image_upscaling"), type(row)("image", "upscaling"))  # type: ignore[call-overload, arg-type]
    assert amiss() == {place: {"image_upscaling"} for place in EVERY | MAKING}
    assert task_for("image", "upscaling") == "image_upscaling"  # type: ignore[arg-type]


def test_no_two_rows_are_the_same() -> None:
    assert len({(row.output, row.role) for row in ROWS.values()}) == len(ROWS)


@pytest.mark.parametrize("task", ROWS)
def test_a_plan_gets_its_task_from_the_rows(task: Task) -> None:
    row = ROWS[task]
    media = {"pictures": ("image",), "videos": ("image", "video")}.get(row.role, ())
    parts = {"editing": "edit"}.get(row.role, row.role)
    given = {parts: True} if parts in ("edit", "control", "frames", "reference") else {}
    assert task_of(row.output, media, **given) is task  # type: ignore[arg-type]
