"""Detector, segmenter and control models as the hooks that `sources.prepare` calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..defaults import DETECTION_THRESHOLD
from ..errors import InputError
from ..plan.controls import weighted_kinds
from ..progress import Cancel, Progress
from ..sources.prepare import Annotators, FindMask, MakeMap
from .places import find_annotators

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from .detector import Detector
    from .segmenter import Segmenter


class Wanted(Protocol):
    """What a detector looks for: an English phrase, and whether all that fit are meant or the best one."""

    @property
    def phrase(self) -> str: ...

    @property
    def plural(self) -> bool: ...


ReadTarget = Callable[[str], Wanted]
"""A plan's target as a detector takes it (`planner.rules.targets.parse_target`)."""


def mask_finder(
    detector: Detector, segmenter: Segmenter, read_target: ReadTarget, threshold: float = DETECTION_THRESHOLD
) -> FindMask:
    """Finds what a plan's target names: one thing for a singular phrase, all that fit for a plural one.

    The whole frame is never asked for here: `sources.prepare` takes it without looking.
    """
    from .found_mask import find

    def find_mask(target: str, video: Tensor, progress: Progress, cancel: Cancel) -> tuple[Tensor, str]:
        wanted = read_target(target)
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
    """Makes control maps; `models` by kind, for those that take weights."""
    from .maps.make import make_map

    def make(kind: str, video: Tensor, progress: Progress, cancel: Cancel) -> tuple[Tensor, str]:
        return make_map(kind, video, models, progress, cancel)

    return make


@dataclass(frozen=True)
class AnnotatorPaths:
    """Where annotators lie. control: the first of a kind counts. threshold: what is looked for must score more."""

    detector: Path | None = None
    segmenter: Path | None = None
    control: tuple[Path, ...] = ()
    threshold: float = DETECTION_THRESHOLD

    def __post_init__(self) -> None:
        for path in (self.detector, self.segmenter, *self.control):
            if path is not None and not path.exists():
                raise InputError(f"{path} does not exist; give a folder that holds the model")

    def completed(self, models: Path | None) -> AnnotatorPaths:
        """With the first of each kind in a models folder behind those named."""
        if models is None:
            return self
        found = find_annotators(models)
        maps = tuple(found[kind] for kind in weighted_kinds() if kind in found)
        return replace(
            self,
            detector=self.detector or found.get("detector"),
            segmenter=self.segmenter or found.get("segmenter"),
            control=(*self.control, *maps),
        )


def annotators(
    paths: AnnotatorPaths, device: torch.device, read_target: ReadTarget, *, keep: bool = False
) -> Annotators:
    """Hooks for `sources.prepare`; without both detector and segmenter masks are not found.

    keep: models stay loaded from one call to the next.
    """
    remember: Callable[[Any], Any] = cache if keep else lambda function: function

    @remember
    def found_models() -> tuple[Detector, Segmenter]:
        from .detector import load_detector
        from .segmenter import load_segmenter

        if paths.detector is None or paths.segmenter is None:
            raise ValueError("a mask is found with both")
        return load_detector(paths.detector, device=device), load_segmenter(paths.segmenter, device=device)

    @remember
    def control_models(kind: str) -> dict[str, Any]:
        return _control_models(paths.control, kind, device)

    def find_mask(target: str, video: Tensor, progress: Progress, cancel: Cancel) -> tuple[Tensor, str]:
        detector, segmenter = found_models()
        return mask_finder(detector, segmenter, read_target, paths.threshold)(target, video, progress, cancel)

    def make_map(kind: str, video: Tensor, progress: Progress, cancel: Cancel) -> tuple[Tensor, str]:
        return map_maker(control_models(kind))(kind, video, progress, cancel)

    return Annotators(find_mask if paths.detector and paths.segmenter else None, make_map)


def _control_models(paths: Sequence[Path], kind: str, device: torch.device) -> dict[str, Any]:
    """The first model of that kind, if there is one and the map takes one; a path that is no model is an error."""
    from .maps.load import control_kind, load_control_model

    if kind not in weighted_kinds():
        return {}
    chosen = next((path for path in paths if control_kind(path) in (kind, "")), None)
    return {kind: load_control_model(chosen, device=device)} if chosen is not None else {}
