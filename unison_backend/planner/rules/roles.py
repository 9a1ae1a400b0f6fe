"""Which medium is what: mask, source, frame, control, reference, read from the words around its place.

A role word belongs to the medium it labels: behind a medium with a linking word ("<pad> is the mask", "<pad> as the
first frame"), otherwise before it ("the mask <pad>", "first frame: <pad>").
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .language import Language
from .text import PAD, Text, index_of

_BOUNDARY = re.compile(r"[.!?;\u3002\n](?=\s|$|[^\d\s.])")
# Characters before a role word in which "not as" denies it.
_DENIAL = 16
# A lone medium is labelled from the sentence before it when that stands this near.
_NEXT_SENTENCE = 30


def linked(key: str, text: Text, language: Language) -> list[tuple[int, re.Match[str]]]:
    """(medium index, match) for every word of role `key` that labels a medium, in order of the words."""
    found = []
    for match in language.find(key, text.value):
        denied = language.search("not", text.value[max(0, match.start() - _DENIAL) : match.start()])
        if not denied and (medium := labelled(match, text, language)) is not None:
            found.append((medium, match))
    return sorted(found, key=lambda pair: pair[1].start())


def labelled(match: re.Match[str], text: Text, language: Language) -> int | None:
    """The medium that the role word at `match` labels, None when no medium stands in reach."""
    if inside := PAD.search(match.group()):
        return index_of(inside.group())
    if (ordinal := _ordinal(match, text, language)) is not None:
        return ordinal
    left = next(((p, i) for p, i in reversed(text.pads) if p < match.start()), None)
    right = next(((p, i) for p, i in text.pads if p >= match.end()), None)
    before = text.value[left[0] + 1 : match.start()] if left else ""
    after = text.value[match.end() : right[0]] if right else ""
    behind_left = bool(left and language.match("post", before))
    if behind_left and left and not before.lstrip().startswith((",", ".", ";", "\u3001", "\u3002")):
        return left[1]
    if right and language.match("tight", after):
        return right[1]
    if behind_left and left:
        return left[1]
    if right and not _BOUNDARY.search(after) and not language.search("breaks", after):
        return right[1]
    if left and (not _BOUNDARY.search(before) or (not _BOUNDARY.search(before.strip()[:-1]) and len(before) < 80)):
        return left[1]
    if right and language.match("colon", after):
        return right[1]
    if len(text.pads) == 1:
        return left[1] if left else right[1] if right and len(after) < _NEXT_SENTENCE else None
    return None


def _ordinal(match: re.Match[str], text: Text, language: Language) -> int | None:
    """ "the second one is the mask", "the former the source": media counted in words."""
    before = text.value[max(0, match.start() - 60) : match.start()]
    for found in language.find("ordinal", before):
        index = language.ordinals.get(found.group("n"))
        # Counting words need media to count; with a medium in between they count something else.
        if index is not None and len(text.pads) > 1 and not PAD.search(found.group()):
            return index if index >= 0 else len(text.pads) + index
    return None


def around(text: Text, position: int) -> tuple[str, str]:
    """The words before and behind the medium at `position`, up to the next medium or the end of the sentence."""
    start = 0
    for stop in [*_BOUNDARY.finditer(text.value, 0, position), *PAD.finditer(text.value, 0, position)]:
        start = max(start, stop.end())
    behind = re.split(PAD, text.value[position + 1 :], maxsplit=1)[0]
    end = _BOUNDARY.search(behind)
    return text.value[start:position], behind[: end.start()] if end else behind


def media_of(kind: str, text: Text, taken: set[int]) -> Iterator[int]:
    """Indices of the media of `kind` that have no role yet."""
    return (i for i, k in enumerate(text.kinds) if k == kind and i not in taken)
