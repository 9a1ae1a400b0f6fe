"""The mask by its pixels, whoever plans: of the media that words leave open the one that looks like a mask.

What words and names leave open the rules say (`rules.open_masks`); the planner is asked again with the mask marked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..media.black_and_white import Look
from ..plan.plan import Plan, is_whole_frame
from ..plan.prompt import Prompt
from ..plan.spec import Reason
from ..plan.tasks import Make
from .base import PlanResult
from .rules.open_masks import OpenMasks, open_masks

# How much the medium of an index looks like a mask.
Looks = Callable[[int], Look]
# What the planner makes of a prompt, for what the person wants of it.
Plans = Callable[[Prompt, Make], PlanResult]
_AGAINST = (
    "looks like a mask, and what the words seem to call one is in colours (--set mask=NUMBER, or a mask socket, says "
    "otherwise)"
)


def with_seen_mask(result: PlanResult, prompt: Prompt, plans: Plans, looks: Looks, make: Make = "auto") -> PlanResult:
    """`result`, or the plan with the mask that its pixels show; media are looked at only where the words leave it open.

    make: what `result` was planned for. Raises what `plans` and `looks` raise.
    """
    plan = result.plan
    if len(prompt.media) < 2 or not plan.task.is_generation:
        return result
    found = open_masks(prompt)
    if not found.open | found.named or not _takes_mask(plan, found):
        return result
    if found.firm is not None and (plan.mask is None or looks(plan.mask) is not Look.PICTURE):
        return result
    index, why = _seen(found, [looks(index) for index in range(len(prompt.media))])
    if index is None or index == plan.mask:
        return result
    made = _exchanged(result, index) or plans(_marked(prompt, index), "made" if make == "auto" else make)
    label = prompt.media[index].label
    return replace(made, notices=(Reason("mask", f"{label} {why}: it is the mask", is_warning=True), *made.notices))


def _takes_mask(plan: Plan, found: OpenMasks) -> bool:
    """Whether a plan changes something; where words or names call a mask, also one that takes its media as a look."""
    if plan.borders is not None:
        return False
    if plan.source is not None or is_whole_frame(plan.target):
        return True
    is_look = bool(plan.references) and not plan.frames and plan.control is None
    return is_look and (found.is_called or bool(found.named))


def _seen(found: OpenMasks, looks: Sequence[Look]) -> tuple[int | None, str]:
    """The medium whose pixels make it the mask, and why; None where they do not tell."""
    if (named := _named(found, looks)) is not None:
        return named, "has the name of a mask, and no word says firmly what it is"
    best = max(looks)
    alike = [index for index, look in enumerate(looks) if look is best]
    if len(alike) != 1 or alike[0] not in found.open:
        return None, ""
    if found.firm is not None:
        return alike[0], _AGAINST
    if best is Look.MASK and (len(looks) == 2 or found.is_called):
        return alike[0], "holds black and white only and no word says what it is"
    if best is Look.PLAIN and found.is_called:
        return alike[0], "alone is in greys, flat or has transparent parts, and the words do not say which is the mask"
    return None, ""


def _named(found: OpenMasks, looks: Sequence[Look]) -> int | None:
    """The one medium whose name calls it a mask, and whose pixels do not say otherwise."""
    named = [index for index in found.named if looks[index] >= Look.PLAIN]
    return named[0] if len(named) == 1 and (looks[named[0]] is Look.MASK or named[0] in found.open) else None


def _exchanged(result: PlanResult, index: int) -> PlanResult | None:
    """A model's plan that took the two for each other, put right without asking it once more."""
    plan = result.plan
    if result.reading is not None or plan.mask is None or plan.source != index:
        return None
    if plan.media[plan.mask] != plan.media[index]:
        return None
    return replace(result, plan=replace(plan, mask=index, source=plan.mask))


def _marked(prompt: Prompt, index: int) -> Prompt:
    """`prompt` with the medium of an index as a mask."""
    return prompt.with_media(replace(m, is_mask=True) if i == index else m for i, m in enumerate(prompt.media))
