"""What a picture or video file is, without its pixels."""

from __future__ import annotations

from pathlib import Path

from ..plan.geometry import MediaInfo
from ..plan.tasks import MediaKind
from .pictures import probe_image
from .video import probe_video


def probe(path: Path, kind: MediaKind) -> MediaInfo:
    """Size in pixels, frame times in seconds and sound of a file; of a video only the first frame is decoded.

    Raises MediaError, naming the file and the cure, for a file that is missing, a folder, empty, unreadable, damaged,
    cut short, of the other kind, without a frame, or over 16384 pixels on a side.
    """
    return probe_image(path) if kind == "image" else probe_video(path)
