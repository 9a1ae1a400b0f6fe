"""What `spec.resolve` gives: final size, length and rate of what will be made, with reasons; and what holds unsaid."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ..defaults import FPS, HEIGHT, NUM_FRAMES, WIDTH
from .continuing import PlacedClip
from .segments import Segment
from .tasks import Task


@dataclass(frozen=True)
class Limits:
    """What holds where nothing was said. of: whose it is, for reasons, where that is not Wan VACE's own."""

    width: int = WIDTH
    height: int = HEIGHT
    num_frames: int = NUM_FRAMES
    fps: int = FPS
    of: str = ""

    @property
    def size(self) -> str:
        """In words: "832x480", "64x64 of the embedded models"."""
        return f"{self.width}x{self.height}{f' of {self.of}' if self.of else ''}"


DEFAULTS = Limits()  # Wan VACE's own


@dataclass(frozen=True)
class Reason:
    """Why `field` is what it is, in words fit to be shown. is_warning: a person may well not have meant it."""

    field: str
    text: str
    is_warning: bool = False


Reasons = tuple[Reason, ...]


@dataclass(frozen=True)
class GenerationSpec:
    """Final size in pixels (multiples of 16), length in frames (4 k + 1) and fps of what will be made.

    `clips`: those that the result goes on from, and where they stand in it; then its length is any number of frames.

    A still has one frame and no fps, an answer has neither size nor frames. A value that a medium decides is None
    while that medium is not here. `source_frames`: which frames of the deciding video are used, in order.
    `keeps_length`: the output lasts as long as that video, so its sound still fits. `kept_frames`: how many of the
    made frames are the result; the rest behind them only fills up to 4 k + 1. `segments`: the parts that a video is
    made in, which is none when it is made at once.
    """

    task: Task
    width: int | None = None
    height: int | None = None
    num_frames: int | None = None
    fps: Fraction | None = None
    source_frames: tuple[int, ...] = ()
    keeps_length: bool = False
    reasons: tuple[Reason, ...] = ()
    kept_frames: int | None = None
    segments: tuple[Segment, ...] = ()
    clips: tuple[PlacedClip, ...] = ()

    @property
    def is_complete(self) -> bool:
        """True when nothing is left open, so that making can start."""
        fps_known = self.fps is not None or self.task.output != "video"
        return None not in (self.width, self.height, self.num_frames) and fps_known
