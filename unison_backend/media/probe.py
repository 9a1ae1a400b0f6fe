"""What a picture or video file is, and the frames of a video of any format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..plan.geometry import MediaInfo
from ..plan.tasks import MediaKind
from ..progress import Cancel, never
from .moving import is_moving, iter_moving, probe_moving
from .pictures import probe_image
from .video import iter_video, probe_video

if TYPE_CHECKING:
    from .fit import Fit
    from .turn import Pixels


def probe(path: Path, kind: MediaKind) -> MediaInfo:
    """Size in pixels, frame times in seconds and sound of a file; of a video only the first frame is decoded.

    A GIF, WebP or PNG of several frames is a video or, of its first frame, a picture.

    Raises MediaError, naming the file and the cure, for a file that is missing, a folder, empty, unreadable, damaged,
    cut short, of the other kind, without a frame, or over 16384 pixels on a side.
    """
    if kind == "image":
        return probe_image(path)
    return probe_moving(path) if is_moving(path) else probe_video(path)


def iter_frames(
    path: Path,
    indices: Sequence[int] | None = None,
    cancel: Cancel = never,
    *,
    as_mask: bool = False,
    fit: Fit | None = None,
) -> Iterator[Pixels]:
    """`video.iter_video` of any file that is a video, a moving picture too, whose frames come whole."""
    if is_moving(path):
        return iter_moving(path, indices, cancel, as_mask=as_mask)
    return iter_video(path, indices, cancel, as_mask=as_mask, fit=fit)
