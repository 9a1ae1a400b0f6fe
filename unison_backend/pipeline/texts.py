"""What the engine reads of a plan: T5 rows, and the projected tokens behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..plan.prompt import check_characters
from ..progress import Cancel, Progress, check, never, silent
from .planning import Planned
from .stages import Stages

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Texts:
    """Both contexts [1, 2048, D] on the CPU, and what there is to say about them."""

    positive: Tensor
    negative: Tensor
    notices: tuple[str, ...] = ()


def read_texts(
    planned: Planned, stages: Stages, negative: str | None, progress: Progress = silent, cancel: Cancel = never
) -> Texts:
    """What the engine reads of a plan: both contexts, the positive one with the projected tokens."""
    projected, missing = project_features(planned, stages, cancel, progress)
    return Texts(*encode_texts(planned, projected, stages, negative, progress, cancel), missing)


def project_features(
    planned: Planned, stages: Stages, cancel: Cancel, progress: Progress = silent
) -> tuple[Tensor | None, tuple[str, ...]]:
    """The projected tokens [1, 4, 4096] on the CPU, and a notice when a planner cannot give the features for them.

    The planner's own features are used when it had any; after rules they come from the planner folder's prefill.
    """
    models = stages.models
    if models.projector is None or models.planner is None:
        return None, ()
    from ..conditioning.projector import project
    from ..planner.qwen.planner import QwenPlanner

    features = planned.features
    if features is None:
        plain = f"{models.planner} has no planning weights: made without projected tokens"
        if models.planner.is_dir() and not models.plans:  # any vision-language model, which may have planned by prompt
            return None, (plain,)
        qwen = stages.qwen(progress)
        if not qwen.has_planning:
            return None, (plain,)
        features = QwenPlanner(qwen).features(planned.prompt, cancel=cancel)
    return project(stages.projector(), features).cpu(), ()


def encode_texts(
    planned: Planned,
    projected: Tensor | None,
    stages: Stages,
    negative: str | None,
    progress: Progress,
    cancel: Cancel,
) -> tuple[Tensor, Tensor]:
    """Both contexts [1, 2048, D]: T5 rows of the text with pads, on the positive side the projected tokens too."""
    from ..conditioning.text_context import clean_text, negative_prompt, text_context

    check_characters(negative or "", "the negative prompt")
    check(cancel, "reading the instruction")
    progress("reading the instruction", 0, 2)
    encoder = stages.text_encoder()
    progress("reading the instruction", 1, 2)
    check(cancel, "reading the instruction")
    positive = text_context(encoder.encode(clean_text(planned.prompt.text)).cpu(), projected)
    other = text_context(encoder.encode(clean_text(negative_prompt() if negative is None else negative)).cpu())
    progress("reading the instruction", 2, 2)
    return positive, other
