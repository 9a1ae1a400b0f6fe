"""How messages call a medium: by the file, option or socket that the person knows, never by its index.

The one place for it: whoever builds a sentence about a medium asks here, and errors that only know an index are told
with the name by `naming`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..errors import PromptError
from .plan import PlanError
from .tasks import MediaKind

_SOCKET = re.compile(r"<?(?P<name>\b(?:image|video|mask)[1-9][0-9]?)\b>?", re.IGNORECASE)
_WORDS: dict[MediaKind, str] = {"image": "picture", "video": "video"}


def name_of(index: int, media: Sequence[MediaKind], labels: Sequence[str] = ()) -> str:
    """The label of a medium; one that has none (a pad in a data file) is counted within its kind, as in "picture 2".

    labels: of each medium, "" or too few where there are none.
    """
    if index < len(labels) and labels[index]:
        return labels[index]
    kind = media[index]
    return f"{_WORDS[kind]} {list(media[: index + 1]).count(kind)}"


def names_of(indices: Sequence[int], media: Sequence[MediaKind], labels: Sequence[str] = ()) -> str:
    """Several, with commas."""
    return ", ".join(name_of(index, media, labels) for index in indices)


def by_name(value: str, labels: Sequence[str]) -> str:
    """A field's text with names of media ("video1", "<image1>") as their numbers: "image2:first" becomes "1:first".

    Raises PromptError for a name that none of the plan's media has.
    """

    def number(match: re.Match[str]) -> str:
        name = match.group("name").lower()
        if name not in labels:
            known = ", ".join(label for label in labels if label) or "none"
            raise PromptError(f"{match.group()} is none of this plan's media: {known}")
        return str(labels.index(name))

    return _SOCKET.sub(number, value)


@contextmanager
def naming(labels: Sequence[str]) -> Iterator[None]:
    """Inside, a PlanError about a medium is told with that medium's label in place of its index."""
    try:
        yield
    except PlanError as error:
        if error.medium is None or not (error.medium < len(labels) and labels[error.medium]):
            raise
        raise error.told_of(labels[error.medium]) from error
