"""What a model's plan cannot say or left out, read from the words by the rules.

Signal tokens name a task, a size, a length and which medium is what. They have no word for the thing that an edit is
about, for all but it, for borders to grow by, for a clip that goes on, for a rate or for the kind of a control map; the
JSON of a planner by prompt lacks less, but models leave things out.
"""

from __future__ import annotations

from dataclasses import replace

from ...errors import UnisonError
from ...plan.controls import MAP
from ...plan.plan import Plan, is_whole_frame
from ...plan.prompt import Prompt
from ...plan.spec import Reason
from ...plan.tasks import Make
from ..base import PlanResult
from .notices import told_of_order
from .operations import refuse
from .plan import planned
from .reading import read
from .targets import excepted, target


def refuse_operations(prompt: Prompt, make: Make) -> None:
    """Raises InputError for an order that nothing here does, whoever plans (`operations`)."""
    if make != "answer":
        refuse(*read(prompt))


def completed_tokens(plan: Plan, prompt: Prompt) -> PlanResult:
    """The plan of signal tokens with what they have no word for, and what there is to say about it."""
    if not plan.task.is_generation:
        return PlanResult(plan)
    text, language = read(prompt)
    other = _by_rules(prompt)
    if other is not None and _goes_on(plan, other):
        made = replace(other, raw=plan.raw)
    elif plan.source is not None:
        made = _edit(plan, other, prompt)
    elif other is not None and plan.control == MAP and other.control_medium == plan.control_medium:
        made = replace(plan, control=other.control or plan.control)
    else:
        made = plan
    if other is not None and made.output == other.output == "video":
        made = replace(made, fps=other.fps, counted=other.counted and other.num_frames == made.num_frames)
    return PlanResult(made, notices=tuple(told_of_order(made, text, language)))


def completed_json(plan: Plan, prompt: Prompt) -> tuple[Plan, tuple[Reason, ...]]:
    """A plan by prompt with what its JSON has no field for, or the model left out, and what there is to say about it.

    Whether a length was said in frames; of an edit without mask the thing, or the borders it grows by, and that all
    but the thing changes.
    """
    if not plan.task.is_generation:
        return plan, ()
    is_found = plan.source is not None and plan.mask is None
    other = _by_rules(prompt) if plan.num_frames is not None or is_found else None
    why: tuple[Reason, ...] = ()
    if other is not None and other.num_frames == plan.num_frames:
        plan = replace(plan, counted=other.counted)
    if other is not None and is_found and other.source == plan.source:
        plan, why = _found(plan, other)
    return plan, (*why, *told_of_order(plan, *read(prompt)))


def _found(plan: Plan, other: Plan) -> tuple[Plan, tuple[Reason, ...]]:
    """An edit without a mask with what the rules read of its thing, where the model says none or turns it round."""
    if (plan.target, plan.borders) == (None, None) != (other.target, other.borders):
        told = "the borders it is to grow by" if other.borders is not None else _all_but(other)
        why = Reason("target", f"the model does not say what is changed; the rules read: {told}")
        return replace(plan, target=other.target, borders=other.borders, mask_keeps=other.mask_keeps), (why,)
    if other.mask_keeps and not plan.mask_keeps and _is_same(plan.target, other.target):
        return replace(plan, mask_keeps=True), (
            Reason("mask", f"the model would change {plan.target}; by the words all but it is changed", True),
        )
    return plan, ()


def _by_rules(prompt: Prompt) -> Plan | None:
    """What the rules would make of it; None where they cannot."""
    try:
        return planned(prompt, "made").plan
    except UnisonError:
        return None


def _goes_on(plan: Plan, other: Plan) -> bool:
    """Whether the words continue a clip, of which tokens only say that a video is made."""
    clips = any(other.media[frame.medium] == "video" for frame in other.frames)
    return clips and plan.output == "video" and plan.mask is None


def _edit(plan: Plan, other: Plan | None, prompt: Prompt) -> Plan:
    """An edit with its thing; that of the rules where they work on the same medium with the same mask."""
    if other is not None and other.mask == plan.mask and plan.source in (other.source, _remade(other)):
        if other.borders is not None:
            plan = replace(plan, width=None, height=None)
        return replace(plan, target=other.target, borders=other.borders, mask_keeps=other.mask_keeps)
    words = read(prompt)
    stays = excepted(*words) if plan.mask is None else None
    sought = stays or target(*words)
    return plan if sought is None else replace(plan, target=sought.phrase, mask_keeps=stays is not None)


def _remade(other: Plan) -> int | None:
    """The medium of which everything changes: the rules take it as what steers, a token planner as what is edited."""
    return other.control_medium if is_whole_frame(other.target) else None


def _all_but(plan: Plan) -> str:
    return f"all but {plan.target}" if plan.mask_keeps else str(plan.target)


def _is_same(one: str | None, other: str | None) -> bool:
    """Whether one phrase names the thing of the other, with or without its article."""
    mine, theirs = (f" {(phrase or '').casefold().strip(' .')} " for phrase in (one, other))
    return bool(mine.strip() and theirs.strip()) and (mine in theirs or theirs in mine)
