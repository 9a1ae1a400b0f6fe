"""The errors a person can cause or has to read. Each message says what is wrong, with which input, and what to do."""

from __future__ import annotations


class UnisonError(Exception):
    """Base of every error this package raises on purpose; its text is fit to be shown as it is."""


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


class Cancelled(UnisonError):
    """The person stopped the run."""

    def __init__(self, stage: str = "") -> None:
        super().__init__(f"cancelled during {stage}" if stage else "cancelled")
