"""The folders that a models folder stands for: its own, and those that ComfyUI's `extra_model_paths.yaml` adds."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError

MODELS_VARIABLE = "UNISON_MODELS"
EXTRA_PATHS = "extra_model_paths.yaml"
# What ComfyUI calls the same thing by two names (folder_paths.py, map_legacy).
_LEGACY = {"unet": "diffusion_models", "clip": "text_encoders"}


def user_folder() -> Path:
    """Where `unison download` puts models that are for no host, and where `unison run` looks last.

    Without a home folder it is a relative path, which nothing lies in.
    """
    try:
        home = Path.home()
    except RuntimeError:
        home = Path("~")
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "unison" / "models"
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "unison" / "models"
    return Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "unison" / "models"


def named_folder() -> Path | None:
    """The folder that UNISON_MODELS names, else the person's own one where something was downloaded into it."""
    if named := os.environ.get(MODELS_VARIABLE):
        return Path(named)
    own = user_folder()
    return own if own.is_dir() else None


def is_own(folder: Path) -> bool:
    """Whether `named_folder` gave the person's own folder, which no one named."""
    return not os.environ.get(MODELS_VARIABLE) and folder == user_folder()


def roots(models: Path, names: Sequence[str]) -> Iterator[Path]:
    """The folders for `names` (as "diffusion_models") below a models folder, each once, and behind each its extra ones.

    Extra ones come from the file beside a ComfyUI's `models`. They need not exist. Raises InputError for a file that
    is no such list.
    """
    extra = extra_paths(models.parent / EXTRA_PATHS) if models.name == "models" else {}
    seen = set()
    for name in names:
        default, others = extra.get(name, ([], []))
        for root in (*default, models / name, *others):
            if (real := os.path.realpath(root)) not in seen:
                seen.add(real)
                yield root


def extra_paths(file: Path) -> dict[str, tuple[list[Path], list[Path]]]:
    """By folder name: the paths that go before ComfyUI's own (`is_default`) and those behind; empty without the file.

    A name and its older one ("clip" is "text_encoders") share their paths. Relative paths start at `base_path`, and
    that at the file. Raises InputError when the file cannot be read or is no list of paths.
    """
    if not file.is_file():
        return {}
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        sections = [part for part in (content or {}).values() if part]
        found: dict[str, tuple[list[Path], list[Path]]] = {}
        for section in sections:
            first = not section.get("is_default", False)
            for name, path in _paths(section, file.parent):
                found.setdefault(name, ([], []))[first].append(path)
    except (OSError, ValueError, AttributeError, TypeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{file} cannot be read as a list of model folders ({reason}); mend or move it") from error
    for old, new in _LEGACY.items():
        if old in found or new in found:
            both = [found.get(name, ([], [])) for name in (new, old)]
            found[old] = found[new] = ([*both[0][0], *both[1][0]], [*both[0][1], *both[1][1]])
    return found


def _paths(section: Any, beside: Path) -> Iterator[tuple[str, Path]]:
    """(folder name, path) of one section, several lines of a text being several paths."""
    base = section.get("base_path")
    start = beside / Path(os.path.expandvars(str(base))).expanduser() if base else beside
    for name, lines in section.items():
        if name in ("base_path", "is_default"):
            continue
        for line in str(lines).splitlines():
            if line.strip():
                yield str(name), start / Path(os.path.expandvars(line.strip())).expanduser()
