"""Which medium is what: mask, source, frame, control, reference, read from the words around its place.

A role word belongs to the medium it labels: behind a medium with a linking word ("<pad> is the mask", "<pad> as the
first frame"), otherwise before it ("the mask <pad>", "first frame: <pad>").
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass

from .language import Language
from .measures import parse_number
from .text import PAD, Text, index_of

_BOUNDARY = re.compile(r"[.!?;\u3002\n](?=\s|$|[^\d\s.])")
# Characters before a role word in which "not as" denies it.
_DENIAL = 16
# A lone medium is labelled from the sentence before it when that stands this near.
_NEXT_SENTENCE = 30
# Characters of a sentence so short that the next one still speaks of its medium.
_SHORT = 80


def linked(key: str, text: Text, language: Language) -> list[tuple[int, re.Match[str]]]:
    """(medium index, match) for every word of role `key` that labels a medium, in order of the words."""
    found = []
    for match in language.find(key, text.value):
        denied = language.search("words.denied", text.value[max(0, match.start() - _DENIAL) : match.start()])
        if not denied and (medium := labelled(match, text, language)) is not None:
            found.append((medium, match))
    return sorted(found, key=lambda pair: pair[1].start())


def labelled(match: re.Match[str], text: Text, language: Language) -> int | None:
    """The medium that the role word at `match` labels, None when no medium stands in reach."""
    if inside := PAD.search(match.group()):
        return index_of(inside.group())
    if (ordinal := _ordinal(match, text, language)) is not None:
        return ordinal
    ahead, behind = (bisect_left(text.pads, (place, -1)) for place in match.span())
    left = text.pads[ahead - 1] if ahead else None
    right = text.pads[behind] if behind < len(text.pads) else None
    before = text.value[left[0] + 1 : match.start()] if left else ""
    after = text.value[match.end() : right[0]] if right else ""
    near = _Near(
        left=left[1] if left else None, right=right[1] if right else None, before=before, after=after,
        only=len(text.pads) == 1,
    )  # fmt: skip
    for rule in (_linked, _tight, _ahead, _behind, _lone):
        if (index := rule(near, language)) is not None:
            return index
    return None


@dataclass(frozen=True)
class _Near:
    """The media on both sides of a role word, and the words in between. only: there is no other medium."""

    left: int | None
    right: int | None
    before: str
    after: str
    only: bool


def _linked(near: _Near, language: Language) -> int | None:
    """ "<pad> is the mask", in one clause."""
    continues = not near.before.lstrip().startswith((",", ".", ";", "\u3001", "\u3002"))
    return near.left if continues and language.match("roles.linked", near.before) else None


def _tight(near: _Near, language: Language) -> int | None:
    """ "the mask <pad>", and else "<pad>, which is the mask"."""
    if near.right is not None and language.match("roles.tight", near.after):
        return near.right
    return near.left if language.match("roles.linked", near.before) else None


def _ahead(near: _Near, language: Language) -> int | None:
    """The next medium of the sentence."""
    open_ = not _BOUNDARY.search(near.after) and not language.search("roles.breaks", near.after)
    return near.right if open_ else None


def _behind(near: _Near, language: Language) -> int | None:
    """The last medium of the sentence, or of the one before where that is short."""
    ends = _BOUNDARY.search(near.before)
    ended = _BOUNDARY.search(near.before.strip()[:-1])
    return near.left if not ends or (not ended and len(near.before) < _SHORT) else None


def _lone(near: _Near, language: Language) -> int | None:
    """A medium behind a colon, or the only one there is."""
    if near.right is not None and language.match("roles.colon", near.after):
        return near.right
    if not near.only:
        return None
    return near.left if near.left is not None else near.right if len(near.after) < _NEXT_SENTENCE else None


def _ordinal(match: re.Match[str], text: Text, language: Language) -> int | None:
    """ "the second one is the mask", "the former the source": media counted in words."""
    before = text.value[max(0, match.start() - 60) : match.start()]
    for found in language.find("roles.ordinal", before):
        index = language.ordinals.get(found.group("n"))
        # Counting words need media to count; with a medium in between they count something else.
        if index is not None and len(text.pads) > 1 and not PAD.search(found.group()):
            return index if index >= 0 else len(text.pads) + index
    return None


def counted(words: str, language: Language) -> list[tuple[int, int, int]]:
    """Places of words that count media ("the former", "image 2"), with the index of the medium, in order.

    A medium that there is not is counted too: something else is meant then, and no candidate has its index.
    """
    media = len(PAD.findall(words))
    found = []
    for match in language.find("roles.counted", words):
        said = match["n"]
        number = parse_number(said, language) if said not in language.ordinals else language.ordinals[said] + 1
        if number is not None:
            found.append((*match.span(), media - 1 if number == 0 else int(number) - 1))
    return sorted(found)


def around(text: Text, position: int) -> tuple[str, str]:
    """The words before and behind the medium at `position`, up to the next medium or the end of the sentence."""
    start = 0
    for stop in [*_BOUNDARY.finditer(text.value, 0, position), *PAD.finditer(text.value, 0, position)]:
        start = max(start, stop.end())
    behind = re.split(PAD, text.value[position + 1 :], maxsplit=1)[0]
    end = _BOUNDARY.search(behind)
    return text.value[start:position], behind[: end.start()] if end else behind


def media_of(kind: str, text: Text, taken: set[int]) -> list[int]:
    """Indices of the media of `kind` that have no role yet."""
    return [i for i, k in enumerate(text.kinds) if k == kind and i not in taken]


def said_mask(text: Text, language: Language) -> int | None:
    """The first medium that words call the mask."""
    return next((index for index, _ in linked("roles.mask", text, language)), None)


def is_called(role: str, position: int, text: Text, language: Language) -> bool:
    """Whether the words before or behind the medium at `position` make it the `role`."""
    before, behind = around(text, position)
    return bool(language.search(f"roles.{role}_before", before) or language.match(f"roles.{role}_behind", behind))
