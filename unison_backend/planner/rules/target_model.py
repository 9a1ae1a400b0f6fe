"""Which words of an order name the thing that is edited: a linear model that marks them word by word.

Every word is scored as the beginning of the phrase, as one inside it and as what comes behind it; the phrase is the one
with the best sum. It was trained as it chooses (`training/phrase.py`): by the chances of whole phrases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

from .fired import judge
from .linear import LinearModel, softmax

WEIGHTS = Path(__file__).with_name("targets.weights")
BEGIN, INSIDE, BEHIND = CLASSES = ("begin", "inside", "behind")
MOST_TOKENS = 120  # that are read
LONGEST_WORD = 40  # characters; what is longer names nothing
LONGEST = 8  # words of a phrase
LONGEST_UNSPACED = 10  # characters of one, where characters are words
AROUND = 3  # words on each side that are looked at
NONE = -1.0  # the score of no phrase at all: trained as 0, and taken where none comes near it

_TOKEN = re.compile("[\ue000-\ue7ff]|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\\W_]+(?:['-][^\\W_]+)*|[^\\w\\s]")
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_EDGE = "|"


@dataclass(frozen=True)
class Token:
    """A word, or a character where these are words, with its place in the text."""

    text: str
    start: int
    end: int

    @property
    def is_unspaced(self) -> bool:
        return _UNSPACED.match(self.text) is not None


def tokens(text: str, most: int = MOST_TOKENS) -> list[Token]:
    """The words of a text as `language.read` makes it; media are the same word whichever they are."""
    found = (Token(m.group(), m.start(), m.end()) for m in _TOKEN.finditer(text))
    plain = (Token("\ue000" if "\ue000" <= t.text <= "\ue7ff" else t.text, t.start, t.end) for t in found)
    return [token for token, _ in zip(plain, range(most), strict=False)]


def features(words: list[Token], place: int) -> Iterator[str]:
    """What the model looks at for one word: itself, its ends, the words around it, and whether it is said again."""

    def at(offset: int) -> str:
        where = place + offset
        return words[where].text if 0 <= where < len(words) else _EDGE

    word = words[place].text
    yield f"w{word}"
    yield f"s{word[-3:]}" if len(word) > 3 else f"s{word}"
    yield "p" + ("" if word[0].isalnum() else word)
    for offset in range(1, AROUND + 1):
        yield f"-{offset}{at(-offset)}"
        yield f"+{offset}{at(offset)}"
    for first in range(-2, 2):
        yield f"b{first}{at(first)} {at(first + 1)}"
    for first in range(-3, 2):
        yield f"t{first}{at(first)} {at(first + 1)} {at(first + 2)}"
    if words[place].is_unspaced:
        for first in (-2, -1, 0):
            yield "c" + "".join(at(first + step) for step in range(3))
    else:  # what is spoken of twice is what it is about ("there is a bin by the door, move the bin")
        yield f"r{_stands(word, words[:place])}{_stands(word, words[place + 1 :])}"
    yield f"n{min(place, 6)}"
    yield f"o{min(sum(1 for w in words[:place] if w.text[0].isalnum()), 3)}"


def _stands(word: str, words: list[Token]) -> int:
    return int(any(other.text == word for other in words))


@dataclass(frozen=True)
class Span:
    """Some words of a text, from `start` on."""

    text: str
    start: int


def span(text: str) -> Span | None:
    """The words that most likely name what is edited; None where none likely do."""
    words = tokens(text)
    scores = [target_model().scores(features(words, place)) for place in range(len(words))]
    scores.append(target_model().scores(()))  # behind the last word
    inside = list(accumulate((score[INSIDE] for score in scores), initial=0.0))
    sums: dict[tuple[int, int] | None, float] = {None: NONE}
    for first, behind in phrases(words):
        sums[first, behind] = scores[first][BEGIN] + inside[behind] - inside[first + 1] + scores[behind][BEHIND]
    found = max(sums, key=sums.__getitem__)
    chance = softmax(sums)[found]
    if found is None:
        judge("what is edited", "nothing that it knows", chance)
        return None
    start, end = words[found[0]].start, words[found[1] - 1].end
    judge("what is edited", text[start:end], chance)
    return Span(text[start:end], start)


def phrases(words: list[Token]) -> Iterator[tuple[int, int]]:
    """All phrases that the words could hold: the first word, and the one behind the last."""
    for start in range(len(words)):
        for end in _ends(words, start):
            yield start, end


def _ends(words: list[Token], start: int) -> Iterator[int]:
    """Where a phrase from `start` on may end: behind any of the next words, up to a mark or a medium."""
    longest = LONGEST_UNSPACED if words[start].is_unspaced else LONGEST
    for end in range(start + 1, min(len(words), start + longest) + 1):
        if not words[end - 1].text[0].isalnum() or len(words[end - 1].text) > LONGEST_WORD:
            return
        yield end


@lru_cache(maxsize=1)
def target_model() -> LinearModel:
    """The pack's own model, read once a process."""
    return LinearModel(WEIGHTS)
