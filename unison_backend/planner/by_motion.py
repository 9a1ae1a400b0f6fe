"""Pictures that move (GIF, WebP, PNG of several frames): whether an instruction means their motion or their first
frame, which no name of a file says."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace

from ..errors import InputError
from ..plan.plan import Plan, PlanError
from ..plan.prompt import Prompt

# An instruction to its plan.
Plans = Callable[[Prompt], Plan]


def with_motion(prompt: Prompt, moving: Collection[int], plans: Plans | None) -> Prompt:
    """`prompt` with the media `moving` as videos, but for those that its plan takes as references or frames.

    Those two are pictures by their nature, so the plan is asked with pictures first; where it cannot be made of them
    all are videos. plans: None where no medium can be one of the two. Raises what `plans`
    raises beside PlanError and InputError.
    """
    if not moving:
        return prompt
    stills: set[int] = set()
    if plans is not None:
        with suppress(PlanError, InputError):
            plan = plans(prompt)
            stills = {*plan.references, *(frame.medium for frame in plan.frames)}
    videos = {*moving} - stills
    return prompt.with_media(replace(m, kind="video") if i in videos else m for i, m in enumerate(prompt.media))
