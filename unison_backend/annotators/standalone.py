"""Annotators of a run without a host: in a models folder or named, loaded when first needed, let go afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..models import files_below
from ..progress import Cancel, Progress
from ..sources import Annotators
from .detector import THRESHOLD, is_detector_folder
from .segmenter import is_segmenter_folder

if TYPE_CHECKING:
    import torch
    from torch import Tensor

FOLDERS = ("unison", "detection", "grounding-dino", "sam2")


@dataclass(frozen=True)
class AnnotatorPaths:
    """Where annotators lie. threshold: what is looked for must score more."""

    detector: Path | None = None
    segmenter: Path | None = None
    control: tuple[Path, ...] = ()
    threshold: float = THRESHOLD

    def __post_init__(self) -> None:
        for path in (self.detector, self.segmenter, *self.control):
            if path is not None and not path.exists():
                raise InputError(f"{path} does not exist; give a folder that holds the model")

    def completed(self, models: Path | None) -> AnnotatorPaths:
        """With the first detector and segmenter in a models folder in place of those not named."""
        if models is None or (self.detector and self.segmenter):
            return self
        folders = [f.parent for name in FOLDERS for f in files_below(models / name) if f.name == "config.json"]
        detector = self.detector or next(filter(is_detector_folder, sorted(folders)), None)
        segmenter = self.segmenter or next(filter(is_segmenter_folder, sorted(folders)), None)
        return replace(self, detector=detector, segmenter=segmenter)


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
    """The named model of that kind, if there is one and the map takes one."""
    from .control_loading import load_control_model

    if kind not in ("depth", "pose", "flow"):
        return {}
    loaded = (load_control_model(path) for path in paths)
    return {model.kind: model.to(device) for model in loaded if model.kind == kind}
