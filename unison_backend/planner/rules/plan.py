"""The rules planner: no weights to find, milliseconds.

The intent model says what kind of order an instruction is; named rules say which medium is what (`roles`, `controls`),
which size, length and rate are said (`measures`), what is edited (`targets`). This file puts them together under the
grammar of plans.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ...errors import InputError
from ...plan.mask_rule import check_masks
from ...plan.names import naming
from ...plan.plan import Plan, task_of
from ...plan.prompt import MASK_WORDS, PADS, Prompt, parse_pads
from ...plan.spec import Reason
from ...plan.tasks import Make, Output
from ...progress import Cancel, Progress, never, silent
from ..base import PlanResult
from . import measures
from .assign import Roles, assigned, masked, said_mask, says_frames
from .bare import bare_intent
from .firm import firm_intent
from .intent_model import INTENTS, Intent, Reading, intent_model, possible
from .language import ANY, Language, load
from .notices import notices, told_of_answer
from .operations import refuse
from .reading import read
from .text import Text

if TYPE_CHECKING:
    from ...sources.prepare import Media

# What a result of each kind can come from.
_MAKES: dict[str, frozenset[Intent]] = {
    "made": frozenset(INTENTS) - {"ask"},
    "answer": frozenset(("ask",)),
    "picture": frozenset(("picture", "edit", "restyle", "outpaint", "control", "reference_picture")),
    "video": frozenset(
        ("video", "edit", "restyle", "outpaint", "extend", "control", "frames", "reference_video"),
    ),
}
# Of these the result is of the kind of the medium that is worked on.
_OF_MEDIUM: frozenset[Intent] = frozenset(("edit", "restyle", "outpaint", "control"))
# What an order with a first or last frame may be taken for.
_MAYBE_FRAMES: frozenset[Intent] = frozenset(("edit", "reference_picture", "reference_video"))
# What is left of the words for masks that the text does not name.
_BRINGS_MASKS = re.compile(rf"{MASK_WORDS} *\.")
# A reading that is less sure than this gives way to what the media's roles say.
_SURE = 0.8
# A question that is surer than this is one, whatever it asks.
_CLEAR = 0.6


def plan(prompt: Prompt, make: Make = "auto") -> Plan:
    """The plan of an instruction by rules alone; see `planned`."""
    return planned(prompt, make).plan


def planned(prompt: Prompt, make: Make = "auto") -> PlanResult:
    """The plan, how sure the reading is, and what there is to say about it.

    make: what the person wants, whatever the words seem to say. With masks among the media whatever is ordered is an
    edit with one of them. Raises `PlanError` for sizes and lengths beyond the limits and for masks that fit nothing,
    `InputError` for a result that these media cannot give.
    """
    text, language = read(prompt)
    if make != "answer":
        refuse(text, language)
    among = _open(prompt, make)
    reading = _reading(prompt, text, among)
    found, reading = _roles(reading, prompt, text, language, among)
    if make in ("picture", "video") and found.output != {"picture": "image"}.get(make, make):
        raise InputError(f"a {make} is asked for, but the media of this instruction make {_article(found.output)}")
    if found.output == "text":
        made = Plan(task=task_of("text", prompt.kinds), prompt=prompt.text, media=prompt.kinds)
        return PlanResult(made, reading=reading, notices=tuple(told_of_answer(text)))
    with naming([medium.label for medium in prompt.media]):
        made = _plan_of(found, prompt, text, language)
    check_masks(made, prompt.masks)
    return PlanResult(made, reading=reading, notices=tuple(notices(reading, made, text, language)))


def _article(output: Output) -> str:
    return {"image": "a picture", "video": "a video", "text": "an answer"}[output]


def _open(prompt: Prompt, make: Make) -> frozenset[Intent]:
    """The intents that the media and the person's wish leave open."""
    kinds = prompt.kinds
    found = possible(kinds)
    if make == "auto":
        return found
    found &= _MAKES[make]
    wanted = "image" if make == "picture" else "video"
    if make in ("picture", "video") and wanted not in kinds:
        found -= _OF_MEDIUM
    if not found:
        raise InputError(f"a {make} cannot be made of these media; give a picture, or set the output to auto")
    return found


