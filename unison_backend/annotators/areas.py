"""Looking for things in parts of a picture only: each part is cut out, looked at, and its boxes put back in place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..defaults import NMS_IOU
from .detector import Detection, Detector, keep_best

if TYPE_CHECKING:
    from torch import Tensor


def detect_in(
    detector: Detector,
    picture: Tensor,
    areas: Sequence[tuple[float, float, float, float]],
    phrases: Sequence[str],
    *,
    nms: float = NMS_IOU,
    **options: Any,
) -> list[Detection]:
    """What `phrases` name in the areas of a picture [H, W, 3] float32 0..1, best first, in the picture's own pixels.

    areas: left, top, right, bottom in pixels, inside of the picture and not empty; none: the whole picture. The
    detector enlarges each part, so small things are found better. nms: of boxes that overlap more than this, of one
    area or two, only the best stays. options: as `Detector.detect` takes them, which raises what this raises.
    """
    import torch

    height, width = picture.shape[:2]
    edges = [
        (math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)) for left, top, right, bottom in areas
    ]
    edges = edges or [(0, 0, width, height)]
    parts = [picture[top:bottom, left:right] for left, top, right, bottom in edges]
    found = [
        replace(one, box=_moved(one.box, left, top))
        for (left, top, *_), part in zip(edges, detector.detect(parts, phrases, nms=nms, **options), strict=True)
        for one in part
    ]
    if len(edges) == 1 or not found:
        return found
    boxes, scores = torch.tensor([one.box for one in found]), torch.tensor([one.score for one in found])
    return [found[i] for i in keep_best(boxes, scores, nms).tolist()]


def _moved(box: tuple[float, float, float, float], x: int, y: int) -> tuple[float, float, float, float]:
    return box[0] + x, box[1] + y, box[2] + x, box[3] + y
