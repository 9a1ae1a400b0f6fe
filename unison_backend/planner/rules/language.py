"""What the rules planner knows of a language: rules by key, numbers and units (`rule_files`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from .fired import blanked, note
from .rule_files import LANGUAGES, SHARED, Parts, Rule, read_toml, rules_of

ANY = "any"
"""Rules for what is written the same in every language."""
Compiled = tuple[Rule, re.Pattern[str]]


class Language:
    """Rules by key ("sizes.square"): a subject's file is read, and a pattern compiled, when it is first asked for."""

    def __init__(self, name: str) -> None:
        self.name = name
        shared = read_toml(LANGUAGES / name / f"{SHARED}.toml")
        self.numbers: dict[str, float] = shared.get("numbers", {})
        self.units: dict[str, float] = shared.get("units", {})
        self.ordinals: dict[str, int] = shared.get("ordinals", {})
        self.signs: dict[str, str] = shared.get("signs", {})
        self.spelled = frozenset(shared.get("spelled", ()))  # words to look for behind misspelt ones
        self.parts = Parts(shared)
        self._rules = rules_of(name, SHARED, shared, self.parts)
        self._subjects = {SHARED}
        self._compiled: dict[str, list[Compiled]] = {}

    def rules(self, key: str) -> tuple[Rule, ...]:
        """The rules under `key`, none where the language has none."""
        subject = key.partition(".")[0]
        if subject not in self._subjects:
            self._subjects.add(subject)
            tables = read_toml(LANGUAGES / self.name / f"{subject}.toml")
            self._rules |= rules_of(self.name, subject, tables, self.parts)
        return self._rules.get(key, ())

    def compiled(self, key: str) -> list[Compiled]:
        """The rules under `key` with their patterns."""
        if key not in self._compiled:
            self._compiled[key] = [(rule, re.compile(rule.pattern)) for rule in self.rules(key)]
        return self._compiled[key]

    def find(self, key: str, text: str) -> Iterator[re.Match[str]]:
        """Every match of every rule under `key`, rule by rule."""
        return (match for rule, pattern in self.compiled(key) for match in pattern.finditer(text) if note(rule, match))

    def search(self, key: str, text: str) -> re.Match[str] | None:
        """The earliest match of any rule under `key`."""
        found = [(match, rule) for rule, pattern in self.compiled(key) if (match := pattern.search(text))]
        return _noted(min(found, key=lambda pair: pair[0].start(), default=None))

    def match(self, key: str, text: str) -> re.Match[str] | None:
        """The longest match of any rule under `key` at the start of `text`."""
        found = [(match, rule) for rule, pattern in self.compiled(key) if (match := pattern.match(text))]
        return _noted(max(found, key=lambda pair: pair[0].end(), default=None))

    def whole(self, key: str, text: str) -> bool:
        """Whether a rule under `key` matches the whole of `text`."""
        return any((match := pattern.fullmatch(text)) and note(rule, match) for rule, pattern in self.compiled(key))

    def sub(self, key: str, by: str, text: str) -> str:
        """`text` with what the rules under `key` match replaced, one rule after the other."""
        for rule, pattern in self.compiled(key):
            for match in pattern.finditer(text):
                note(rule, match)
            text = pattern.sub(by, text)
        return text

    def quiet(self, text: str) -> str:
        """`text` with words that only look like orders ("video game", "depth of field") made harmless."""
        for rule, pattern in self.compiled("noise.lookalike"):
            for match in list(pattern.finditer(text)):
                note(rule, match)
                text = blanked(text, match, "x")
        return text


def _noted(found: tuple[re.Match[str], Rule] | None) -> re.Match[str] | None:
    if found is not None:
        note(found[1], found[0])
    return found[0] if found is not None else None


@lru_cache(maxsize=1)
def nouns() -> dict[str, dict[str, str]]:
    """Everyday Chinese words in English by what they do in a phrase, and traditional characters as simplified ones."""
    data = json.loads((LANGUAGES / "zh" / "dictionary.json").read_text(encoding="utf-8"))
    return {kind: dict(words) for kind, words in data.items()}


@lru_cache(maxsize=1)
def simplified() -> dict[int, str]:
    """A table for `str.translate`: one character for one, so that positions stay."""
    return str.maketrans(nouns()["simplified"])


@lru_cache(maxsize=1)
def small_words() -> Mapping[str, frozenset[str]]:
    """By language with Latin letters, the small words that tell it from the others."""
    return {name: frozenset(words) for name, words in read_toml(LANGUAGES / "small.toml").items()}


@lru_cache(maxsize=16)
def load(name: str) -> Language:
    """The language `name`; a file is read and its patterns compiled once a process."""
    return Language(name)
