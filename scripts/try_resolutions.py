"""Early warning: the pack on other packages than the frozen ones.

    python3 scripts/try_resolutions.py highest|lowest-direct [--python 3.11]

`highest` is what the ranges resolve to today, `lowest-direct` the oldest releases that they allow (which need a Python
that those releases were built for). Resolves without the constraints in pyproject.toml, installs into a throw-away
environment, imports everything, runs README's first command, looks at its picture, and runs the fast tests. What it
finds is mended in the ranges or in the code; then scripts/freeze_dependencies.py writes the new closure.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fresh_clone import Machine, readme_commands, uv, without_constraints


def main(arguments: Sequence[str]) -> int:
    """Try one resolution; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("resolution", choices=["highest", "lowest-direct"])
    parser.add_argument("--python", default="3.11", help="a version or an interpreter")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder), options.python, cache=Path(uv("cache", "dir").strip()))
        machine.copy_tree()
        machine.environment["UV_RESOLUTION"] = options.resolution
        project = machine.clone / "pyproject.toml"
        project.write_text(without_constraints(project.read_text(encoding="utf-8")), encoding="utf-8")
        run, test = readme_commands((machine.clone / "README.md").read_text(encoding="utf-8"))
        try:
            machine.run("python3 -m pip install -q uv && python3 -m uv sync -q")
            machine.run("python3 -m uv run unison doctor")
            machine.run(run)
            machine.check_circle()
            machine.run(f"{test} -m fast")
        except (subprocess.CalledProcessError, ValueError) as error:
            sys.stdout.write(f"FAILED with {options.resolution}: {error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
