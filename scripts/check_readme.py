"""Does what README tells a newcomer, on a machine with only Python, and looks at the picture.

    python3 scripts/check_readme.py [--python 3.12] [--only run] [--keep-cache] [--working-tree]

A fresh clone, an empty home, an empty cache of uv and a Python with nothing but pip; README's first two commands are
taken out of README and run as they stand. Prints how long each took. Not for Windows: README's commands are for a
POSIX shell.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fresh_clone import Machine, readme_commands, uv


def main(arguments: Sequence[str]) -> int:
    """Run and look; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="a version or an interpreter (default: this one)")
    parser.add_argument("--only", choices=["run", "test"], help="one of the two commands")
    parser.add_argument(
        "--keep-cache", action="store_true", help="with the cache that uv has, so that nothing is fetched"
    )
    parser.add_argument("--working-tree", action="store_true", help="what lies here instead of what is committed")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(uv("cache", "dir").strip()) if options.keep_cache else None
        machine = Machine(Path(folder), options.python, cache=cache)
        (machine.copy_tree if options.working_tree else machine.clone_head)()
        run, test = readme_commands((machine.clone / "README.md").read_text(encoding="utf-8"))
        try:
            if options.only != "test":
                machine.run(run)
                machine.check_circle()
            if options.only != "run":
                machine.run(test)
        except (subprocess.CalledProcessError, ValueError) as error:
            sys.stdout.write(f"FAILED: {error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
