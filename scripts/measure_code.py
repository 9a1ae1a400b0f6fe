"""How long, how branched, how typed and how documented the code is: the figures of docs/architecture.md.

    python scripts/measure_code.py [FOLDER]     the table, and every function over the limits; exit 1 when there is one

A function's complexity here is 1, and 1 more for each: if, elif, loop, except, case, conditional expression, loop and
condition inside a comprehension, assert, and each `and` / `or` between two operands. (Linters leave the last ones out.)
What is defined inside a function counts for itself and for the function around it.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDERS = ("unison_backend", "nodes", "scripts")
MOST_BRANCHES = 15
MOST_LINES = 80
_BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.IfExp, ast.match_case, ast.Assert)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Measured:
    """One function. typed: parameters and result all have annotations (self and cls need none)."""

    name: str
    lines: int
    complexity: int
    typed: bool
    documented: bool


def complexity(function: ast.AST) -> int:
    """See the rule above."""
    found = 1
    for node in ast.walk(function):
        if isinstance(node, _BRANCHES):
            found += 1
        elif isinstance(node, ast.BoolOp):
            found += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            found += 1 + len(node.ifs)
    return found


def measured(file: Path, root: Path) -> Iterator[Measured]:
    """Every function and method of a file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
            typed = all(a.annotation is not None for a in given if a is not None and a.arg not in ("self", "cls"))
            yield Measured(
                name=f"{file.relative_to(root).as_posix()}:{node.lineno} {node.name}",
                lines=(node.end_lineno or node.lineno) - node.lineno + 1,
                complexity=complexity(node),
                typed=typed and node.returns is not None,
                documented=ast.get_docstring(node) is not None,
            )


def public_documented(folder: Path) -> float:
    """The share of modules, public classes and public functions below `folder` that have a docstring."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [
        ast.get_docstring(node) is not None
        for file in sorted(folder.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, kinds) and not getattr(node, "name", "").startswith("_")
    ]
    return sum(found) / len(found)


def _spread(values: list[int]) -> str:
    ninetieth = statistics.quantiles(values, n=10)[-1]
    return f"{statistics.median(values):g} / {ninetieth:g} / {max(values)}"


def table(functions: list[Measured], lengths: list[int], documented: float) -> dict[str, str]:
    """The figures by what they are."""
    return {
        "files / functions": f"{len(lengths)} / {len(functions)}",
        "lines of a function (median / 90th percentile / most)": _spread([f.lines for f in functions]),
        "lines of a file (median / 90th percentile / most)": _spread(lengths),
        "complexity (median / 90th percentile / most)": _spread([f.complexity for f in functions]),
        f"functions over {MOST_BRANCHES}": str(sum(f.complexity > MOST_BRANCHES for f in functions)),
        f"functions over {MOST_LINES} lines": str(sum(f.lines > MOST_LINES for f in functions)),
        "functions fully typed": f"{sum(f.typed for f in functions) / len(functions):.1%}",
        "public parts of nodes/ with a docstring": f"{documented:.0%}",
    }


def _by_complexity(function: Measured) -> int:
    return -function.complexity


def main(root: Path) -> int:
    """Print the table; 1 when a function is over a limit."""
    files = [file for name in FOLDERS for file in sorted((root / name).rglob("*.py"))]
    functions = [function for file in files for function in measured(file, root)]
    lengths = [len(file.read_text(encoding="utf-8").splitlines()) for file in files]
    rows = table(functions, lengths, public_documented(root / "nodes"))
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    over = [f for f in functions if f.complexity > MOST_BRANCHES or f.lines > MOST_LINES]
    lines += [f"{f.name}: complexity {f.complexity}, {f.lines} lines" for f in sorted(over, key=_by_complexity)]
    sys.stdout.write("\n".join(lines) + "\n")
    return int(bool(over))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1]))
