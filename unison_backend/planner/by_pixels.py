"""The mask by its pixels: of two media of which the words do not say firmly which is the mask, the black and white one.

The planner itself reads text only. It says which media are open, and is asked again with the mask marked as one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..plan.prompt import Prompt
from ..plan.spec import Reason
from .base import PlanResult

# Whether the medium of an index holds black and white only.
Looks = Callable[[int], bool]
# What the planner makes of a prompt.
Plans = Callable[[Prompt], PlanResult]


def with_seen_mask(result: PlanResult, prompt: Prompt, plans: Plans, looks: Looks) -> PlanResult:
    """`result`, or the plan with the mask that its pixels show; media are looked at only where the words leave it open.

    Raises what `plans` and `looks` raise.
    """
    if not result.open_masks:
        return result
    seen = [index for index in range(len(prompt.media)) if looks(index)]
    if len(seen) != 1 or seen[0] not in result.open_masks or seen[0] == result.plan.mask:
        return result
    made = plans(_marked(prompt, seen[0]))
    label = prompt.media[seen[0]].label
    why = f"{label} holds black and white only and no word says what it is: it is the mask"
    return replace(made, notices=(Reason("mask", why, is_warning=True), *made.notices))


def _marked(prompt: Prompt, index: int) -> Prompt:
    """`prompt` with the medium of an index as a mask."""
    return prompt.with_media(replace(m, is_mask=True) if i == index else m for i, m in enumerate(prompt.media))
