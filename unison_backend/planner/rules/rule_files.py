"""Named rules, as their files have them: `languages/<language>/<subject>.toml`.

A file's tables are `[group.name]` with `why` (what the rule is for), `pattern` (a regular expression), and `yes` and
`no` (texts that it has to match and must not match; a test runs each, and where a rule yields a value, `yes` says
which). `words` of a rule is a list of alternatives that its pattern names as `<<words>>`. `words.toml` has what the
other files share: `[parts.name]`, named `<<name>>` in patterns, and numbers and units.

Patterns live in data because third-party checks refuse source that is not cp1252, and because a language is data.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .text import MEDIA_MACROS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LANGUAGES = Path(__file__).parent / "languages"
SHARED = "words"
"""The subject that has what the others share."""
# Tables of `words.toml` that are no rules.
_TABLES = ("numbers", "units", "ordinals", "signs", "parts")
_PART = re.compile(r"<<(\w+)>>")


@dataclass(frozen=True, eq=False)
class Rule:
    """A rule of a language.

    key: where it is asked for, "subject.group". pattern: the regular expression, complete. written: as it stands in
    the file.
    """

    language: str
    key: str
    name: str
    pattern: str
    written: Mapping[str, Any]

    @property
    def label(self) -> str:
        """The rule's whole name, such as "lengths.rate.fps_first"."""
        return f"{self.key}.{self.name}"

    @property
    def file(self) -> str:
        """Where it stands, below `languages`."""
        return f"{self.language}/{self.key.partition('.')[0]}.toml"


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a file; none where there is no such file."""
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def alternatives(words: list[str]) -> str:
    """A pattern for any of `words`, each of which is a pattern."""
    return f"(?:{'|'.join(words)})"


class Parts:
    """What patterns of a language name as `<<name>>`."""

    def __init__(self, shared: Mapping[str, Any]) -> None:
        self._written: dict[str, str] = dict(MEDIA_MACROS)
        for table in ("numbers", "units"):
            self._written[table] = "|".join(map(re.escape, sorted(shared.get(table, ()), key=len, reverse=True)))
        for name, part in shared.get("parts", {}).items():
            self._written[name] = part["pattern"] if "pattern" in part else "|".join(part["words"])

    def expanded(self, pattern: str, words: list[str] | None = None) -> str:
        """`pattern` with every `<<name>>` in it replaced, `<<words>>` by any of `words`."""
        if words is not None:
            pattern = pattern.replace("<<words>>", alternatives(words))
        while _PART.search(pattern):
            pattern = _PART.sub(lambda match: self._written[match.group(1)], pattern)
        return pattern


def rules_of(language: str, subject: str, tables: Mapping[str, Any], parts: Parts) -> dict[str, tuple[Rule, ...]]:
    """By key, the rules of a file's tables in the order in which they stand there."""
    return {
        f"{subject}.{group}": tuple(_rules(language, f"{subject}.{group}", rules, parts))
        for group, rules in tables.items()
        if isinstance(rules, dict) and not (subject == SHARED and group in _TABLES)
    }


def _rules(language: str, key: str, rules: Mapping[str, Any], parts: Parts) -> Iterator[Rule]:
    for name, written in rules.items():
        pattern = parts.expanded(written["pattern"], written.get("words"))
        yield Rule(language=language, key=key, name=name, pattern=pattern, written=written)
