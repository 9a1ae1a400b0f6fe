"""Pictures and videos by their names."""

from __future__ import annotations

from pathlib import Path

from ..errors import MediaError
from .tasks import MediaKind

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
VIDEO_SUFFIXES = (
    *(".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v"),
    *(".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".vob", ".3gp", ".3g2", ".wmv", ".asf", ".flv", ".ogv"),
)


def kind_of(path: Path | str) -> MediaKind:
    """Whether a file's name says picture or video; any other name is a MediaError that lists the accepted ones."""
    suffix = Path(path).suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return "image"
    if suffix in VIDEO_SUFFIXES:
        return "video"
    accepted = f"{' '.join(IMAGE_SUFFIXES)} for a picture, {' '.join(VIDEO_SUFFIXES)} for a video"
    raise MediaError(f"{path} is neither a picture nor a video by its name: its ending must be one of {accepted}")
