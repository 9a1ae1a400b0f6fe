"""Detector, segmenter and control models as the hooks that `sources.prepare` calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..progress import Cancel, Progress
from ..sources import FindMask, MakeMap
from .detector import THRESHOLD

if TYPE_CHECKING:
    from torch import Tensor

    from .detector import Detector
    from .segmenter import Segmenter


def mask_finder(detector: Detector, segmenter: Segmenter, threshold: float = THRESHOLD) -> FindMask:
    """Finds what a plan's target names: one thing for a singular phrase, all that fit for a plural one.

    The whole frame is never asked for here: `sources.prepare` takes it without looking.
    """
    from ..planner.targets import parse_target
    from .finding import find

    def find_mask(target: str, video: Tensor, progress: Progress, cancel: Cancel) -> tuple[Tensor, str]:
        wanted = parse_target(target)
        found = find(
            wanted.phrase,
            video,
            detector,
            segmenter,
            plural=wanted.plural,
            threshold=threshold,
            progress=progress,
            cancel=cancel,
        )
        return found.mask, found.explanation

    return find_mask


def map_maker(models: Mapping[str, Any]) -> MakeMap:
    """Makes control maps; `models` by kind (depth, pose, flow), the other kinds need none."""
    from .control_models import make_map

    def make(kind: str, video: Tensor, progress: Progress, cancel: Cancel) -> tuple[Tensor, str]:
        made: tuple[Tensor, str] = make_map(kind, video, models, progress, cancel)
        return made

    return make
