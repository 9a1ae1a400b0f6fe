"""Instructions as people type them in a hurry: small letters, no full stop, a slip of the finger, short words.

Numbers and pads stay as they are, so that what an instruction means does not change.
"""

from __future__ import annotations

import re
from random import Random

SLIPS = 0.6  # how often a careless instruction has one
_WORD = re.compile(r"(?<![\w<])[A-Za-z]{4,}(?![\w>])")  # shorter ones are hardly mistyped
_SHORT = {
    "please ": "pls ", "you ": "u ", " with ": " w ", " and ": " n ", "picture": "pic", "video": "vid",
    "I would like": "i want", "Create": "make", "Generate": "gimme", "seconds": "sec", "Could you": "can u",
}  # fmt: skip
_SHORT_ZH = {"\u8bf7": "", "\u3002": "", "\uff0c": " ", "\uff1a": " ", "\u56fe\u7247": "\u56fe"}
_PAD = re.compile("<(?:IMG|VID)PAD>")


def careless(text: str, language: str, random: Random) -> str:
    """`text` typed carelessly; the same pads and numbers in the same order."""
    if language == "zh":
        for word in random.sample(sorted(_SHORT_ZH), 2):
            text = text.replace(word, _SHORT_ZH[word])
        return text.strip()
    for word in random.sample(sorted(_SHORT), 3):
        text = text.replace(word, _SHORT[word])
    if random.random() < 0.8:
        text = "".join(part if _PAD.fullmatch(part) else part.lower() for part in re.split(f"({_PAD.pattern})", text))
    if random.random() < 0.8:
        text = text.rstrip(".?! ")
    if random.random() < 0.3:
        text = text.replace(", ", " ").replace(": ", " ")
    return _slip(text, random) if random.random() < SLIPS else text


def _slip(text: str, random: Random) -> str:
    """One word mistyped: two letters exchanged, one left out or one doubled, never the first."""
    words = list(_WORD.finditer(text))
    if not words:
        return text
    word = random.choice(words)
    place = word.start() + random.randint(1, len(word.group()) - 2)
    one, two = text[place], text[place + 1]
    return text[:place] + random.choice((two + one, two, one + one + two)) + text[place + 2 :]
