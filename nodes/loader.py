"""What loaders of one model from the models folders share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from comfy_api.latest import io

from . import folders


class Loader(io.ComfyNode):
    """A combo of what is in the models folders, loaded by the backend; the subclasses say what.

    NAME: of the input, and of the model in `weights.needs`. LISTING: names to paths.
    NOTHING: shown where there is none.
    """

    NAME = ""
    LISTING: Callable[[], dict[str, Path]]
    NOTHING = "none found"

    @classmethod
    def combo(cls, tooltip: str) -> Any:
        """The input: every name, the first as default."""
        names = list(cls.LISTING()) or [cls.NOTHING]
        return io.Combo.Input(cls.NAME, options=names, default=names[0], tooltip=tooltip)

    @classmethod
    def check(cls, name: str | None) -> bool | str:
        """True for a listed name (None: it comes from a link), else what to put where."""
        if name is None or name in cls.LISTING():
            return True
        return folders.missing("" if name == cls.NOTHING else name, cls.NAME)

    @classmethod
    def path(cls, name: str) -> Path:
        """The path of a listed name; InputError for another."""
        return folders.choose(name, cls.LISTING, cls.NAME)

    @classmethod
    def stamp(cls, name: str) -> str:
        """What changes when the model's files do."""
        return folders.stamp(cls.LISTING().get(name))
