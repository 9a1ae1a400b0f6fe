"""What the rules planner knows of a language, read from `languages/<name>/rules.json`, and the text it is asked about.

Patterns live in data because third-party checks refuse source that is not cp1252, and because a language is data.
`<<name>>` in a pattern is a macro; media stand in the text as one private-use character each, quotations as one.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...plan.prompt import Medium, Prompt
from .detect import detect
from .text import IMAGE_BASE, MEDIA_MACROS, PAD, QUOTE, VIDEO_BASE, Text
from .typos import corrected

LANGUAGES = Path(__file__).parent / "languages"
_MACRO = re.compile(r"<<(\w+)>>")
_UNIFIED = {0x2019: "'", 0xD7: "x"}
_SPELLED_HALF = re.compile("-and-a-half")
_TIMES = re.compile(r"(?<=\d) (?:by|times) (?=\d)")
_DASHES = re.compile(r"[\u2013\u2014\u2015]+")
_BLANKS = re.compile(r"[ \t]+")

# A quotation is mentioned, not meant: its words are no orders and its numbers no sizes.
_QUOTATIONS = re.compile(
    r'"[^"\n]{1,400}"|\u201c[^\u201d\n]{1,400}\u201d|\u300c[^\u300d\n]{1,400}\u300d|\u300e[^\u300f\n]{1,400}\u300f'
    r"|\u300a[^\u300b\n]{1,100}\u300b|\u2018[^\u2019\n]{1,200}\u2019(?!\w)|(?<![\w'])'[^'\n]{1,200}'(?![\w'])"
)
# The planner reads this much; orders stand near the ends of a text, and 100 kB of it must not take seconds.
_MAX_READ = 6000


def read(prompt: Prompt) -> tuple[Text, Language]:
    """The prompt's text for patterns, and the language it is mostly written in.

    Of a long text its two ends are read, where orders stand; its media keep their numbers.
    """
    parts, count = [], 0
    for segment in prompt.segments:
        if isinstance(segment, Medium):
            base = VIDEO_BASE if segment.kind == "video" else IMAGE_BASE
            parts.append(chr(base + min(count, 0x3FF)))
            count += 1
        else:
            parts.append(PAD.sub(" ", _ends(segment)))
    raw = _QUOTATIONS.sub(QUOTE, _ends("".join(parts)))
    language = load(detect(raw))
    text = _ends(unicodedata.normalize("NFKC", raw)).lower().translate(_UNIFIED)
    text = _SPELLED_HALF.sub(" and a half", text)
    text = _TIMES.sub("x", text)
    text = _DASHES.sub(" - ", text)
    text = _BLANKS.sub(" ", text)
    simple = text.translate(simplified()) if language.name == "zh" else text
    mended, corrections = corrected(simple, language.spelled, language.numbers)
    return Text(language.quiet(mended), prompt.kinds, text, corrections), language


def _ends(text: str) -> str:
    return text if len(text) <= _MAX_READ else f"{text[: _MAX_READ // 2]}\n{text[-_MAX_READ // 2 :]}"


def _joined(entry: Any) -> str:
    """A pattern from its written form: text, a list of alternatives, or [what is before, alternatives, behind]."""
    if isinstance(entry, str):
        return entry
    if len(entry) == 3 and isinstance(entry[1], list):
        before, alternatives, behind = entry
        return f"{before}(?:{'|'.join(alternatives)}){behind}"
    return "|".join(entry)


class Language:
    """Compiled patterns by name; every pattern is compiled when it is first asked for."""

    def __init__(self, name: str) -> None:
        data = json.loads((LANGUAGES / name / "rules.json").read_text(encoding="utf-8"))
        self.name = name
        self._macros: dict[str, str] = MEDIA_MACROS | {key: _joined(value) for key, value in data["macros"].items()}
        patterns: dict[str, Any] = data["patterns"]
        self._names = {key: tuple(value) for key, value in patterns.items() if isinstance(value, dict)}
        self._sources: dict[str, list[str]] = {
            key: [_joined(p) for p in (value.values() if isinstance(value, dict) else value)]
            for key, value in patterns.items()
        }
        self.numbers: dict[str, float] = data["numbers"]
        self.units: dict[str, float] = data["units"]
        self.ordinals: dict[str, int] = data["ordinals"]
        self.signs: dict[str, str] = data.get("signs", {})
        self.small = frozenset(data.get("small", ()))
        self.spelled = frozenset(data.get("spelled", ()))  # words to look for behind misspelt ones
        self.words: dict[str, frozenset[str]] = {k: frozenset(v) for k, v in data.get("words", {}).items()}
        self._compiled: dict[str, list[re.Pattern[str]]] = {}

    def patterns(self, key: str) -> list[re.Pattern[str]]:
        if key not in self._compiled:
            self._compiled[key] = [re.compile(self._expand(source)) for source in self._sources.get(key, ())]
        return self._compiled[key]

    def named(self, key: str) -> list[tuple[str, re.Pattern[str]]]:
        """The patterns under a `key` whose entries have names, with these."""
        return list(zip(self._names.get(key, ()), self.patterns(key), strict=True))

    def find(self, key: str, text: str, start: int = 0, end: int | None = None) -> Iterator[re.Match[str]]:
        """Every match of every pattern under `key`, pattern by pattern."""
        stop = len(text) if end is None else end
        for pattern in self.patterns(key):
            yield from pattern.finditer(text, start, stop)

    def search(self, key: str, text: str) -> re.Match[str] | None:
        """The earliest match of any pattern under `key`."""
        return min(self.find(key, text), key=lambda m: m.start(), default=None)

    def match(self, key: str, text: str) -> re.Match[str] | None:
        """The longest match of any pattern under `key` at the start of `text`."""
        found = [m for pattern in self.patterns(key) if (m := pattern.match(text))]
        return max(found, key=lambda m: m.end(), default=None)

    def quiet(self, text: str) -> str:
        """`text` with words that only look like orders ("video game", "depth of field") made harmless."""
        for pattern in self.patterns("noise"):
            text = pattern.sub(lambda m: "x" * len(m.group()), text)
        return text

    def _expand(self, source: str) -> str:
        while _MACRO.search(source):
            source = _MACRO.sub(lambda m: self._macros[m.group(1)], source)
        return source


@lru_cache(maxsize=1)
def nouns() -> dict[str, dict[str, str]]:
    """Everyday Chinese words in English by what they do in a phrase, and traditional characters as simplified ones."""
    data = json.loads((LANGUAGES / "zh" / "dictionary.json").read_text(encoding="utf-8"))
    return {kind: dict(words) for kind, words in data.items()}


@lru_cache(maxsize=1)
def simplified() -> dict[int, str]:
    """A table for `str.translate`: one character for one, so that positions stay."""
    return str.maketrans(nouns()["simplified"])


@lru_cache(maxsize=16)
def load(name: str) -> Language:
    """The language `name`; a file is read and its patterns compiled once a process."""
    return Language(name)
