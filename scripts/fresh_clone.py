"""What the scripts share that try the pack as a newcomer gets it: a clone, a machine with only Python, README's words.

Standard library only, and Python 3.11 or newer for `tomllib`: these run before anything is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT = ROOT / "pyproject.toml"
LISTS = ("constraint-dependencies", "build-constraint-dependencies")
"""What is frozen, in `[tool.uv]`: the packages of all groups, and those of the build."""
KEPT_VARIABLES = ("LANG", "LC_ALL", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "SSL_CERT_FILE", "PIP_CERT")
"""What a machine with only Python takes over from the environment; no caches, no settings of Python, pip or uv."""


def readme_commands(text: str) -> tuple[str, str]:
    """README's first two code blocks: make a picture, run the tests."""
    run, test = (block.strip() for block in text.split("```")[1:4:2])
    return run, test


def build_requirements(project: str) -> list[str]:
    """`[build-system] requires` of a pyproject.toml's text."""
    return [str(requirement) for requirement in tomllib.loads(project)["build-system"]["requires"]]


def replace_list(project: str, name: str, items: Sequence[str]) -> str:
    """A pyproject.toml's text with another list under that key of `[tool.uv]`; without items the key goes.

    Text, not a written-out tree: comments and order stay.
    """
    rest = re.sub(rf"^{name} = \[.*?^\]\n", "", project, flags=re.MULTILINE | re.DOTALL)
    end = rest.index("\n\n[", rest.index("[tool.uv]\n")) + 1
    lines = "".join(f'    "{item}",\n' for item in items)
    return rest[:end] + (f"{name} = [\n{lines}]\n" if items else "") + rest[end:]


def without_constraints(project: str) -> str:
    """A pyproject.toml's text in which every package floats within its range."""
    for name in LISTS:
        project = replace_list(project, name, ())
    return project


def uv(*arguments: str, cwd: Path | str | None = None, env: Mapping[str, str] | None = None) -> str:
    """What `uv ...` prints; CalledProcessError when it fails, its own words on stderr."""
    command = [found] if (found := os.environ.get("UV") or shutil.which("uv")) else [sys.executable, "-m", "uv"]
    return subprocess.run(
        [*command, *arguments], cwd=cwd, env=env, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


class Machine:
    """A folder with a Python and nothing else, a home of its own, and a copy of the working tree in it."""

    def __init__(self, folder: Path, python: str, *, cache: Path | None = None) -> None:
        """python: what `uv venv --python` takes; cache: uv's cache to use, an empty one if none is given."""
        self.clone, self._home = folder / "ComfyUI-Unison", folder / "home"
        self._home.mkdir()
        uv("venv", "--quiet", "--seed", "--python", python, str(folder / "python"))
        found = str(folder / "python" / ("Scripts" if os.name == "nt" else "bin"))
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        homes = dict.fromkeys(("HOME", "USERPROFILE", "LOCALAPPDATA", "APPDATA"), str(self._home))
        # UV_PYTHON: a machine may have other Pythons beside the one that is meant.
        self.environment = kept | homes | {"PATH": os.pathsep.join([found, os.defpath]), "UV_PYTHON": python}
        if cache is not None:
            self.environment["UV_CACHE_DIR"] = str(cache)

    def copy_tree(self) -> None:
        """What git tracks or would track, as it is now."""
        listed = subprocess.run(
            ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                (self.clone / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.clone / name)

    def clone_head(self) -> None:
        """What is committed."""
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(self.clone)], check=True)

    def run(self, command: str) -> float:
        """A shell command in the clone; the seconds it took. CalledProcessError when it fails."""
        sys.stdout.write(f"$ {command}\n")
        sys.stdout.flush()
        start = time.monotonic()
        subprocess.run(command, shell=True, cwd=self.clone, env=self.environment, check=True, stdin=subprocess.DEVNULL)
        sys.stdout.write(f"{time.monotonic() - start:.1f} s\n")
        return time.monotonic() - start

    def colours(self, picture: str) -> dict[str, tuple[int, int, int]]:
        """Mean colours of the middle and the four corners of a picture in the clone, each of 8x8 pixels."""
        code = (
            "import sys; from PIL import Image; i = Image.open(sys.argv[1]).convert('RGB'); w, h = i.size\n"
            "for x, y in ((w // 2 - 4, h // 2 - 4), (0, 0), (w - 8, 0), (0, h - 8), (w - 8, h - 8)):\n"
            "    print(*i.crop((x, y, x + 8, y + 8)).resize((1, 1), 4).getpixel((0, 0)))"
        )
        python = next((self.clone / ".venv").glob("[bS]*/python*"))
        done = subprocess.run([python, "-c", code, picture], cwd=self.clone, check=True, capture_output=True, text=True)
        names = ("middle", "top left", "top right", "bottom left", "bottom right")
        rows = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
        return {name: (red, green, blue) for name, (red, green, blue) in zip(names, rows, strict=True)}

    def check_circle(self) -> None:
        """README's picture: a red middle on blue corners. ValueError with the colours when it is anything else."""
        found = self.colours("circle.png")
        red, green, blue = found["middle"]
        is_red = red > 150 and max(green, blue) < 100
        are_blue = all(b > 130 and max(r, g) < 110 for name, (r, g, b) in found.items() if name != "middle")
        if not is_red or not are_blue:
            raise ValueError(f"circle.png is no red circle on blue: {found}")
        version = (
            (self.clone / ".venv" / "pyvenv.cfg").read_text(encoding="utf-8").partition("version_info = ")[2].split()[0]
        )
        sys.stdout.write(f"circle.png: red {found['middle']} on blue {found['top left']}, by Python {version}\n")
