"""Writing pictures and videos, whole or not at all, and the text that travels with them.

Every file is written under another name in its own folder and takes its place at the end: a failed or cancelled run
leaves an older file as it was and nothing beside it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sized
from contextlib import ExitStack
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MediaError
from ..files import Place, new_file, writing
from ..plan.kinds import VIDEO_SUFFIXES
from ..progress import Cancel, Progress, check, never, silent
from .mp4 import MAX_FPS, Mp4Writer, open_sound
from .pictures import open_image
from .to_bytes import to_bytes
from .video import open_clip

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IMAGE_WRITE_SUFFIXES = (".png", ".webp", ".jpg", ".jpeg")
VIDEO_WRITE_SUFFIXES = (".mp4", ".m4v")

# What FFmpeg itself puts into every MP4.
MP4_OWN_KEYS = ("major_brand", "minor_version", "compatible_brands", "encoder")
IMAGE_DESCRIPTION_TAG = 0x010E
JPEG_COMMENT = b"\xff\xfe"
JPEG_SEGMENT = 65533


def _require_suffix(path: Path, accepted: tuple[str, ...], what: str) -> None:
    if path.suffix.lower() not in accepted:
        fits = f"a picture to {' '.join(IMAGE_WRITE_SUFFIXES)}, a video to {' '.join(VIDEO_WRITE_SUFFIXES)}"
        raise MediaError(f"{path}: a {what} cannot be written under this ending, only {fits}")


def _checked(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """`[H, W, 3]`, uint8 or float in 0..1, as uint8 (`to_bytes`). ValueError otherwise."""
    import numpy as np

    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise ValueError(f"pixels must be [height, width, 3], not {list(pixels.shape)}")
    if pixels.dtype != np.uint8 and not np.issubdtype(pixels.dtype, np.floating):
        raise ValueError(f"pixels must be uint8 or float, not {pixels.dtype}")
    return to_bytes(pixels)


def _clean(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """Metadata without what no file can hold: zero bytes and halves of surrogate pairs."""
    return {key: value.replace("\0", "").encode("utf-8", "replace").decode() for key, value in (metadata or {}).items()}


def write_image(
    path: Path, pixels: NDArray[Any], *, metadata: Mapping[str, str] | None = None, place: Place = "name"
) -> Path:
    """Write `[H, W, 3]` RGB (float in 0..1, or uint8) as PNG, lossless WebP or JPEG by the name's ending.

    `metadata` becomes text chunks in a PNG (as ComfyUI writes them), a JSON object in the others. Folders are made.
    place: what `path` means. Returns where the file is.
    Raises MediaError (another ending, no permission, too large for the format), ResourceError (full disk).
    """
    _require_suffix(path, IMAGE_WRITE_SUFFIXES, "picture")
    data = _checked(pixels)
    from PIL import Image

    # struct.error: a picture larger than the format's own fields
    with new_file(path, place) as new, writing(path, struct.error):
        # Through memory: when the disk fills up, Pillow's own writing to a file can stop half way and not say so.
        encoded = BytesIO()
        Image.fromarray(data).save(encoded, **_save_options(path.suffix.lower(), _clean(metadata)))
        new.temporary.write_bytes(encoded.getvalue())
    return new.path


def _save_options(suffix: str, metadata: dict[str, str]) -> dict[str, Any]:
    """Pillow's arguments for a file of that ending."""
    from PIL import Image, PngImagePlugin

    if suffix == ".png":
        chunks = PngImagePlugin.PngInfo()
        for key, value in metadata.items():
            chunks.add_text(key, value)
        return {"format": "PNG", "pnginfo": chunks, "compress_level": 4}
    text = json.dumps(metadata) if metadata else ""
    if suffix == ".webp":
        exif = Image.Exif()
        exif[IMAGE_DESCRIPTION_TAG] = text
        return {"format": "WEBP", "lossless": True, **({"exif": exif} if text else {})}
    return {"format": "JPEG", "quality": 95, "subsampling": 0, "extra": _jpeg_comments(text.encode("ascii"))}


def _jpeg_comments(text: bytes) -> bytes:
    """Comment segments that together hold a text of any length; each holds 64 kB at most."""
    parts = [text[at : at + JPEG_SEGMENT] for at in range(0, len(text), JPEG_SEGMENT)]
    return b"".join(JPEG_COMMENT + struct.pack(">H", len(part) + 2) + part for part in parts)


def write_video(
    path: Path,
    frames: Iterable[NDArray[Any]],
    fps: Fraction,
    *,
    audio_from: Path | None = None,
    audio_start: Fraction = Fraction(0),
    metadata: Mapping[str, str] | None = None,
    progress: Progress = silent,
    cancel: Cancel = never,
    place: Place = "name",
) -> Path:
    """Write `[H, W, 3]` RGB frames (float in 0..1, or uint8; an array `[T, H, W, 3]` too) as H.264 in MP4.

    Every frame lasts exactly 1 / `fps` seconds (denominators up to a million), the first one starts at 0. Odd sides
    get their last row or column twice. The sound of `audio_from` is copied where MP4 takes it, else made AAC, sets in
    after `audio_start` seconds and ends with the video; a file without sound is fine. `metadata` is readable by
    `read_metadata`; folders are made. place: what `path` means. Returns where the file is.
    Raises MediaError (another ending, no frames, unreadable sound, no permission), ResourceError (full disk),
    UnsupportedError (FFmpeg without x264), ValueError (frames of several sizes), Cancelled.
    """
    _require_suffix(path, VIDEO_WRITE_SUFFIXES, "video")
    if not Fraction(1, MAX_FPS) <= fps <= MAX_FPS:
        raise MediaError(f"{path}: {fps} frames per second cannot be written, only 1/{MAX_FPS} to {MAX_FPS}")
    import numpy as np

    total = len(frames) if isinstance(frames, Sized) else 0
    with ExitStack() as stack:
        # The sound is closed before the new file takes its place, which may be the sound's own.
        new = stack.enter_context(new_file(path, place))
        sound = stack.enter_context(open_sound(audio_from, audio_start)) if audio_from else None
        writer = stack.enter_context(Mp4Writer(path, new.temporary, fps, _clean(metadata), sound))
        for done, pixels in enumerate(frames, 1):
            check(cancel, "writing video")
            writer.add(_checked(np.asarray(pixels)))
            progress("writing video", done, total)
        writer.finish()
    return new.path


def read_metadata(path: Path) -> dict[str, str]:
    """The text that `write_image` or `write_video` put into a file; of a PNG or MP4 also what others put there.

    Raises MediaError when the file cannot be read; a picture or video without text gives an empty dict.
    """
    if path.suffix.lower() in VIDEO_SUFFIXES:
        with open_clip(path) as clip:
            tags = clip.stream.container.metadata
            return {key: value for key, value in tags.items() if key not in MP4_OWN_KEYS}
    with open_image(path) as image:
        found: Any = image
        if image.format == "PNG":
            return {key: str(value) for key, value in found.text.items()}
        if image.format == "JPEG":
            text = b"".join(data for name, data in found.applist if name == "COM").decode("ascii", "replace")
        else:
            text = str(image.getexif().get(IMAGE_DESCRIPTION_TAG, ""))
        return _object_of_strings(text)


def _object_of_strings(text: str) -> dict[str, str]:
    """The JSON object that a text is; an empty one for anything else, such as a camera's comment."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return {str(key): str(item) for key, item in value.items()} if isinstance(value, dict) else {}
