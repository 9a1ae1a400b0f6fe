"""Who may import whom: docs/architecture.md's table, held against every import, lazy ones too."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BACKEND = ROOT / "unison_backend"
LAYERS = (
    "cli", "training", "batch", "comfy", "pipeline", "demo", "planner", "annotators", "engine", "sources", "conditioning", "weights",
    "media", "plan", "ground",
)  # fmt: skip
"""From top to bottom: each may import what stands below it, and itself."""
GROUND = {"defaults", "errors", "progress", "memory", "files", "unfinished", ""}


def layer(module):
    """The layer of a module, by its path below unison_backend ("" is the package itself)."""
    top = module.partition(".")[0]
    return "ground" if top in GROUND else top


def imported(text, module, is_package):
    """(line, module) of what a file imports from this package, relative to it; names that are modules as such."""
    above = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = above[: len(above) - node.level + 1] + (node.module.split(".") if node.module else [])
            for alias in node.names:
                whole = ".".join(filter(None, [*base, alias.name]))
                yield node.lineno, whole if exists(whole) else ".".join(filter(None, base))


def exists(module):
    path = BACKEND.joinpath(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def modules():
    """(file, module, is it a package's own file)."""
    for path in sorted(BACKEND.rglob("*.py")):
        parts = path.relative_to(BACKEND).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        yield path, ".".join(parts[:-1] if is_package else parts), is_package


def upward(text, module, is_package):
    """What a file imports from above its layer."""
    mine = LAYERS.index(layer(module))
    return [
        f"unison_backend/{module.replace('.', '/')}.py:{line} imports {found}, which stands above it"
        for line, found in imported(text, module, is_package)
        if LAYERS.index(layer(found)) < mine
    ]


@pytest.mark.parametrize(("path", "module", "is_package"), modules(), ids=lambda value: str(value))
def test_no_import_goes_up(path, module, is_package):
    assert upward(path.read_text(encoding="utf-8"), module, is_package) == []


def test_an_import_that_goes_up_is_named():
    code = "def f():\n    from ..planner.rules.plan import RulesPlanner\n    from .. import errors\n"
    (told,) = upward(code, "media.video", False)
    assert told.startswith("unison_backend/media/video.py:2 imports planner.rules.plan")
    assert upward("from . import cli", "", True) == ["unison_backend/.py:1 imports cli, which stands above it"]


def test_no_circle():
    """Module by module, over imports at the top of files: what is imported inside functions may meet again."""
    graph = {}
    for path, module, is_package in modules():
        top = "\n".join(
            ast.unparse(node) for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.ImportFrom)
        )  # fmt: skip
        graph[module] = {found for _, found in imported(top, module, is_package)} - {module}
    done, open_ = set(), []

    def walk(module):
        assert module not in open_, " -> ".join([*open_[open_.index(module) :], module])
        if module not in done:
            open_.append(module)
            for found in graph.get(module, ()):
                walk(found)
            open_.pop()
            done.add(module)

    for module in graph:
        walk(module)


def test_few_modules_stand_loose():
    loose = {path.stem for path in BACKEND.glob("*.py")} - {"__init__"}
    assert loose == {"defaults", "errors", "progress", "memory", "files", "unfinished"}


def test_packages_hold_no_logic_and_say_what_they_are_for():
    for path, module, is_package in modules():
        if is_package and module != "cli":  # its main() is the console script
            body = ast.parse(path.read_text(encoding="utf-8")).body
            assert ast.get_docstring(ast.Module(body, [])), path
            assert all(isinstance(node, (ast.Expr, ast.ImportFrom, ast.Assign)) for node in body), path


def test_the_page_has_the_same_table():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1].strip().strip("`/") for line in page.splitlines() if line.startswith("| `")]
    assert [row.removesuffix(".py") for row in rows][: len(LAYERS) - 1] == list(LAYERS[:-1])
