"""How messages call a medium: by the file, option or socket that the person knows, never by its index.

The one place for it: whoever builds a sentence about a medium asks here, and errors that only know an index are told
with the name by `naming`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .plan import PlanError
from .tasks import MediaKind

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


@contextmanager
def naming(labels: Sequence[str]) -> Iterator[None]:
    """Inside, a PlanError about a medium is told with that medium's label in place of its index."""
    try:
        yield
    except PlanError as error:
        if error.medium is None or not (error.medium < len(labels) and labels[error.medium]):
            raise
        raise error.told_of(labels[error.medium]) from error
