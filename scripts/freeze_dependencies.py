"""Writes the exact version of every package that `uv run` installs into pyproject.toml.

    python3 scripts/freeze_dependencies.py [--check]

What stands there is `[tool.uv] constraint-dependencies`, from a resolution of today for every Python in
`requires-python` and every platform, and `build-constraint-dependencies` for what builds the package. A lock file
would do the same, but it names the hosts that one machine downloads from. With --check nothing is written; the exit
status is 1 when the lists, resolved again under themselves, are not what stands there.

The ranges in `[project] dependencies` stay as they are: they are for a person's ComfyUI, which is never pinned.
Afterwards run scripts/try_resolutions.py and the tests.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fresh_clone import LISTS, PROJECT, ROOT, build_requirements, replace_list, uv, without_constraints


def resolved(project: str) -> tuple[list[str], list[str]]:
    """What uv resolves a pyproject.toml's text to: `name==version ; markers` for groups and extras, and the build."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "pyproject.toml").write_text(project, encoding="utf-8")
        Path(folder, "README.md").touch()
        Path(folder, "LICENSE").touch()
        options = ("--no-hashes", "--no-header", "--no-annotate", "--no-emit-project", "--all-groups", "--all-extras")
        packages = uv("export", "--quiet", "--project", folder, *options)
        (build := Path(folder, "build.in")).write_text("\n".join(build_requirements(project)), encoding="utf-8")
        tools = uv("pip", "compile", "--quiet", "--universal", "--no-annotate", "--no-header", str(build), cwd=folder)
    return packages.split("\n")[:-1], tools.split("\n")[:-1]


def frozen(project: str) -> str:
    """A pyproject.toml's text with both lists as they resolve; those that stand in it count as constraints."""
    for name, lines in zip(LISTS, resolved(project), strict=True):
        project = replace_list(project, name, [" ".join(line.split()) for line in lines])
    return project


def main(arguments: Sequence[str]) -> int:
    """Write or check; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the lists do not hold")
    check = parser.parse_args(arguments).check
    before = PROJECT.read_text(encoding="utf-8")
    after = frozen(before if check else without_constraints(before))
    if after == before:
        sys.stdout.write("nothing to change\n")
        return 0
    if check:
        sys.stdout.write(f"{PROJECT.relative_to(ROOT)} does not hold what resolves: run this script without --check\n")
        return 1
    PROJECT.write_text(after, encoding="utf-8")
    sys.stdout.write(f"written: {PROJECT.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
