"""Other names of colours and shapes ("a crimson disc"), which text encoder and video model never learned.

The projector alone learns them, from what the planner's model makes of an instruction: so one can see what it is for.
Where it is off, the same words come out as anything.
"""

from __future__ import annotations

import re
from functools import cache
from random import Random

from .wording import Language, article, other_names, words_of


def renamed(text: str, random: Random, share: float = 1.0, *, language: Language = "en") -> str:
    """An instruction with a share of the colours and shapes in it called by another of their names.

    The article in front follows: "an orange star" becomes "a tangerine star".
    """
    names, pattern = _others(language)

    def other(match: re.Match[str]) -> str:
        if random.random() >= share:
            return match.group()
        name = random.choice(names[match["name"]])
        before = match["before"]
        if not before:
            return name
        follows = article(name)
        return (follows.capitalize() if before[0] == "A" else follows) + " " + name

    return pattern.sub(other, text)


@cache
def _others(language: Language) -> tuple[dict[str, list[str]], re.Pattern[str]]:
    """Other names by the word that the world says, and where such a word stands in a text."""
    words, others = words_of(language), other_names(language)
    names = {word: others[name] for group in ("colours", "shapes") for name, word in words[group].items()}
    either = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    edge = r"\b" if language == "en" else ""
    return names, re.compile(rf"(?P<before>\b[Aa]n? |){edge}(?P<name>{either}){edge}")
