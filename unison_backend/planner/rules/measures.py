"""Sizes and lengths that an instruction says for its output (the meaning table: docs/plan.md).

Numbers that belong to the scene ("waits ten seconds", "a 10x10 chessboard", "the score was 4:3") are not measures
of the output; the patterns say where a measure may stand.
"""

from __future__ import annotations

import re
from fractions import Fraction

from ...plan.geometry import round_half_up
from .language import Language

# Meaning table: what the names of sizes mean (paper, result figures).
RESOLUTIONS = {"480": (640, 480), "720": (1280, 720), "1080": (1920, 1080)}
SHAPES = {"horizontal": (1280, 720), "vertical": (720, 1280), "square": (640, 640)}
RATIOS = {
    ("16", "9"): (1280, 720),
    ("9", "16"): (720, 1280),
    ("1", "1"): (640, 640),
    ("4", "3"): (640, 480),
    ("3", "4"): (480, 640),
}

_TIMES = re.compile(r"(?<![\d.])(?<!\d:)(?P<w>\d{2,6})(?: ?px| ?pixels?)? ?[x*] ?(?P<h>\d{2,6})(?![\d:])")
_LINES = re.compile(r"(?<![\d.])(?P<n>480|720|1080) ?p(?![a-z])")
_RATIO = re.compile(
    r"(?<![\d.])(?<!\d:)(?P<w>16|9|1|4|3) ?(?::|/|by|x|\u6bd4) ?(?P<h>16|9|1|4|3)(?!\d|[.:/]\d| ?(?:am|pm)\b)"
)
# "this 12-second clip: <video>" says how long the source is.
_LABELS_VIDEO = re.compile("\\W{0,3}[\ue400-\ue7ff]")
# Below this a bare "AxB" is a grid or a board, unless the words say pixels or name a picture.
_SMALL = 64


def size(text: str, language: Language) -> tuple[int, int] | None:
    """Width and height said for the output. Explicit numbers win over 720p, 720p over 16:9, 16:9 over "vertical"."""
    if explicit := _explicit(text, language):
        return explicit
    shape = _shape(text, language)
    lines = (m for m in _LINES.finditer(text) if not _is_things(text, m, language))
    if match := next(lines, None):
        width, height = RESOLUTIONS[match.group("n")]
        return (height, width) if shape == SHAPES["vertical"] else (width, height)
    return _ratio(text, language) or shape


def _explicit(text: str, language: Language) -> tuple[int, int] | None:
    found = [m for pattern in (_TIMES, *language.patterns("size_wh")) for m in pattern.finditer(text)]
    for match in sorted(found, key=lambda m: m.start()):
        after = text[match.end() : match.end() + 40]
        width, height = _side(match.group("w"), language), _side(match.group("h"), language)
        if width is None or height is None or language.match("size_reject_after", after):
            continue
        if _is_sources(text, match, language):
            continue
        if min(width, height) < _SMALL and not language.match("size_need", after):
            continue
        return width, height
    return None


def _is_things(text: str, match: re.Match[str], language: Language) -> bool:
    """True for the measure of a thing in the scene ("a 16:9 monitor") or of a source as it was shot."""
    return bool(language.match("lines_reject_after", text[match.end() :])) or _is_sources(text, match, language)


def _is_sources(text: str, match: re.Match[str], language: Language) -> bool:
    before, after = text[max(0, match.start() - 60) : match.start()], text[match.end() :]
    return bool(language.search("source_shape", before) or language.match("source_shape_after", after))


def _side(word: str, language: Language) -> int | None:
    number = parse_number(word, language)
    return int(number) if number is not None and number.denominator == 1 else None


def _ratio(text: str, language: Language) -> tuple[int, int] | None:
    for match in [*_RATIO.finditer(text), *language.find("ratio_words", text)]:
        sides = (str(_side(match.group("w"), language)), str(_side(match.group("h"), language)))
        rejected = language.search("ratio_reject", text[max(0, match.start() - 40) : match.start()])
        rejected = rejected or language.match("ratio_reject_after", text[match.end() :])
        if sides in RATIOS and not rejected and not _is_things(text, match, language):
            return RATIOS[sides]
    return None


