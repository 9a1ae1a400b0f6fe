"""The JSON files beside this one: words, templates, questions. Light: no torch."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def read_json(name: str) -> dict[str, Any]:
    """A file of this folder, read once and shared: not to be changed."""
    read: dict[str, Any] = json.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))
    return read
