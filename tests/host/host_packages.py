"""What host tests take from beside this folder: modules of the unit tests, and packages for the host's Python."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).resolve().parents[1] / "unit"


def unit_module(name):
    """A module of tests/unit, which is not on the host tests' path."""
    spec = importlib.util.spec_from_file_location(name, UNIT / f"{name}.py")
    found = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def imports(install, package, env):
    """Whether the host's Python imports `package` with `env` in its environment."""
    tried = subprocess.run(
        [str(install.python), "-c", f"import {package}"], env={**os.environ, **env}, capture_output=True, check=False
    )
    return tried.returncode == 0


def environment_with(install, package, variable):
    """What the host's environment takes so that it can import `package`; skips where it cannot.

    variable: names a folder with the package for a host that has none.
    """
    env = {"PYTHONPATH": named} if (named := os.environ.get(variable)) else {}
    if not imports(install, package, env):
        pytest.skip(f"the host's Python has no package {package} ({variable} names a folder with it)")
    return env
