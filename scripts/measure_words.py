"""Which words of the rules' lists do something: each is left out in turn, and what is read then is compared.

A word is noticed when an example (`yes`, `no`) of a rule that has it comes out otherwise without it, or the plan or
the target of a sentence that the planner is trained on (`unison_backend/training/intent/sentences`). Sentences kept
apart for measuring take no part.

python scripts/measure_words.py [LANGUAGE ...] [--unnoticed]     the second: also the words, by rule
"""

from __future__ import annotations

import argparse
import copy
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.unit.planner.rules.rule_examples import NAMES, amiss  # noqa: E402
from tests.unit.planner.rules.sentences import Sentence, read, sentences  # noqa: E402
from unison_backend.errors import UnisonError  # noqa: E402
from unison_backend.plan.prompt import parse_pads  # noqa: E402
from unison_backend.planner.rules import language as languages  # noqa: E402
from unison_backend.planner.rules import reading  # noqa: E402
from unison_backend.planner.rules.language import Language, load  # noqa: E402
from unison_backend.planner.rules.rule_files import LANGUAGES, read_toml  # noqa: E402
from unison_backend.planner.rules.targets import parse_target  # noqa: E402

# Sentences that hold a word are tried until one of so many is read otherwise.
_TRIED = 60
Tables = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Word:
    """A word of a list: of `file`, `table` and `name`, such as roles, first, first_frame."""

    language: str
    file: str
    table: str
    name: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.language}/{self.file}.toml [{self.table}.{self.name}]"


def tables(language: str) -> Tables:
    """The files of a language."""
    return {file.stem: read_toml(file) for file in sorted((LANGUAGES / language).glob("*.toml"))}


def words(language: str) -> Iterator[Word]:
    """Every word of every list of a language."""
    for file, content in tables(language).items():
        for table, entries in content.items():
            for name, entry in entries.items() if isinstance(entries, Mapping) else ():
                if isinstance(entry, Mapping):
                    yield from (Word(language, file, table, name, text) for text in entry.get("words", ()))


class Changed(Language):
    """A language of other tables than its files have."""

    def __init__(self, name: str, content: Tables) -> None:
        real = languages.read_toml
        languages.read_toml = lambda path: content.get(path.stem, {})
        try:
            super().__init__(name)
            for subject in content:
                self.rules(f"{subject}.")
        finally:
            languages.read_toml = real

    def reuse(self, other: Language) -> list[str]:
        """Takes over the compiled patterns that are the same; the keys of the others."""
        changed = []
        for key, rules in self._rules.items():
            if [rule.pattern for rule in rules] == [rule.pattern for rule in other.rules(key)]:
                self._compiled[key] = other.compiled(key)
            else:
                changed.append(key)
        return changed


class Measured:
    """A language, the sentences in it, and what is read of them."""

    def __init__(self, name: str) -> None:
        self.name, self.language, self.tables = name, load(name), tables(name)
        self._whole = Changed(name, self.tables)
        self._sentences = [(one, text) for one, text in _texts() if text[0] == name]
        self._before: dict[str, Any] = {}

    def notices(self, word: Word) -> bool:
        """Whether anything is read otherwise without `word`."""
        content = copy.copy(self.tables)
        content[word.file] = copy.deepcopy(content[word.file])
        kept = content[word.file][word.table][word.name]["words"]
        kept.remove(word.text)
        changed = Changed(self.name, content)
        keys = changed.reuse(self._whole)
        return self._examples_notice(changed, keys) or self._sentences_notice(changed, word)

    def _examples_notice(self, changed: Changed, keys: list[str]) -> bool:
        pairs = ((rule, pattern) for key in keys for rule, pattern in changed.compiled(key))
        return any(amiss(rule, pattern, changed) for rule, pattern in pairs)

    def _sentences_notice(self, changed: Changed, word: Word) -> bool:
        holds = re.compile(changed.parts.expanded(word.text))
        found = [one for one, (_, value) in self._sentences if holds.search(value)][:_TRIED]
        for one in found:
            self._before.setdefault(one.place, _read(one))
        kept = dict(vars(self.language))
        vars(self.language).update(vars(changed))
        try:
            return any(_read(one) != self._before[one.place] for one in found)
        finally:
            vars(self.language).clear()
            vars(self.language).update(kept)


@lru_cache(maxsize=1)
def _texts() -> tuple[tuple[Sentence, tuple[str, str]], ...]:
    """Every sentence with its language and its text as rules read it."""
    found = []
    for one in sentences():
        text, language = reading.read(parse_pads(one.prompt))
        found.append((one, (language.name, f"{text.value}\n{text.words}\n{text.value.replace('x', ' ')}")))
    return tuple(found)


def _read(sentence: Sentence) -> Any:
    """What the rules make of a sentence: its plan, what a detector gets, and what is said about it."""
    try:
        made = read(sentence)
        target = None if made is None or made.plan.target is None else parse_target(made.plan.target)
        said = sentence.fields.get("target")
        return made, target, parse_target(said) if isinstance(said, str) else None
    except UnisonError as error:
        return str(error)


def main() -> None:
    """Prints how many words of each language's lists do something, and the bytes of its files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("languages", nargs="*", default=NAMES)
    parser.add_argument("--unnoticed", action="store_true", help="list the words that do nothing")
    options = parser.parse_args()
    for name in options.languages:
        every = list(words(name))
        measured = Measured(name)
        idle = [word for word in every if not measured.notices(word)]
        size = sum(file.stat().st_size for file in (LANGUAGES / name).glob("*.toml"))
        share = f", {len(idle) / len(every):.1%}" if every else ""
        sys.stdout.write(f"{name}: {len(every)} words in lists, {len(idle)} unnoticed{share}; {size} bytes\n")
        for word in idle if options.unnoticed else ():
            sys.stdout.write(f"  {word.place} {word.text!r}\n")


if __name__ == "__main__":
    main()
