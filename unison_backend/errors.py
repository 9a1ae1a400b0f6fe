"""The errors a person can cause or has to read. Each message says what is wrong, with which input, and what to do.

A library that does not load raises errors of its own; `broken_library` recognises them and tells them in one sentence.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import FrameType

_OWN = tuple(f"{__package__.rpartition('.')[0]}.{name}".lstrip(".") for name in ("unison_backend", "nodes"))
_LOADERS = ("importlib", "runpy", "ctypes")
"""Modules of the standard library that stand between an import and the library that it loads."""
_LONGEST = 300


class UnisonError(Exception):
    """Base of every error this package raises on purpose; its text is fit to be shown, and written, as it is."""

    def __str__(self) -> str:
        return super().__str__().encode("utf-8", "backslashreplace").decode()  # half characters of what a person typed


class InputError(UnisonError, ValueError):
    """The person's input cannot be used: a file, a mask, an option, an instruction."""


class PromptError(InputError):
    """The instruction itself cannot be read (empty, a medium of an unknown kind, a name without a medium)."""


class MediaError(InputError):
    """A picture, video or mask cannot be read or written."""


class WeightsError(InputError):
    """A weights file is missing, damaged, unsafe or does not fit the model it was given for."""


class UnsupportedError(UnisonError):
    """The request is understood, but this installation lacks what it takes; the message says what is missing."""


class LibraryError(UnsupportedError):
    """A library is missing, damaged or does not fit another one; the message says which, where and how to mend it."""


class ResourceError(UnisonError):
    """The machine ran out of something (memory, disk); the message says what to lower."""


class DownloadError(UnisonError):
    """A file cannot be fetched; the message says which, why and what to do."""


class ServerError(UnisonError):
    """A server does not answer, or refuses; the message says which, why and what to do.

    lost: there was no answer at all, so that asking again may help.
    """

    def __init__(self, message: str, *, lost: bool = False) -> None:
        super().__init__(message)
        self.lost = lost


class Cancelled(UnisonError):
    """The person stopped the run."""

    def __init__(self, stage: str = "") -> None:
        super().__init__(f"cancelled during {stage}" if stage else "cancelled")


def broken_library(error: BaseException) -> LibraryError | None:
    """What to tell of an error that a library's loading raised; None when it came from anything else.

    Heavy libraries are imported where they are first used, so such an error can come out of any step. Catching it at
    each import would be a guess about which ones break; the error itself says it: it is an ImportError, or it was
    raised while some library's module body was running. An error that was raised `from` such a one counts as well:
    libraries (and we) say what they were doing.
    """
    link: BaseException | None = error
    found = None
    while link is not None:
        found = _told(link) or found  # the innermost says what is really wrong
        link = link.__cause__
    return found


def _told(error: BaseException) -> LibraryError | None:
    import traceback

    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    loading = _loading(frames, error)
    named = getattr(error, "name", None) if isinstance(error, ImportError) else None
    if not loading and (not isinstance(error, ImportError) or _is_own(named or "")):
        return None
    if isinstance(error, ModuleNotFoundError) and named:
        return _missing(named.partition(".")[0], loading[-1] if loading else None)
    library = loading[-1] if loading else (named or "").partition(".")[0]
    if not library:  # raised by a library's own check, which names what it lacks
        return LibraryError(f"a library is missing: {_first_words(error)}")
    return _unloadable(library, loading, frames, error)


def _unloadable(library: str, loading: list[str], frames: list[FrameType], error: BaseException) -> LibraryError:
    via = next((name for name in loading if name != library), None)
    asked, name = f" ({via} loads it)" if via else "", _distribution(library)
    return LibraryError(
        f"the library {library}{_version(name)} cannot be loaded{asked}: {type(error).__name__}: "
        f"{_first_words(error)}, in {_where(frames)}; {_cure(name)}"
    )


def _loading(frames: list[FrameType], error: BaseException) -> list[str]:
    """The libraries whose module bodies were running, the outermost first."""
    running = [_module(frame) for frame in frames if frame.f_code.co_name == "<module>"]
    damaged = [_owner(error.filename)] if isinstance(error, SyntaxError) else []
    return [name for name in (*running, *damaged) if name and not _is_own(name)]


def _missing(library: str, importer: str | None) -> LibraryError:
    asked = f" ({importer} needs it)" if importer and importer != library else ""
    return LibraryError(f"the library {library} is not installed{asked}; {_cure(_distribution(library))}")


def _module(frame: FrameType) -> str:
    """The top-level name of the module that a frame runs, "" for the standard library's own machinery."""
    name = str(frame.f_globals.get("__name__") or "")
    top = name if name.startswith(_OWN) else name.partition(".")[0]
    return "" if top in _LOADERS or top == "__main__" else top


def _owner(file: str | None) -> str:
    """The top-level name of the library that a damaged source file belongs to; "" when it is no library's."""
    above = [Path(entry) for entry in sys.path if file and entry and Path(entry) in Path(file).parents]
    return Path(file or "").relative_to(above[0]).parts[0].removesuffix(".py") if above else ""


def _is_own(name: str) -> bool:
    return any(name == own or name.startswith(f"{own}.") for own in _OWN)


def one_line(text: str) -> str:
    """A foreign text on one line, without what terminals take for orders."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text).split())


def shown(value: object) -> str:
    """A value that a person or a file gave, for a message: on one line, and of a long one the beginning."""
    text = one_line(repr(value))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def _first_words(error: BaseException) -> str:
    """An error's text on one line, not too long."""
    text = one_line(str(error)) or "no reason given"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def _where(frames: list[FrameType]) -> str:
    files = [frame.f_code.co_filename for frame in frames if not frame.f_code.co_filename.startswith("<")]
    return files[-1] if files else "an unknown file"


def _distribution(module: str) -> str:
    """The name under which a module is installed (PIL is pillow)."""
    import importlib.metadata

    try:
        return importlib.metadata.distribution(module).name
    except importlib.metadata.PackageNotFoundError:
        return next(iter(importlib.metadata.packages_distributions().get(module, ())), module)


def _version(name: str) -> str:
    import importlib.metadata

    try:
        return f" {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return ""


def _cure(name: str) -> str:
    """The command that installs a distribution anew in this environment."""
    import importlib.util

    if Path(sys.prefix) == Path(__file__).parents[1] / ".venv":  # a clone's own, which `uv run` made
        return f"mend it with: python3 -m uv sync --reinstall-package {name}"
    if importlib.util.find_spec("pip") is None:
        return f'mend it with: uv pip install --python "{sys.executable}" --reinstall {name}'
    return f'mend it with: "{sys.executable}" -m pip install --force-reinstall {name}'
