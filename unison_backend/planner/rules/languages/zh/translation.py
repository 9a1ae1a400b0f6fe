"""Chinese phrases as English words, for a detector that reads English: what everyday words mean and where they go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ...language import load, nouns, simplified

# Kinds of Chinese words that a word like "behind" can follow.
_NAMES = ("people", "animals", "things", "unknown")


@dataclass(frozen=True)
class _Dictionary:
    """Chinese words by what they do in a phrase, and their English."""

    kinds: dict[str, str]
    english: dict[str, str]
    after: dict[str, str]
    longest: int


@lru_cache(maxsize=1)
def _dictionary() -> _Dictionary:
    data = nouns()
    kinds: dict[str, str] = {}
    english: dict[str, str] = {}
    for kind in ("places", "adjectives", "with", "things", "animals", "people"):
        for word, meaning in data[kind].items():
            kinds[word], english[word] = kind, meaning
    longest = max(map(len, [*kinds, *data["after"]]))
    return _Dictionary(kinds, english, data["after"], longest)


@dataclass
class _Phrase:
    """An English phrase under construction: words up to the head, what stands behind it, a verb that waits for "de".

    A word comes with whether it owns what follows, as people and animals do.
    """

    words: list[tuple[str, bool]]
    behind: list[str]
    verb: str = ""

    def said(self) -> str:
        """The words so far, with 's behind people and animals."""
        following = [*(word for word, _ in self.words[1:]), "and"]
        owned = (f"{word}'s" if owns and then != "and" else word
                 for (word, owns), then in zip(self.words, following, strict=False))  # fmt: skip
        return " ".join(owned)

    def close(self, preposition: str = "") -> None:
        """Turn the words so far into something that stands behind the head."""
        article = "the " if preposition and self.words else ""
        if preposition:
            self.verb = self.verb.removesuffix(" on")
        parts = (self.verb, preposition, article + self.said())
        self.behind.append(" ".join(part for part in parts if part))
        self.words, self.verb = [], ""

    def whole(self) -> str:
        if self.verb:
            self.close()
        return " ".join([part for part in (self.said(), *reversed(self.behind)) if part])


def translated(run: str) -> str:
    """Chinese characters as English words as far as the dictionary has them; the rest stays as it is."""
    language = load("zh")
    simple = run.translate(simplified())
    said = str.maketrans({s: w for w, s in zip(run, simple, strict=True) if w != s})
    simple = language.sub("targets.quantifier", "", simple)
    phrase = _Phrase([], [])
    words = list(tokens(simple))
    for number, (token, kind) in enumerate(words):
        _take(phrase, token, kind, [k for _, k in words[number + 1 :]])
    return phrase.whole().translate(said)


def _take(phrase: _Phrase, token: str, kind: str, later: list[str]) -> None:
    """Put one word of a Chinese phrase in its English place."""
    english = _dictionary().english.get(token, token)
    if kind == "mark" or (kind == "of" and not phrase.verb):
        return
    if kind == "of":
        phrase.close()
    elif kind == "after":
        phrase.close(_dictionary().after[token])
    elif kind == "places":
        phrase.behind.append(english)
    elif kind == "with" and "of" in later:
        # "The mask that the dancer wears" is the dancer's.
        phrase.verb = "" if later[0] == "of" else english
    elif kind == "and":
        phrase.words.append(("and", False))
    else:
        phrase.words.append((english, kind in ("people", "animals")))


def tokens(run: str) -> Iterator[tuple[str, str]]:
    """Words of a Chinese phrase and what each does; what the dictionary lacks comes as one word, kind "unknown"."""
    known: list[tuple[str, str]] = []
    position = 0
    while position < len(run):
        word, kind = _word_at(run, position, bool(known) and known[-1][1] in _NAMES)
        if known and "unknown" in (kind, known[-1][1]) and _sticks(known[-1], (word, kind)):
            known[-1] = known[-1][0] + word, "unknown"
        else:
            known.append((word, kind))
        position += len(word)
    yield from known


def _sticks(left: tuple[str, str], right: tuple[str, str]) -> bool:
    """A single character beside an unknown one is a part of an unknown word, not a word of its own."""
    return all(len(word) == 1 or kind == "unknown" for word, kind in (left, right)) and not (
        {left[1], right[1]} & {"of", "and", "after", "mark"}
    )


def _word_at(run: str, position: int, behind_noun: bool) -> tuple[str, str]:
    """The longest word at `position`, and what it does there."""
    dictionary = _dictionary()
    for length in range(min(dictionary.longest, len(run) - position), 0, -1):
        word = run[position : position + length]
        if behind_noun and word in dictionary.after:
            return word, "after"
        if word in dictionary.kinds:
            return word, dictionary.kinds[word]
    word = run[position]
    return word, {"\u7684": "of", "\u4eec": "mark"}.get(word, "and" if _is_and(word) else "unknown")


def _is_and(word: str) -> bool:
    return load("zh").whole("targets.coordination", word)