def _reading(prompt: Prompt, text: Text, among: frozenset[Intent]) -> Reading:
    """What kind of order it is; of one with masks, without these and the words that only bring them in."""
    if not prompt.masks:
        words = load(ANY).sub("settings.setting", "", text.words)  # they say nothing of what is wanted
        return intent_model().read(words if words.strip(" ,.;") else text.words, text.kinds, among)
    plain = _BRINGS_MASKS.sub("", "".join(s if isinstance(s, str) else "" if s.is_mask else PADS[s.kind]
                                          for s in prompt.segments))  # fmt: skip
    kinds = tuple(medium.kind for medium in prompt.media if not medium.is_mask) or prompt.kinds
    words = read(parse_pads(plain))[0].words if plain.strip() else ""
    reading = intent_model().read(words, kinds, possible(kinds))
    if among == {"ask"} or (reading.intent == "ask" and "ask" in among):
        return replace(reading, intent="ask", other="edit" if "edit" in among else None)
    return replace(reading, intent="edit", other="ask" if reading.other == "ask" else None)


def _roles(
    reading: Reading, prompt: Prompt, text: Text, language: Language, among: frozenset[Intent]
) -> tuple[Roles, Reading]:
    """Which medium is what; a mask, a frame or a map that is called so outweighs a reading that is not sure."""
    if not text.kinds:
        bare = bare_intent(reading, text, language)
        reading = _corrected(reading, bare if bare in among else reading.intent)
    if reading.intent == "ask":
        reading = _corrected(reading, _firm("ask", text, language, among))
    if reading.intent == "ask" and not _leads_up(reading, text, language):
        return Roles("text"), reading
    if prompt.masks:
        return masked(prompt.masks, text, language), _corrected(reading, "edit")
    if (found := said_mask(text, language, reading.intent)) is not None:
        return found, _corrected(reading, "edit")
    intent = reading.intent if reading.sure >= _SURE else _settled(reading, text, language)
    intent = _firm(intent, text, language, among)
    return assigned(intent, text, language), _corrected(reading, intent)


def _firm(intent: Intent, text: Text, language: Language, among: frozenset[Intent]) -> Intent:
    """What the words leave no doubt of, where the media and the person's wish leave it open."""
    firm = firm_intent(intent, text, language)
    return firm if firm in among else intent


def _leads_up(reading: Reading, text: Text, language: Language) -> bool:
    """Whether a question that is not sure is an order to show what comes before the one video."""
    is_open = reading.sure < _CLEAR and text.kinds == ("video",) and "?" not in text.value
    return is_open and language.search("roles.earlier", text.value) is not None


def _settled(reading: Reading, text: Text, language: Language) -> Intent:
    """What the roles make of a reading that is not sure."""
    if reading.intent == "ask":
        return "extend"
    if reading.intent in _MAYBE_FRAMES and says_frames(text, language):
        return "frames"
    return reading.intent


def _corrected(reading: Reading, intent: Intent) -> Reading:
    """The reading with the intent that the roles settle on; the model's own becomes the other one."""
    return reading if reading.intent == intent else replace(reading, intent=intent, other=reading.intent)


def _plan_of(found: Roles, prompt: Prompt, text: Text, language: Language) -> Plan:
    """The roles with what is said of size, length and rate."""
    video = found.output == "video"
    extends = any(prompt.kinds[frame.medium] == "video" for frame in found.frames)
    in_all = measures.length_in_all(text.value, language) if extends else None
    width, height = (found.borders is None and measures.size(text.value, language)) or (None, None)
    return Plan(
        task=task_of(
            found.output,
            prompt.kinds,
            edit=found.source is not None,
            control=found.control is not None,
            frames=bool(found.frames),
            reference=bool(found.references),
        ),
        width=width,
        height=height,
        num_frames=(in_all or measures.length(text.value, language, added=extends)) if video else None,
        in_all=in_all is not None,
        fps=measures.rate(text.words, language) if video else None,
        counted=video and measures.in_frames(text.value, language),
        frames=found.frames,
        mask=found.mask,
        source=found.source,
        references=found.references,
        control=found.control_kind,
        target=found.target,
        borders=found.borders,
        mask_keeps=found.mask_keeps,
        prompt=prompt.text,
        media=prompt.kinds,
    )


class RulesPlanner:
    """The rules as a `Planner`; it has no features. why: it is they who plan, said with each plan."""

    def __init__(self, why: str = "") -> None:
        self._told = (Reason("planner", f"the rules plan: {why}"),) if why else ()

    def plan(
        self,
        prompt: Prompt,
        *,
        make: Make = "auto",
        media: Media | None = None,
        progress: Progress = silent,
        cancel: Cancel = never,
    ) -> PlanResult:
        """See `planned`; it takes a millisecond, so there is nothing to show or to stop."""
        return planned(prompt, make).told(self._told)
