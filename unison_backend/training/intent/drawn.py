"""Sentences that are drawn, not written: some of the planning data's and the shape world's, both of the training part.

They keep the intent model at home in the wordings that the embedded models are trained with.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import get_args

from ...demo.world import tasks as world
from ...demo.world.questions import Subject, question
from ...plan.prompt import parse_pads
from ..planning_data import LANGUAGES, draw_plain
from .sentences import Sentence, intent_of

PLANNED, OF_A_KIND, QUESTIONS = 900, 6, 60  # records; examples and questions of a kind and language
_SEED = 11


def drawn_sentences() -> list[Sentence]:
    """The same at every call."""
    found = [Sentence(record.prompt, intent_of(record.task)) for record in draw_plain(PLANNED, _SEED)]
    found += [Sentence(made.instruction, intent_of(made.task)) for made in _examples()]
    for language in LANGUAGES:
        for subject in get_args(Subject):
            for number in range(QUESTIONS):
                asked = question(subject, Random(f"{_SEED} {subject} {language} {number}"), language=language)
                found.append(Sentence(asked.prompt, "ask"))
    unique = {sentence.prompt: sentence for sentence in found if parse_pads(sentence.prompt)}
    return list(unique.values())


def drawn_edits() -> list[tuple[str, str]]:
    """(prompt, signal tokens) of edits with a mask, whose white changes; the same at every call."""
    planned = [
        (record.prompt, record.tokens) for record in draw_plain(PLANNED, _SEED) if "editing" in record.task.value
    ]
    return planned + [edit for made in _examples() if "editing" in made.task for edit in _with_mask(made)]


def _examples() -> Iterator[world.Example]:
    """Some of every kind and language."""
    for language in LANGUAGES:
        for kind in world.kinds():
            for number in range(OF_A_KIND):
                yield world.example(kind, Random(f"{_SEED} {kind} {language} {number}"), language=language)


def _with_mask(made: world.Example) -> Iterator[tuple[str, str]]:
    """An example's edit, where its two media show which one is the mask: black and white alone."""
    plain = [number for number, pixels in enumerate(made.media) if bool(((pixels == 0) | (pixels == 1)).all())]
    if len(made.media) == 2 and len(plain) == 1:
        yield made.instruction, f"<BOEDIT>{plain[0]},{1 - plain[0]}<EOEDIT>"
