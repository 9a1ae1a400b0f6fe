"""Which media may be an edit's mask for all that the words, and the names of the files, say: their pixels tell then."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from ...plan.mask_rule import mask_edits
from ...plan.prompt import Prompt
from . import roles
from .language import ANY, Language, load
from .mask_model import chances
from .reading import read
from .text import Text, index_of

FIRM = 0.9
"""So sure is a reading of words that say which medium is the mask."""
_CALLED = 0.5  # so sure is one of words that call some medium the mask
MOST = 6
"""Of more media the pixels are not looked at."""


@dataclass(frozen=True)
class OpenMasks:
    """Media that may be the mask, by index.

    open: for all that the words say; where these call none a mask, what lends its look ("the logo of <pad>") is none.
    named: what a file's name calls a mask. is_called: the words call some medium a mask. firm: the one that they firmly
    call so, rule and model alike.
    """

    open: frozenset[int] = frozenset()
    named: frozenset[int] = frozenset()
    is_called: bool = False
    firm: int | None = None


def told_mask(text: Text, language: Language, said: int | None) -> tuple[int | None, float]:
    """The mask that all words together tell, and how sure that is. said: the one that a rule reads."""
    _, found = _read(text, language, said)
    best = max(found, key=lambda medium: found[medium])
    return best, found[best]


def _read(text: Text, language: Language, said: int | None) -> tuple[int | None, dict[int | None, float]]:
    """The mask that a rule reads, and how likely each medium is it, or none (None); certain where it is stated."""
    if (stated := stated_mask(text, language)) is not None:
        return stated, {stated: 1.0, None: 0.0}
    return said, chances(text.words, text.kinds, said, roles.counted(text.words, language))


def stated_mask(text: Text, language: Language) -> int | None:
    """The medium that words plainly call the mask of another ("the mask of <pad> is <pad>"); None of others."""
    found = language.search("orders.mask_of", text.value)
    return None if found is None else index_of(found.group("mask"))


def open_masks(prompt: Prompt) -> OpenMasks:
    """What words and names leave open; nothing where masks are given as such."""
    if not 2 <= len(prompt.media) <= MOST or prompt.masks:
        return OpenMasks()
    text, language = read(prompt)
    said, found = _read(text, language, roles.said_mask(text, language))
    best = max(found, key=lambda medium: found[medium])
    places = {i: p for p, i in text.pads}
    fitting = {m for i in places for m, _ in mask_edits(text.kinds, (i,))}
    if best is not None and best == said and found[best] >= FIRM:
        return OpenMasks(frozenset(fitting), is_called=True, firm=best)
    named = frozenset(i for i in fitting if (path := prompt.media[i].path) is not None and names_mask(path))
    is_called = found[None] < _CALLED
    lent = {i for i in fitting if not is_called and roles.is_called("origin", places[i], text, language)}
    return OpenMasks(frozenset(fitting - lent), named, is_called)


def names_mask(path: str) -> bool:
    """Whether a file's name, or its folder's, calls it a mask."""
    file = PurePath(path.replace("\\", "/"))
    return any(load(ANY).search("files.mask", part) for part in (file.stem, file.parent.name))
