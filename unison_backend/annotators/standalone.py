"""Annotators of a run without a host: in a models folder or named, loaded when first needed, let go afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..progress import Cancel, Progress
from ..sources import Annotators
from .detector import THRESHOLD
from .places import find_annotators

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MODEL_KINDS = ("depth", "pose", "flow")  # of maps that take weights


@dataclass(frozen=True)
class AnnotatorPaths:
    """Where annotators lie. control: the first of a kind counts. threshold: what is looked for must score more."""

    detector: Path | None = None
    segmenter: Path | None = None
    control: tuple[Path, ...] = ()
    threshold: float = THRESHOLD

    def __post_init__(self) -> None:
        for path in (self.detector, self.segmenter, *self.control):
            if path is not None and not path.exists():
                raise InputError(f"{path} does not exist; give a folder that holds the model")

    def completed(self, models: Path | None) -> AnnotatorPaths:
        """With the first of each kind in a models folder behind those named."""
        if models is None:
            return self
        found = find_annotators(models)
        maps = tuple(found[kind] for kind in MODEL_KINDS if kind in found)
        return replace(
            self,
            detector=self.detector or found.get("detector"),
            segmenter=self.segmenter or found.get("segmenter"),
            control=(*self.control, *maps),
        )


def annotators(paths: AnnotatorPaths, device: torch.device) -> Annotators:
    """Hooks for `sources.prepare`; without both detector and segmenter masks are not found."""

    def find_mask(target: str, video: Tensor, progress: Progress, cancel: Cancel) -> tuple[Tensor, str]:
        from .detector import load_detector
        from .hooks import mask_finder
        from .segmenter import load_segmenter

        if paths.detector is None or paths.segmenter is None:
            raise ValueError("a mask is found with both")
        detector = load_detector(paths.detector, device=device)
        segmenter = load_segmenter(paths.segmenter, device=device)
        return mask_finder(detector, segmenter, paths.threshold)(target, video, progress, cancel)

    def make_map(kind: str, video: Tensor, progress: Progress, cancel: Cancel) -> tuple[Tensor, str]:
        from .hooks import map_maker

        return map_maker(_control_models(paths.control, kind, device))(kind, video, progress, cancel)

    return Annotators(find_mask if paths.detector and paths.segmenter else None, make_map)


def _control_models(paths: Sequence[Path], kind: str, device: torch.device) -> dict[str, Any]:
    """The first model of that kind, if there is one and the map takes one; a path that is no model is an error."""
    from .control_loading import control_kind, load_control_model

    if kind not in MODEL_KINDS:
        return {}
    chosen = next((path for path in paths if control_kind(path) in (kind, "")), None)
    return {kind: load_control_model(chosen, device=device)} if chosen is not None else {}
