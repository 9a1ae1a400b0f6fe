"""Which language an instruction is written in: by its letters, and among those with Latin ones by its small words."""

from __future__ import annotations

import re

from .language import small_words

NAMES = {
    "en": "English",
    "zh": "Chinese",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "pt": "Portuguese",
    "ja": "Japanese",
    "ko": "Korean",
    "ru": "Russian",
}
# Of these everything is read, of the others what kind of order it is, size, length, rate, mask and target.
WHOLE = ("en", "zh")

_HAN = re.compile(r"[\u3400-\u9fff]")
_KANA = re.compile(r"[\u3041-\u30ff]")
_HANGUL = re.compile(r"[\uac00-\ud7af]")
_CYRILLIC = re.compile(r"[\u0400-\u04ff]")
_LATIN_WORD = re.compile(r"[^\W\d_\u0370-\uffff]+")
_KANA_SHARE = 0.1  # of Han and kana together that Japanese at least has
# So many small words, and one of so many words being one, are English whatever else is there.
_CLEARLY, _CLEARLY_OF = 2, 4
# A word of another script is a name, not the language.
_LEAST = {"ja": 2, "ko": 2, "ru": 3}


def detect(text: str) -> str:
    """The key of `NAMES`; text without letters, or of none of them, counts as English."""
    words = [word.lower() for word in _LATIN_WORD.findall(text)]
    han, kana = len(_HAN.findall(text)), len(_KANA.findall(text))
    counts = {
        "ja": han + kana if kana >= _KANA_SHARE * (han + kana) and kana else 0,
        "zh": 0 if kana and kana >= _KANA_SHARE * (han + kana) else han,
        "ko": len(_HANGUL.findall(text)),
        "ru": len(_CYRILLIC.findall(text)) // 3,
    }
    name = max(counts, key=lambda key: counts[key])
    # A Chinese character is about a word, one of the other scripts less.
    if counts[name] and counts[name] >= max(_LEAST.get(name, 1), len(words)):
        return name
    return _latin(words)


def _latin(words: list[str]) -> str:
    small = small_words()
    english = sum(word in small["en"] for word in words)
    if english >= _CLEARLY and english * _CLEARLY_OF >= len(words):
        return "en"
    hits = {name: sum(word in known for word in words) for name, known in small.items()}
    best = max(hits, key=lambda name: hits[name])
    return best if hits[best] > hits["en"] else "en"
