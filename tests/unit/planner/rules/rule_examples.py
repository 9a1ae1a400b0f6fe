"""What a rule's own examples say, and what the rule makes of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from unison_backend.planner.rules.language import Language, load
from unison_backend.planner.rules.measures import parse_number
from unison_backend.planner.rules.rule_files import LANGUAGES, Rule, read_toml
from unison_backend.planner.rules.text import IMAGE_BASE, QUOTE, VIDEO_BASE

NAMES = tuple(sorted(folder.name for folder in LANGUAGES.iterdir() if any(folder.glob("*.toml"))))
# Tables that are no rules.
_OTHERS = {"numbers", "units", "ordinals", "signs", "parts"}


def all_rules() -> Iterator[Rule]:
    """Every rule of every file of every language."""
    for name in NAMES:
        for file in sorted((LANGUAGES / name).glob("*.toml")):
            for group, rules in read_toml(file).items():
                if isinstance(rules, Mapping) and group not in _OTHERS:
                    yield from load(name).rules(f"{file.stem}.{group}")


def as_read(example: str) -> str:
    """An example as rules see it: media and quotations as characters of their own."""
    return example.replace("<IMGPAD>", chr(IMAGE_BASE)).replace("<VIDPAD>", chr(VIDEO_BASE)).replace("<QUOTE>", QUOTE)


def amiss(rule: Rule, pattern: re.Pattern[str], language: Language) -> list[str]:
    """What of a rule's examples is not as it says; empty when all are."""
    yes, no = rule.written.get("yes", ()), rule.written.get("no", ())
    wrong = [f"{rule.label} has no {name}" for name, examples in (("yes", yes), ("no", no)) if not examples]
    for example in yes:
        match = pattern.search(as_read(example))
        if match is None:
            wrong.append(f"{rule.label} does not match {example!r}")
        elif (got := value(match, language)) != (yes[example] if isinstance(yes, Mapping) else None):
            wrong.append(f"{rule.label} reads {got!r} from {example!r}")
    return wrong + [f"{rule.label} matches {example!r}" for example in no if pattern.search(as_read(example))]


def value(match: re.Match[str], language: Language) -> Any:
    """What a match yields: "640x480", a number of frames (of a time), a rate or number, a medium's place; else None."""
    said = {name: text for name, text in match.groupdict().items() if text is not None}
    if "w" in said:
        return f"{_number(said['w'], language)}x{_number(said['h'], language)}"
    if "u" in said:
        number = _fraction(said["n"], language) + (Fraction(1, 2) if said.get("half") else 0)
        return _plain(number * Fraction(str(language.units[said["u"]])))
    if "m" in said:
        return f"{said['m']}:{said['s']}"
    if "n" in said:
        return (
            language.ordinals.get(said["n"], None) if said["n"] in language.ordinals else _number(said["n"], language)
        )
    return said.get("q") or said.get("np")


def _number(word: str, language: Language) -> int | float:
    return _plain(_fraction(word, language))


def _fraction(word: str, language: Language) -> Fraction:
    number = parse_number(word, language)
    assert number is not None, word
    return number


def _plain(number: Fraction) -> int | float:
    return number.numerator if number.denominator == 1 else float(number)
