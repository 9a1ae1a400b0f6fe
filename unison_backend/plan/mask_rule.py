"""What every planner owes to masks, which only the instruction knows."""

from __future__ import annotations

from collections.abc import Sequence

from .plan import Plan, PlanError


def mask_edits(media: Sequence[str], masks: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """(mask, source) of every edit with one of `masks`, which are indices into `media`; a video mask needs a video."""
    sources = [i for i in range(len(media)) if i not in masks]
    return tuple((m, s) for m in masks for s in sources if media[m] == "image" or media[s] == "video")


def check_mask_fits(media: Sequence[str], masks: Sequence[int]) -> None:
    """Raises `PlanError` with the field "mask" when there are masks and nothing that one of them fits."""
    if not masks or mask_edits(media, masks):
        return
    if all(i in masks for i in range(len(media))):
        raise PlanError("mask", "a mask without a picture or video", "a mask beside the picture or video to edit")
    raise PlanError("mask", "a mask of several frames without a video", "such a mask beside the video to edit")


def check_masks(plan: Plan, masks: Sequence[int]) -> None:
    """With `masks` (indices into `plan.media`) a generation plan is an edit with one of them; none has another role.

    An answer may look at masks as at any medium. Raises `PlanError` with the field "mask".
    """
    if not masks or not plan.task.is_generation:
        return
    check_mask_fits(plan.media, masks)
    if plan.mask not in masks:
        raise PlanError("mask", plan.mask, f"an edit with a mask: {' or '.join(map(str, masks))}")
    others = {plan.source, plan.control_medium, *plan.references, *(frame.medium for frame in plan.frames)}
    if wrong := [i for i in masks if i in others]:
        raise PlanError("mask", wrong[0], "the mask of an edit and nothing else")
