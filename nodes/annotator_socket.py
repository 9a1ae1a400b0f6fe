"""Detector, segmenter and control models as the host's model manager holds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from ..unison_backend.annotators import bind
from ..unison_backend.planner.rules.targets import parse_target
from ..unison_backend.progress import Cancel, Progress
from ..unison_backend.sources.prepare import Annotators
from . import host

# Working memory as a share of the weights; both networks see one frame at a time.
_SHARE = 1.0


class UnisonAnnotatorWeights(nn.Module):
    """Holds one model: the patcher sets attributes that transformers' own classes refuse. The host logs this name."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.held = model


@dataclass(frozen=True)
class AnnotatorModel:
    """What the sockets of annotators carry: a tool of the backend (Detector, Segmenter, ...) and its patcher."""

    patcher: Any
    tool: Any

    @classmethod
    def of(cls, tool: Any) -> AnnotatorModel:
        """`tool.model` in a patcher."""
        return cls(host.model_patcher(UnisonAnnotatorWeights(tool.model)), tool)

    @contextmanager
    def loaded(self) -> Iterator[Any]:
        """Inside, the weights are on their device."""
        host.load(self.patcher, memory_required=int(self.patcher.model_size() * _SHARE))
        yield self.tool


def annotators(
    detector: AnnotatorModel | None, segmenter: AnnotatorModel | None, control_model: AnnotatorModel | None,
    threshold: float,
) -> Annotators:  # fmt: skip
    """What `sources.prepare` may call; models are loaded when it does. Maps without weights need no model."""

    def find(target: str, video: Any, progress: Progress, cancel: Cancel) -> tuple[Any, str]:
        if detector is None or segmenter is None:
            raise ValueError("a mask is found with both")
        # In one call, so that neither has to go for the other.
        host.load(detector.patcher, segmenter.patcher, memory_required=int(segmenter.patcher.model_size() * _SHARE))
        return bind.mask_finder(detector.tool, segmenter.tool, parse_target, threshold)(target, video, progress, cancel)

    has_both = detector is not None and segmenter is not None
    return Annotators(find if has_both else None, map_maker(control_model))


def map_maker(control_model: AnnotatorModel | None) -> Callable[..., tuple[Any, str]]:
    """The backend's map maker with at most one model."""

    def make(kind: str, video: Any, progress: Progress, cancel: Cancel) -> tuple[Any, str]:
        if control_model is None or kind != control_model.tool.kind:
            return bind.map_maker({})(kind, video, progress, cancel)
        with control_model.loaded() as tool:
            return bind.map_maker({tool.kind: tool})(kind, video, progress, cancel)

    return make
