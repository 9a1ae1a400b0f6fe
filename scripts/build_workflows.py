"""Writes the example workflows and the API prompts of the host tests: `python scripts/build_workflows.py [--check]`.

With --check nothing is written; the exit status is 1 when a file differs from what would be, and those are named.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workflow_builder import OLDEST_HOST, ROOT, ui_workflow
from workflow_graphs import WORKFLOWS
from workflow_prompt import api_prompt, roles_of
from workflow_unison import BLUEPRINTS, blueprint

# The release that the graphs were made with, as the frontend notes it in every node.
PACKS = {"ours": ("unison", "0.1.0"), "core": ("comfy-core", OLDEST_HOST)}


def files() -> dict[Path, str]:
    """Every file that this script makes, with its text."""
    made: dict[Path, str] = {}
    roles, titles = {}, {}
    api = ROOT / "tests" / "host" / "api"
    for build in WORKFLOWS:
        workflow = build()
        made[ROOT / "workflows" / f"{workflow.title}.json"] = to_text(ui_workflow(workflow, PACKS))
        made[api / f"{workflow.name}.json"] = to_text(api_prompt(workflow))
        roles[workflow.name], titles[workflow.name] = roles_of(workflow), workflow.title
    for name in BLUEPRINTS:
        made[ROOT / "subgraphs" / f"{name}.json"] = to_text(ui_workflow(blueprint(name), PACKS))
    return {**made, api / "roles.json": to_text(roles), api / "titles.json": to_text(titles)}


def to_text(data: Any) -> str:
    """JSON that diffs well: a list or object that fits into a line is one line."""
    return _formatted(data, 0) + "\n"


def _formatted(data: Any, depth: int) -> str:
    line = json.dumps(data, ensure_ascii=True)
    if not isinstance(data, (list, dict)) or len(line) + depth <= 110:
        return line
    if isinstance(data, dict):
        parts = [f"{json.dumps(key)}: {_formatted(value, depth + 1)}" for key, value in data.items()]
    else:
        parts = [_formatted(value, depth + 1) for value in data]
    opening, closing = "{}" if isinstance(data, dict) else "[]"
    inner = ",\n".join(" " * (depth + 1) + part for part in parts)
    return f"{opening}\n{inner}\n{' ' * depth}{closing}"


def main(arguments: Sequence[str]) -> int:
    """Write or check; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file differs")
    check = parser.parse_args(arguments).check
    made = files()
    stale = sorted(path for path, text in made.items() if not path.is_file() or path.read_bytes() != text.encode())
    extra = sorted(path for folder in {path.parent for path in made} for path in folder.glob("*.json"))
    extra = [path for path in extra if path not in made]
    if not check:
        _write({path: made[path] for path in stale})
    said = dict.fromkeys(stale, "differs" if check else "written") | dict.fromkeys(extra, "not made by this script")
    sys.stdout.writelines(f"{what}: {path.relative_to(ROOT)}\n" for path, what in said.items())
    return int(check and bool(said))


def _write(texts: dict[Path, str]) -> None:
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