def _shape(text: str, language: Language) -> tuple[int, int] | None:
    """The orientation that is asked for and not refused ("horizontal, not vertical")."""
    found = [
        (match.start(), shape)
        for shape in SHAPES
        for match in language.find(shape, text)
        if not language.search("not", text[max(0, match.start() - 16) : match.start()])
    ]
    return SHAPES[min(found)[1]] if found else None


def length(text: str, language: Language) -> int | None:
    """Frames (24 a second) said for the output."""
    corrections = list(language.find("length_correct", text))
    if corrections:
        return _frames(max(corrections, key=lambda m: m.end()), language)
    for pattern in language.patterns("length"):
        for match in pattern.finditer(text):
            if _LABELS_VIDEO.match(text[match.end() :]):
                continue
            before = text[max(0, match.start("n") - 24) : match.start("n")]
            if language.search("length_reject_before", before) and not language.search("length_keep", match.group()):
                continue
            return _frames(match, language)
    return None


def _frames(match: re.Match[str], language: Language) -> int | None:
    number = parse_number(match.group("n"), language)
    if number is None:
        return None
    if match.groupdict().get("half"):
        number += Fraction(1, 2)
    per_unit = Fraction(str(language.units[match.group("u")]))
    return max(1, round_half_up(number * per_unit))


def parse_number(word: str, language: Language) -> Fraction | None:
    """A number in digits or words ("2.5", "one and a half", Chinese numerals); None when it is none."""
    word = word.strip()
    if re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,6})?", word):
        return Fraction(word)
    return _chinese_number(word, language) if language.name == "zh" else _english_number(word, language)


def _english_number(words: str, language: Language) -> Fraction | None:
    half = Fraction(0)
    if words.startswith("half"):
        return Fraction(1, 2)
    if match := re.search(r" and a half$| point (\w+(?: \w+)?)$", words):
        decimal = "".join(str(int(language.numbers[w])) for w in (match.group(1) or "five").split())
        half, words = Fraction(f"0.{decimal}"), words[: match.start()]
    total, group = Fraction(0), Fraction(0)
    for word in re.split(r"[ -]+", words):
        value = Fraction(str(language.numbers.get(word, 0)))
        if word in ("hundred", "thousand"):
            group = (group or 1) * value
            total, group = (total + group, Fraction(0)) if word == "thousand" else (total, group)
        elif word in language.numbers:
            group += value
        elif word != "and":
            return None
    return total + group + half


def _chinese_number(word: str, language: Language) -> Fraction | None:
    """Positional ("one zero two four") and multiplicative numerals, with a decimal part."""
    numbers, point = language.numbers, language.signs["point"]
    if word == language.signs["half"]:
        return Fraction(1, 2)
    whole, _, decimals = word.partition(point)
    if any(c not in numbers for c in whole + decimals):
        return None
    digits = "".join(str(int(numbers[c])) for c in decimals)
    return _chinese_whole(whole, numbers) + (Fraction(f"0.{digits}") if digits else 0)


def _chinese_whole(whole: str, numbers: dict[str, int]) -> Fraction:
    if all(numbers[c] < 10 for c in whole):
        return Fraction(int("".join(str(int(numbers[c])) for c in whole) or "0"))
    total = group = Fraction(0)
    last = Fraction(1)
    for character in whole:
        value = Fraction(int(numbers[character]))
        if value >= 10:
            total, group, last = total + (group or 1) * value, Fraction(0), value
        else:
            group, last = value, last if value else Fraction(1)
    # "one thousand two" without a zero means two hundreds.
    short = last > 10 and group and whole[-2:-1] and numbers[whole[-2]] >= 10
    return total + group * (last / 10 if short else 1)
