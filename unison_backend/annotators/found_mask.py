"""Found masks: a phrase becomes boxes in the first frame that shows it, and the boxes a mask for every frame.

Reference: VACE's `label` annotator, which looks at frame 0 alone, takes the first box and
gives up when there is none. Ours looks further into the clip, takes all boxes for a plural, and says what it did.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..defaults import DETECTION_THRESHOLD
from ..errors import InputError
from ..progress import Cancel, Progress, never, silent
from .detector import Detection, Detector

if TYPE_CHECKING:
    from .segmenter import Segmenter

FURTHER_FRAMES = 8  # looked at when frame 0 does not show the thing


@dataclass(frozen=True)
class Found:
    """A found mask [T, H, W] float32 (1 = the thing, 0 = the rest) and how it came about.

    frame: where the boxes are. detections: the boxes that the mask was made from, best first.
    explanation: one sentence for the person.
    """

    mask: Tensor
    frame: int
    detections: tuple[Detection, ...]
    explanation: str


def find(
    phrase: str,
    video: Tensor,
    detector: Detector,
    segmenter: Segmenter,
    *,
    plural: bool = False,
    threshold: float = DETECTION_THRESHOLD,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> Found:
    """The mask of what `phrase` names in a video [T, H, W, 3] float32 0..1; a picture is a video of one frame.

    plural: take all boxes that score more than `threshold` (0..1), not the best alone.
    Raises InputError when the phrase is empty, nothing scores that much, or the mask comes out empty; Cancelled;
    and what detector and segmenter raise.
    """
    if video.ndim != 4 or video.shape[-1] != 3 or not video.numel():
        raise InputError(f"a video is of shape {list(video.shape)}; expected is [frames, height, width, 3]")
    if not 0 <= threshold <= 1:
        raise InputError(f"threshold is {threshold}; it lies between 0 and 1")
    frame, detections = _look(phrase, video, detector, threshold, progress, cancel)
    above = [detection for detection in detections if detection.score > threshold]
    if not above:
        score = _best((frame, detections))
        shown = score if round(score, 2) < threshold else math.floor(score * 100) / 100  # so that it stays "below"
        raise InputError(
            f"the best match for '{phrase}' scored {shown:.2f}, below {threshold:g}: use other words, lower the "
            "threshold, or give a mask"
        )
    taken = above if plural else above[:1]
    boxes = [detection.box for detection in taken]
    mask = segmenter.track(video, frame, boxes=boxes, progress=progress, cancel=cancel)
    if not mask.any():
        raise InputError(
            f"'{phrase}' was found in frame {frame} with {above[0].score:.2f}, but nothing in its box stands out "
            "from the rest: use other words, or give a mask"
        )
    return Found(mask.to(torch.float32), frame, tuple(taken), _explain(phrase, frame, above, plural))


def _look(
    phrase: str, video: Tensor, detector: Detector, threshold: float, progress: Progress, cancel: Cancel
) -> tuple[int, list[Detection]]:
    """The frame that shows the thing best, and everything in it with any score (so that a miss can be told in full)."""

    def detect(numbers: list[int]) -> list[tuple[int, list[Detection]]]:
        frames = [video[number] for number in numbers]
        found = detector.detect(frames, [phrase], threshold=0.0, progress=progress, cancel=cancel)
        return list(zip(numbers, found, strict=True))

    looks = detect([0])
    if _best(looks[0]) <= threshold and (further := further_frames(len(video))):
        looks += detect(further)
    return max(looks, key=_best)


def _best(look: tuple[int, list[Detection]]) -> float:
    return max((detection.score for detection in look[1]), default=0.0)


def further_frames(count: int) -> list[int]:
    """Up to eight frames after the first, spread evenly over a clip of `count` frames, the last among them."""
    steps = min(FURTHER_FRAMES, count - 1)
    return [(step * (count - 1) + steps // 2) // steps for step in range(1, steps + 1)]


def _explain(phrase: str, frame: int, above: list[Detection], plural: bool) -> str:
    text = f"'{phrase}' found in frame {frame} with {above[0].score:.2f}"
    more = len(above) - 1
    return f"{text} ({more} more, {'all' if plural else 'best'} taken)" if more else text
