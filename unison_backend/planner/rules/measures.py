"""Sizes and lengths that an instruction says for its output (the meaning table: docs/plan.md).

Numbers that belong to the scene ("waits ten seconds", "a 10x10 chessboard", "the score was 4:3") are not measures
of the output; the patterns say where a measure may stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

from ...defaults import PLAN_FPS
from ...plan.geometry import round_half_up
from ...plan.plan import MAX_FPS
from ...plan.spec import Reason
from .fired import blanked
from .language import ANY, Language, load

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

# "this 12-second clip: <video>" says how long the source is.
_LABELS_VIDEO = re.compile("(?:[ -]{1,2}[a-z]+){0,2}\\W{0,3}[\ue400-\ue7ff]")
_SHARES = {
    "half": Fraction(1, 2), "a quarter of": Fraction(1, 4), "quarter of": Fraction(1, 4),
    "three quarters of": Fraction(3, 4), "3/4 of": Fraction(3, 4), "1/2 of": Fraction(1, 2), "1/2": Fraction(1, 2),
    "1/4 of": Fraction(1, 4), "a dozen": Fraction(12), "half a dozen": Fraction(6), "two dozen": Fraction(24),
    "three dozen": Fraction(36), "a couple of": Fraction(2), "a couple": Fraction(2),
}  # fmt: skip
_PLAIN_NUMBER = re.compile(r"[0-9]{1,9}(?:[.,][0-9]{1,6})?")
# "this 5-second clip <video>" in an order to make it longer.
_LABELLED = re.compile("[ -](?:long )?(?:clip|video|vid|shot|footage|film|reel)\\b[^.;!?]{0,12}[\ue400-\ue7ff]")
# Characters before a number that say whose measure it is.
_BEFORE = 24
# Characters before a size in which a source is named, around one in which something else is, and in which it is denied.
_CLAUSE, _BEHIND, _DENIAL = 60, 40, 16
# Times that are read, and how many measures of a kind that are not taken a person is told of.
_MOST_TIMES, _MOST_TOLD = 64, 8
# Below this a bare "AxB" is a grid or a board, unless the words say pixels or name a picture.
_SMALL = 64


def size(text: str, language: Language) -> tuple[int, int] | None:
    """Width and height said for the output. Explicit numbers win over 720p, 720p over 16:9, 16:9 over "vertical"."""
    if explicit := _explicit(text, language):
        return explicit
    shape = said_shape(text, language)
    lines = (m for m in load(ANY).find("sizes.lines", text) if not _is_things(text, m, language))
    if match := next(lines, None):
        width, height = RESOLUTIONS[match.group("n")]
        return (height, width) if shape == SHAPES["vertical"] else (width, height)
    ratio = said_ratio(text, language)
    return RATIOS[ratio] if ratio else shape


def _explicit(text: str, language: Language) -> tuple[int, int] | None:
    found = [*load(ANY).find("sizes.pixels", text), *language.find("sizes.width_height", text)]
    for match in sorted(found, key=lambda m: m.start()):
        after = text[match.end() : match.end() + _BEHIND]
        width, height = _side(match.group("w"), language), _side(match.group("h"), language)
        if width is None or height is None or language.match("sizes.of_a_thing", after):
            continue
        if _is_sources(text, match, language):
            continue
        if min(width, height) < _SMALL and not language.match("sizes.though_small", after):
            continue
        return width, height
    return None


def _is_things(text: str, match: re.Match[str], language: Language) -> bool:
    """True for the measure of a thing in the scene ("a 16:9 monitor") or of a source as it was shot."""
    return bool(language.match("sizes.of_a_device", text[match.end() :])) or _is_sources(text, match, language)


def _is_sources(text: str, match: re.Match[str], language: Language) -> bool:
    before, after = text[max(0, match.start() - _CLAUSE) : match.start()], text[match.end() :]
    return bool(
        language.search("sizes.of_a_source_before", before) or language.match("sizes.of_a_source_behind", after)
    )


def _side(word: str, language: Language) -> int | None:
    number = parse_number(word, language)
    return int(number) if number is not None and number.denominator == 1 else None


def said_ratio(text: str, language: Language) -> tuple[str, str] | None:
    """The key of `RATIOS` that is said for the output."""
    for match in [*load(ANY).find("sizes.aspect", text), *language.find("sizes.ratio", text)]:
        sides = (str(_side(match.group("w"), language)), str(_side(match.group("h"), language)))
        rejected = language.search("sizes.score_before", text[max(0, match.start() - _BEHIND) : match.start()])
        rejected = rejected or language.match("sizes.score_behind", text[match.end() :])
        if sides in RATIOS and not rejected and not _is_things(text, match, language):
            return sides
    return None


def said_shape(text: str, language: Language) -> tuple[int, int] | None:
    """The orientation that is asked for and not refused ("horizontal, not vertical")."""
    found = [
        (match.start(), shape)
        for shape in SHAPES
        for match in language.find(f"sizes.{shape}", text)
        if not language.search("words.denied", text[max(0, match.start() - _DENIAL) : match.start()])
    ]
    return SHAPES[min(found)[1]] if found else None


def in_frames(text: str, language: Language) -> bool:
    """Whether all lengths in the text are numbers of frames, and none is a time."""
    text = _without_rates(text, language)
    times = islice(language.find("lengths.time", text), _MOST_TIMES)
    units = [language.units[match.group("u")] for match in times]
    return all(unit == 1 for unit in units) and (
        bool(units) or language.search("lengths.frames_field", text) is not None
    )


def _without_rates(text: str, language: Language) -> str:
    """A rate is no number of frames."""
    end = 0  # what one rate takes is no part of another ("60 fps 2 seconds")
    for match in sorted(language.find("lengths.rate", text), key=lambda m: m.start()):
        if match.start() >= end:
            text, end = blanked(text, match), match.end()
    return text


def length(text: str, language: Language, *, added: bool = False) -> int | None:
    """Frames (24 a second) said for the output; times that follow each other add up ("1 min 15 s").

    added: what is asked for is only a length to add, so any time that is said is meant.
    """
    text = _without_rates(text, language)
    times = _times(text, language)
    corrections = list(language.find("lengths.corrected", text))
    if corrections:
        return _frames(_time_at(max(corrections, key=lambda m: m.end()).start("n"), times))
    if frames := next(language.find("lengths.frames_field", text), None):
        return max(1, int(frames.group("n")))
    if clock := next(language.find("lengths.clock", text), None):
        return PLAN_FPS * (60 * int(clock.group("m")) + int(clock.group("s"))) or None
    if added and (leading := next(language.find("lengths.leading", text), None)):
        return _frames(_time(leading, language))
    if added:
        return _frames(*(time for time in times if not _LABELLED.match(text[time.end :])))
    parts = _sequence(text, times, language)
    return _frames(*parts) if len(parts) > 1 else _said(text, times, language)


def _sequence(text: str, times: Sequence[_Time], language: Language) -> list[_Time]:
    """Times that follow each other and add up; none where no word puts one behind the other."""
    if len(times) < 2 or not language.search("lengths.sequence", text):
        return []
    parts = [time for time in times if not _is_scene(time, text, language)]
    if (whole := _whole(text, times, language)) is None:
        return parts
    return [time for time in parts if time == whole or not _is_acts(time, text)]


def length_in_all(text: str, language: Language) -> int | None:
    """Frames (24 a second) that a clip is to have once it was extended; None where only new ones are spoken of."""
    text = _without_rates(text, language)
    times = _times(text, language)
    found = max(language.find("lengths.in_all", text), key=lambda match: match.end(), default=None)
    return None if found is None else _frames(_time_at(found.start("n"), times) or _time(found, language))


def _whole(text: str, times: Sequence[_Time], language: Language) -> _Time | None:
    """The first time of which the words say that all happens in it ("a 10 second video where ...")."""
    for match in language.find("lengths.said", text):
        if language.search("lengths.meant", match.group()) and language.match("lengths.tells", text[match.end() :]):
            return _time_at(match.start("n"), times)
    return None


def _is_acts(time: _Time, text: str) -> bool:
    """Behind "for" a time says how long something in the scene lasts, where another one is that of all."""
    return text[max(0, time.start - _BEFORE) : time.start].endswith("for ")


def _said(text: str, times: Sequence[_Time], language: Language) -> int | None:
    """A time that words make the length, else every one that belongs neither to the scene nor to a source."""
    for match in language.find("lengths.said", text):
        time = _time_at(match.start("n"), times) or _time(match, language)
        if time is None or _LABELS_VIDEO.match(text[time.end :]):
            continue
        before = text[max(0, time.start - _BEFORE) : time.start]
        if language.search("lengths.of_an_act", before) and not language.search("lengths.meant", match.group()):
            continue
        return _frames(time)
    return _frames(*(time for time in times if _is_open(time, text, language)))


@dataclass(frozen=True)
class _Time:
    """A time in the text, of one or more parts ("1 min 15 s"), in frames."""

    start: int
    end: int
    frames: Fraction


def _times(text: str, language: Language) -> list[_Time]:
    """All times, in order; those right behind each other, each in a smaller unit, are one."""
    found: list[_Time] = []
    for match in sorted(language.find("lengths.time", text), key=lambda m: m.start())[:_MOST_TIMES]:
        if found and match.start() < found[-1].end:
            continue
        time = _time(match, language)
        while time is not None:
            rest = text[time.end :]
            more = language.match("lengths.time_more", rest)
            part = _time(more, language) if more is not None else None
            if more is None or part is None or language.units[more.group("u")] >= language.units[match.group("u")]:
                break
            time = _Time(time.start, time.end + part.end, time.frames + part.frames)
            match = more
        if time is not None:
            found.append(time)
    return found


def _time(match: re.Match[str], language: Language) -> _Time | None:
    number = parse_number(match.group("n"), language)
    if number is None:
        return None
    number += Fraction(1, 2) if match.groupdict().get("half") else 0
    end = max(match.end("u"), match.end("half"))
    return _Time(match.start(), end, number * Fraction(str(language.units[match.group("u")])))


def _time_at(place: int, times: Sequence[_Time]) -> _Time | None:
    """The time that a pattern found a part of."""
    return next((time for time in times if time.start <= place < time.end), None)


def _frames(*times: _Time | None) -> int | None:
    total = sum((time.frames for time in times if time is not None), Fraction(0))
    return max(1, round_half_up(total)) if total else None


def _is_scene(time: _Time, text: str, language: Language) -> bool:
    """ "waits ten seconds" """
    before = text[max(0, time.start - _BEFORE) : time.start]
    return language.search("lengths.of_the_scene", before) is not None and not before.endswith("for ")


def _is_open(time: _Time, text: str, language: Language) -> bool:
    """A time that stands by itself, or at the end of the text."""
    if _LABELS_VIDEO.match(text[time.end :]):
        return False
    before = text[max(0, time.start - _BEFORE) : time.start]
    if not language.rules("lengths.alone_before") or language.search("lengths.alone_before", before):
        return True
    ends = language.match("lengths.alone_behind", text[time.end :]) is not None
    return ends and language.search("lengths.of_the_scene", before) is None


def rate(text: str, language: Language) -> Fraction | None:
    """Frames a second said for the output."""
    for match in language.find("lengths.rate", text):
        number = parse_number(match.group("n"), language)
        if number is not None and 0 < number <= MAX_FPS:
            return number
    return None


def parse_number(word: str, language: Language) -> Fraction | None:
    """A number in digits or words ("2.5", "one and a half", Chinese numerals); None when it is none."""
    word = word.strip()
    if _PLAIN_NUMBER.fullmatch(word):
        return Fraction(word.replace(",", "."))
    if language.signs:  # numerals that are put together character by character
        return _chinese_number(word, language)
    return _english_number(word, language) if language.name == "en" else _listed_number(word, language)


def _listed_number(words: str, language: Language) -> Fraction | None:
    """A number word as it is listed."""
    number = language.numbers.get(" ".join(words.split()))
    return None if number is None else Fraction(str(number))


def _english_number(words: str, language: Language) -> Fraction | None:
    half = Fraction(0)
    for start, share in sorted(_SHARES.items(), key=lambda known: -len(known[0])):
        if words.startswith(start):
            rest = words.removeprefix(start).strip()
            return share if rest in ("", "a", "an") else share * (_english_number(rest, language) or 1)
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


def _chinese_whole(whole: str, numbers: dict[str, float]) -> Fraction:
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


def not_taken(text: str, language: Language, *, video: bool, size_taken: bool, length_taken: bool) -> Iterator[Reason]:
    """What looks like a size, a length or a rate of the result and is not taken as one, in words."""
    if not size_taken:
        for said in _told(*load(ANY).find("sizes.pixels", text), *load(ANY).find("sizes.lines", text)):
            yield Reason("size", f"{said!r} is not taken as the size of the result", True)
    if not length_taken:
        for said in _told(*islice(language.find("lengths.time", text), _MOST_TIMES)):
            why = "as the length of the result: it reads as part of what happens" if video else "up: a picture is made"
            yield Reason("num_frames", f"{said!r} is not taken {why}", True)
    if not video:
        for said in _told(*islice(language.find("lengths.rate", text), _MOST_TIMES)):
            yield Reason("fps", f"{said!r} is not taken up: a picture is made", True)


def _told(*matches: re.Match[str]) -> list[str]:
    """What is told of measures that are not taken: the words of each, once, the first few."""
    return list(dict.fromkeys(match.group().strip() for match in matches))[:_MOST_TOLD]
