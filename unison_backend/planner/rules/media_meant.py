"""Whether the words of an instruction that names no medium need one that is at hand, and of which kind."""

from __future__ import annotations

from dataclasses import dataclass

from ...plan.prompt import Prompt
from ...plan.tasks import MediaKind
from .intent_model import Intent, intent_model
from .reading import read

# Orders that work on a medium.
_WORK_ON: frozenset[Intent] = frozenset(("edit", "restyle", "outpaint", "extend", "control", "frames"))
# Words that say no more than that are taken to speak of a medium from this share of the model's belief on.
_BELIEVED = 0.6


@dataclass(frozen=True)
class Meant:
    """What words without a medium speak of.

    kinds: of the media that they name ("the picture"). needs_one: they need a medium of any kind. is_new: they ask, or
    order something new in so many words, so that not even a painted mask makes an edit of it.
    """

    kinds: tuple[MediaKind, ...] = ()
    needs_one: bool = False
    is_new: bool = False


def meant(words: str) -> Meant:
    """What an instruction speaks of that names none of the media at hand."""
    text, language = read(Prompt((words,)))
    value = text.value
    spoken: list[MediaKind] = []
    if language.search("media.picture", value):
        spoken.append("image")
    if language.search("media.video", value):
        spoken.append("video")
    if spoken:
        return Meant(kinds=tuple(spoken))
    if language.search("media.new", value):
        return Meant(is_new=True)
    shares = intent_model().shares(text.words, ())
    if max(shares, key=lambda intent: shares[intent]) == "ask":
        return Meant(needs_one=bool(language.search("media.seen", value)), is_new=True)
    if language.search("media.things", value):
        return Meant()
    works = sum(shares[intent] for intent in _WORK_ON) >= _BELIEVED
    return Meant(needs_one=works or bool(language.search("media.changed", value)))
