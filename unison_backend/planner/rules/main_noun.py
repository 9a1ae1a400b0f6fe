"""The main noun of an instruction: what to look for in a picture when no rule tells what its words change."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import InputError
from ...plan.plan import MAIN
from ...plan.prompt import Prompt
from .language import Language, read, simplified
from .languages.en.targets import english_phrases
from .languages.zh.targets import chinese_marked, chinese_phrases
from .languages.zh.translation import nouns_in, tokens

# Kinds of Chinese words that can be a phrase's head.
_NOUNS = ("people", "animals", "things")


def main_noun(prompt: Prompt) -> str:
    """The head noun of the first noun phrase that is no pronoun and no word for the medium itself.

    Raises InputError when the instruction names nothing.
    """
    text, language = read(prompt)
    found = _chinese(text.words, language) if language.name == "zh" else _english(text.words, language)
    noun = next(found, None)
    if noun is None:
        raise InputError(
            f"no noun can be read from {prompt.text[:200]!r}: say what to find instead of {MAIN}, or give a mask"
        )
    return noun


def _english(words: str, language: Language) -> Iterator[str]:
    """The head of an English phrase is its last word before a preposition or a verb."""
    for phrase in english_phrases(words, language):
        stop = language.search("target_head_stop", phrase)
        head = (phrase[: stop.start()] if stop and stop.start() else phrase).split()
        if head and head[-1].replace("-", "").isalpha():
            yield head[-1]


def _chinese(words: str, language: Language) -> Iterator[str]:
    """The head of a Chinese phrase is its last noun; without an order the first noun of the text is taken."""
    for phrase in chinese_phrases(words, language):
        if heads := [token for token, kind in tokens(phrase) if kind in _NOUNS]:
            yield heads[-1]
    for token in nouns_in(chinese_marked(words.translate(simplified()), language)):
        if not any(pattern.fullmatch(token) for pattern in language.patterns("target_whole")):
            yield token
