"""What is declared is used, and what `uv run` installs is frozen: no package floats, no host is named."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no TOML reader")

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FROZEN = PROJECT["tool"]["uv"]["constraint-dependencies"]
TOOLS = PROJECT["tool"]["uv"]["build-constraint-dependencies"]
MODULES = {"pillow": "PIL", "pyyaml": "yaml", "websocket-client": "websocket"}
# Run as commands, or by pytest; nothing imports them.
COMMANDS = {"ruff", "mypy", "pytest-xdist"}
EXACT = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*==[0-9][0-9a-z.]*( ; [a-z_]+ .+| ; \(.+)?")


@cache
def imported(*folders):
    """Top-level modules that any file below the folders imports."""
    found = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add((node.module or "").partition(".")[0])
    return found


GROUPS = PROJECT["dependency-groups"]
DECLARED = [
    *((name, ("unison_backend", "nodes")) for name in (*PROJECT["project"]["dependencies"], *GROUPS["standalone"])),
    *((name, ("tests",)) for name in GROUPS["test"]),
]


@pytest.mark.parametrize(("requirement", "folders"), DECLARED, ids=lambda value: str(value))
def test_each_declared_package_is_imported(requirement, folders):
    name = Requirement(requirement).name
    if name not in COMMANDS:
        assert MODULES.get(name, name) in imported(*folders)


@cache
def pin(line):
    """(name, "==version") of a constraint."""
    requirement = Requirement(line)
    return requirement.name, str(requirement.specifier)


def unpinned(frozen, lock):
    """Packages of a resolution, (name, version), that no constraint pins with ==."""
    pins = {pin(line) for line in frozen}
    return sorted(
        (package["name"], package["version"])
        for package in lock["package"]
        if "registry" in package["source"] and (package["name"], f"=={package['version']}") not in pins
    )


@pytest.fixture(scope="module")
def lock():
    """The resolution that `uv run` has just made."""
    file = ROOT / "uv.lock"
    if not file.is_file():
        pytest.skip("no uv.lock: these tests did not come through `uv run`")
    return tomllib.loads(file.read_text(encoding="utf-8"))


def test_every_package_of_the_resolution_is_frozen(lock):
    assert unpinned(FROZEN, lock) == []
    names = {package["name"] for package in lock["package"]}
    assert {Requirement(line).name for line in FROZEN} <= names, "a pinned package is not used any more"
    assert len(names) > 50


def test_a_package_that_floats_is_found(lock):
    for number, line in enumerate(FROZEN):
        left = FROZEN[:number] + FROZEN[number + 1 :]
        name, version = pin(line)
        assert unpinned(left, lock) == [(name, version.removeprefix("=="))]
    assert unpinned([f"{line.partition('==')[0]}>=0" for line in FROZEN], lock)


@pytest.mark.parametrize("line", [*FROZEN, *TOOLS])
def test_a_frozen_package_is_an_exact_version_and_names_no_host(line):
    assert EXACT.fullmatch(line)
    assert "://" not in line and "@" not in line


def test_the_build_is_frozen():
    needed = {Requirement(line).name for line in PROJECT["build-system"]["requires"]}
    assert needed <= {Requirement(line).name for line in TOOLS}


def test_ranges_are_left_to_people():
    """A person's ComfyUI is never pinned."""
    assert all("==" not in line for line in PROJECT["project"]["dependencies"])
    assert not any(Requirement(line).name == "torchaudio" for line in FROZEN)
