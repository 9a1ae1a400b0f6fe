"""The main noun of an instruction: what to look for in a picture when a person asks for just that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...errors import InputError
from ...plan.plan import MAIN
from ...plan.prompt import Prompt
from .language import Language, simplified
from .languages.zh.translation import tokens
from .phrases import is_
from .reading import read
from .targets import target
from .text import Text

# Kinds of Chinese words that can be a phrase's head.
_NOUNS = ("people", "animals", "things")


def main_noun(prompt: Prompt) -> str:
    """The head noun of what the instruction edits, without the words around it.

    Raises InputError when the instruction names nothing.
    """
    text, language = read(prompt)
    found = target(text, language)
    noun = "" if found is None else (_chinese if language.name == "zh" else _english)(found.phrase, language)
    if not noun:
        noun = next(iter(_any_noun(text, language)), "")
    if not noun:
        raise InputError(
            f"no noun can be read from {prompt.text[:200]!r}: say what to find instead of {MAIN}, or give a mask"
        )
    return noun


def _english(phrase: str, language: Language) -> str:
    """The head of an English phrase is its last word before a preposition or a verb."""
    stop = language.search("targets.head_stop", phrase)
    head = (phrase[: stop.start()] if stop and stop.start() else phrase).split()
    return head[-1] if head and head[-1].replace("-", "").isalpha() else ""


def _chinese(phrase: str, language: Language) -> str:
    """The head of a Chinese phrase is its last noun; a phrase that no dictionary knows is taken whole."""
    heads = [token for token, kind in tokens(phrase.translate(simplified())) if kind in _NOUNS]
    return heads[-1] if heads else phrase.split()[-1]


def _any_noun(text: Text, language: Language) -> Iterator[str]:
    """Nouns wherever they stand, but for words for the medium itself."""
    if language.name == "zh":
        plain = _without_media(text).translate(simplified())
        found: Iterable[str] = (token for token, kind in tokens(plain) if kind in _NOUNS)
    else:
        found = (_english(match.group("np"), language) for match in language.find("targets.noun_phrase", text.words))
    return (noun for noun in found if noun and not is_("targets.medium", noun, language))


def _without_media(text: Text) -> str:
    return "".join(" " if "\ue000" <= character <= "\ue8ff" else character for character in text.words)
