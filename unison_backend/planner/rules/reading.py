"""A prompt's text made ready for patterns; media stand in it as one private-use character each, quotations as one."""

from __future__ import annotations

import re
import unicodedata

from ...plan.prompt import Prompt
from .detect import detect
from .fired import placed
from .language import Language, load, simplified
from .text import IMAGE_BASE, PAD, QUOTE, VIDEO_BASE, Text
from .typos import corrected

_UNIFIED = {0x2019: "'", 0xD7: "x"}
_SPELLED_HALF = re.compile("-and-a-half")
_TIMES = re.compile(r"(?<=\d) (?:by|times) (?=\d)")
_DASHES = re.compile(r"[\u2013\u2014\u2015]+")
_BLANKS = re.compile(r"[ \t]+")

# A quotation is mentioned, not meant: its words are no orders and its numbers no sizes.
_QUOTATIONS = re.compile(
    r'"[^"\n]{1,400}"|\u201c[^\u201c\u201d\n]{1,400}\u201d|\u300c[^\u300c\u300d\n]{1,400}\u300d|\u300e[^\u300e\u300f\n]{1,400}\u300f'
    r"|\u300a[^\u300a\u300b\n]{1,100}\u300b|\u2018[^\u2018\u2019\n]{1,200}\u2019(?!\w)|(?<![\w'])'[^'\n]{1,200}'(?![\w'])"
)
# The planner reads this much; orders stand near the ends of a text, and 100 kB of it must not take seconds.
_MAX_READ = 4000
# No number of more digits means anything, and patterns of numbers take seconds over thousands of them.
_DIGITS = re.compile(r"(\d{20})\d+")
MOST_MEDIA = 256
"""So many media stand in the text that rules read; further ones have a role by their kind alone."""


def read(prompt: Prompt) -> tuple[Text, Language]:
    """The prompt's text for patterns, and the language it is mostly written in.

    Of a long text its two ends are read, where orders stand; its media keep their numbers.
    """
    parts, count = [], 0
    for segment in prompt.segments:
        if isinstance(segment, str):
            parts.append(PAD.sub(" ", _ends(segment)))
        elif count < MOST_MEDIA:
            parts.append(chr((VIDEO_BASE if segment.kind == "video" else IMAGE_BASE) + count))
            count += 1
    raw = _QUOTATIONS.sub(QUOTE, _ends("".join(parts)))
    language = load(detect(raw))
    text = _ends(unicodedata.normalize("NFKC", raw)).lower().translate(_UNIFIED)
    text = _DIGITS.sub(r"\1", text)
    text = _SPELLED_HALF.sub(" and a half", text)
    text = _TIMES.sub("x", text)
    text = _DASHES.sub(" - ", text)
    text = _BLANKS.sub(" ", text)
    simple = text.translate(simplified()) if language.name == "zh" else text
    mended, corrections = corrected(simple, language.spelled, language.numbers)
    return Text(language.quiet(placed(mended, language.name)), prompt.kinds, text, corrections), language


def _ends(text: str) -> str:
    return text if len(text) <= _MAX_READ else f"{text[: _MAX_READ // 2]}\n{text[-_MAX_READ // 2 :]}"
