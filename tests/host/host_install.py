"""Which ComfyUI is tested, and with which interpreter.

Host: COMFYUI_PATH, else ~/comfy/ComfyUI. Interpreter: COMFYUI_PYTHON, else a virtual environment in or beside that
folder, else the one that runs the tests, if it has what a host needs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

NEEDED = ("aiohttp", "torch", "yaml", "PIL", "safetensors", "transformers", "sqlalchemy", "comfyui_frontend_package")
"""Modules that no host starts without; what a newer one needs besides shows in the log when it dies."""


class HostError(RuntimeError):
    """The host did not start, died, went silent or refused a request; the message ends with its log's tail."""


@dataclass(frozen=True)
class HostInstall:
    """A ComfyUI folder and an interpreter that can run it."""

    folder: Path
    python: Path
    version: str

    @property
    def release(self) -> tuple[int, ...]:
        """The version as numbers, to compare: (0, 33, 0)."""
        return tuple(int(part) for part in re.findall(r"\d+", self.version)[:3])


@cache
def find_host() -> HostInstall | str:
    """The host to test with, or the reason why there is none."""
    named = os.environ.get("COMFYUI_PATH")
    folder = Path(named or "~/comfy/ComfyUI").expanduser().absolute()
    origin = "COMFYUI_PATH" if named else "COMFYUI_PATH is not set"
    if not (folder / "main.py").is_file() or not (folder / "comfyui_version.py").is_file():
        return f"no ComfyUI in {folder} ({origin})"
    found = re.search(r"__version__\s*=\s*[\"']([^\"']+)", (folder / "comfyui_version.py").read_text("utf-8"))
    if not found:
        return f"{folder} does not say which ComfyUI it is ({origin})"
    python = _find_python(folder)
    return python if isinstance(python, str) else HostInstall(folder, python, found[1])


def _find_python(folder: Path) -> Path | str:
    """The interpreter for this host, or why there is none."""
    named = os.environ.get("COMFYUI_PYTHON")
    if named:
        python = Path(named).expanduser().absolute()  # not resolve(): a virtual environment's python is a link
        trouble = _trouble(python)
        return f"COMFYUI_PYTHON={python}: {trouble}" if trouble else python
    homes = [home / name for home in (folder, folder.parent) for name in ("venv", ".venv", "python_embeded")]
    guesses = [home / tail for home in homes for tail in ("bin/python", "Scripts/python.exe", "python.exe")]
    troubles = []
    for python in [*(guess for guess in guesses if guess.is_file()), Path(sys.executable)]:
        trouble = _trouble(python, _frontend(folder))
        if not trouble:
            return python
        troubles.append(f"{python}: {trouble}")
    return f"no interpreter for {folder}, set COMFYUI_PYTHON ({'; '.join(troubles)})"


def _frontend(folder: Path) -> str | None:
    """The frontend release that this host pins; it tells one host's environment from another's."""
    requirements = folder / "requirements.txt"
    pin = re.search(r"^comfyui[-_]frontend[-_]package==(\S+)", requirements.read_text("utf-8"), re.MULTILINE)
    return pin[1] if pin else None


def _trouble(python: Path, frontend: str | None = None) -> str | None:
    """Why this interpreter cannot run a host; None if it can. `frontend` is the release it must have, if any."""
    if not python.is_file():
        return "no such file"
    code = (
        "import importlib.metadata as m, importlib.util as u, json, sys\n"
        "missing = [n for n in sys.argv[1:] if u.find_spec(n) is None]\n"
        "print(json.dumps([missing, None if missing else m.version('comfyui_frontend_package')]))"
    )
    try:
        answer = subprocess.run(
            [python, "-c", code, *NEEDED], env=clean_environment(), capture_output=True, text=True, timeout=60
        )
        missing, has = json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return f"does not run ({error})"
    if missing:
        return f"lacks {', '.join(missing)}"
    return f"has frontend {has}, this host pins {frontend}" if frontend and has != frontend else None


def clean_environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would leak its Python into the host's, never online."""
    mine = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    fixed = {"HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", "NO_PROXY": "127.0.0.1"}
    return {**mine, **fixed, **(extra or {})}
