"""What a person has to know about how the rules took an instruction's words."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from ...plan.plan import Plan, is_whole_frame
from ...plan.spec import Reason
from . import measures
from .bare import orders_nothing
from .borders import UNSAID
from .detect import NAMES, WHOLE
from .intent_model import IN_WORDS, Reading
from .language import ANY, Language, load
from .operations import left_out
from .reading import MOST_MEDIA
from .second import others
from .text import Text

# A person is told of the other reading of one that is less sure than this.
_DOUBTFUL = 0.6
_MOST_TOLD = 4


def notices(reading: Reading, made: Plan, text: Text, language: Language) -> Iterator[Reason]:
    """What a person has to know about how the words were taken."""
    if language.name not in WHOLE:
        yield Reason(
            "language",
            f"this reads as {NAMES[language.name]}: the kind of order, sizes, lengths and masks are read, other roles "
            "of several pictures are guessed; English and Chinese are read whole",
            is_warning=True,
        )
    yield from _reading(text)
    if text.kinds and not any(character.isalnum() for character in text.words):
        yield Reason("reading", "the instruction names media and says nothing else: say what to make of them", True)
    if reading.sure < _DOUBTFUL and reading.other is not None:
        yield Reason(
            "reading",
            f"taken as {IN_WORDS[reading.intent]}; it could also be {IN_WORDS[reading.other]}. If that is meant, say "
            "so plainly, or say what is to come out (picture, video or answer)",
            is_warning=True,
        )
    yield from told_of_order(made, text, language)


def told_of_answer(text: Text) -> Iterator[Reason]:
    """What a person has to know of words that are taken for a question."""
    if orders_nothing(text):
        yield Reason("reading", "nothing is ordered: say what is to be seen, such as: a red kite over the sea", True)


def told_of_order(made: Plan, text: Text, language: Language) -> Iterator[Reason]:
    """What a person has to know of a plan by these words, whoever made it."""
    yield from _worked_on(made, text, language)
    yield from left_out(made, text, language)
    if made.task.is_generation:
        yield from _settings(text, language)
    yield from measures.not_taken(
        text.value,
        language,
        video=made.output == "video",
        size_taken=made.width is not None or made.borders is not None,
        length_taken=made.num_frames is not None,
    )


def _worked_on(made: Plan, text: Text, language: Language) -> Iterator[Reason]:
    """What of the source changes and what stays."""
    if is_whole_frame(made.target):
        kept = f"its shapes are kept by a {made.control} map, faces and colours may change"
        yield Reason("control", f"everything of the source changes and there is no mask: {kept}", True)
    if made.mask_keeps and made.mask is None:
        yield Reason("mask", f"{made.target} stays, found by these words: all the rest is changed", True)
    elif made.mask_keeps:
        yield Reason("mask", "the words say that the mask marks what stays: all the rest is changed", True)
    if made.borders is not None and not made.borders.aspect and UNSAID in vars(made.borders).values():
        yield Reason("borders", "how far it is to grow is not said: a quarter of its side")
    by_words = made.mask is None and made.source is not None and not made.mask_keeps
    if by_words and made.target and language.name in WHOLE:
        yield from _found_by_words(made.target, text, language)


def _found_by_words(target: str, text: Text, language: Language) -> Iterator[Reason]:
    """What is changed, and what the words order besides."""
    yield Reason("target", f"what is changed is found by these words: {target}")
    if also := [thing for thing in others(text, language) if thing not in target and target not in thing]:
        yield Reason(
            "target",
            f"one thing is changed at a time, here {target}; the words also order a change of "
            f"{', '.join(also)}: give the result to another run that says only that",
            is_warning=True,
        )


def _reading(text: Text) -> Iterator[Reason]:
    """What of the text was not read as it stands."""
    if len(text.kinds) > MOST_MEDIA:
        yield Reason("media", f"of {len(text.kinds)} media the words around the first {MOST_MEDIA} are read", True)
    for typed, taken in text.corrections:
        yield Reason("spelling", f"{typed!r} is read as {taken!r}")


def _settings(text: Text, language: Language) -> Iterator[Reason]:
    """What people write for other programs, and no planner takes from an instruction."""
    said = [match.group().strip(" ,") for match in islice(load(ANY).find("settings.setting", text.words), _MOST_TOLD)]
    if said:
        yield Reason(
            "settings",
            f"{', '.join(map(repr, said))}: read as words of the scene. Seed, steps, guidance, LoRAs and a negative "
            "prompt are settings of their own: --seed, --steps, --cfg, --lora, --negative, or the inputs of the nodes",
            is_warning=True,
        )
    if (several := language.search("settings.several", text.value)) is not None:
        yield Reason(
            "settings",
            f"{several.group().strip()!r}: one result is made a run; for more of them run it again with another seed",
            is_warning=True,
        )
