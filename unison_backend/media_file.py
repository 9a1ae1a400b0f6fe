"""What the media modules share: telling pictures from videos, damage checks, turning pixels, files written whole."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TypeAlias
from uuid import uuid4

from .errors import MediaError, ResourceError, UnisonError
from .tasks import MediaKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels: TypeAlias = NDArray[np.float32]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v")
MAX_SIDE = 16384

# Some AVI writers count their own header twice, so a few missing bytes are no damage.
CUT_SLACK = 64


def kind_of(path: Path | str) -> MediaKind:
    """Whether a file's name says picture or video; any other name is a MediaError that lists the accepted ones."""
    suffix = Path(path).suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return "image"
    if suffix in VIDEO_SUFFIXES:
        return "video"
    accepted = f"{' '.join(IMAGE_SUFFIXES)} for a picture, {' '.join(VIDEO_SUFFIXES)} for a video"
    raise MediaError(f"{path} is neither a picture nor a video by its name: its ending must be one of {accepted}")


def check_file(path: Path) -> bytes:
    """The first 32 bytes of a file; MediaError when it is missing, a folder, a device, unreadable or empty."""
    try:
        if path.is_dir():
            raise MediaError(f"{path} is a folder: name the file inside it")
        # Opening a pipe would wait for a writer.
        if path.exists() and not path.is_file():
            raise MediaError(f"{path} is not an ordinary file: copy its content into one")
        with path.open("rb") as file:
            head = file.read(32)
    except FileNotFoundError as error:
        raise MediaError(f"{path} does not exist: check the spelling and the folder") from error
    except PermissionError as error:
        raise MediaError(f"{path} may not be read: change its permissions or copy it") from error
    except MediaError:
        raise
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        raise MediaError(f"{str(path)!r} cannot be opened ({error}): check the path") from error
    if not head:
        raise MediaError(f"{path} is empty: copy or export it again")
    return head


def check_kind(path: Path, kind: MediaKind) -> None:
    """MediaError unless the file can be read and its content may be of that kind, whatever its name says."""
    content = _content_kind(check_file(path))
    if content in (None, kind):
        return
    found, wanted = ("video", "picture") if kind == "image" else ("picture", "video")
    suffix = path.suffix.lower()
    if suffix in (IMAGE_SUFFIXES if kind == "image" else VIDEO_SUFFIXES):
        raise MediaError(f"{path} is a {found}, though its name ends in {suffix}: rename it or choose a {wanted}")
    raise MediaError(f"{path} is a {found}, but a {wanted} is needed here: choose a {wanted}")


def _content_kind(head: bytes) -> MediaKind | None:
    """What a file's first bytes say it is; None when they say neither."""
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")) or head[8:12] == b"WEBP":
        return "image"
    if head[4:8] == b"ftyp":
        return "image" if head[8:12] in (b"avif", b"heic", b"heix", b"mif1") else "video"
    if head.startswith(b"\x1aE\xdf\xa3") or head[8:12] == b"AVI " or head[4:8] in (b"moov", b"mdat", b"wide"):
        return "video"
    return None


def is_cut_short(path: Path) -> bool:
    """Whether the headers of a video file (MP4, MOV, Matroska, WebM, AVI) promise more bytes than there are.

    FFmpeg does not always tell: a Matroska file that was cut simply ends earlier.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        if head.startswith(b"RIFF"):
            end = int.from_bytes(head[4:], "little") + 8
        elif head.startswith(b"\x1aE\xdf\xa3"):
            end = _matroska_end(file)
        else:
            end = _last_box_end(file, size)
    return end - size > CUT_SLACK


def _last_box_end(file: BinaryIO, size: int) -> int:
    """Where the last top-level box of an MP4 or MOV file says that it ends."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:  # the real one follows the name
            length = int.from_bytes(header[8:], "big")
        if length < 8 or not header[4:8].isalnum():
            break
        at += length
    return at


def _matroska_end(file: BinaryIO) -> int:
    """Where the segment of a Matroska or WebM file says that it ends; 0 when it does not say (live recordings)."""
    file.seek(4)
    file.seek(_ebml_size(file), os.SEEK_CUR)
    if file.read(4) != b"\x18\x53\x80\x67":
        return 0
    length = _ebml_size(file)
    return file.tell() + length if length else 0


def _ebml_size(file: BinaryIO) -> int:
    """The size at the file's position, in EBML's coding; 0 for "unknown"."""
    first = file.read(1) or b"\xff"
    length = 9 - first[0].bit_length()
    value = int.from_bytes(first + file.read(length - 1), "big")
    mask = (1 << 7 * length) - 1
    return 0 if value & mask == mask else value & mask


class Turn(NamedTuple):
    """How stored pixels become shown ones: swap rows and columns, then mirror left-right, then flip top-bottom."""

    transpose: bool = False
    mirror: bool = False
    flip: bool = False

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Shown width and height of a stored width and height."""
        return (height, width) if self.transpose else (width, height)

    def apply(self, pixels: Pixels) -> Pixels:
        """`[H, W, C]` as stored to `[H', W', C]` as shown, contiguous."""
        import numpy as np

        turned = pixels.swapaxes(0, 1) if self.transpose else pixels
        return np.ascontiguousarray(turned[:: -1 if self.flip else 1, :: -1 if self.mirror else 1])


CLOCKWISE, HALF, COUNTERCLOCKWISE = Turn(True, True, False), Turn(False, True, True), Turn(True, False, True)


def on_background(pixels: Pixels, background: float) -> Pixels:
    """`[H, W, 4]` laid on a grey of 0..1, as `[H, W, 3]`; `[H, W, 3]` as it is."""
    if pixels.shape[2] == 3:
        return pixels
    colour, alpha = pixels[..., :3], pixels[..., 3:]
    laid: Pixels = colour * alpha + background * (1 - alpha)
    return laid


# Windows' own numbers (sharing and lock violation); elsewhere an open file may be replaced.
_IN_USE = (32, 33)


@contextmanager
def writing(path: Path, *foreign: type[Exception]) -> Iterator[None]:
    """Turns what the system (and the exceptions named) say about writing into a sentence about `path`."""
    translated: tuple[type[Exception], ...] = (OSError, ValueError, *foreign)
    try:
        yield
    except UnisonError:
        raise
    except MemoryError as error:
        raise ResourceError(f"{path} cannot be written, memory ran out: make it smaller") from error
    except translated as error:
        number = getattr(error, "errno", None)
        if getattr(error, "winerror", None) in _IN_USE:
            raise MediaError(f"{path} is open in another program: close it there, or choose another name") from error
        if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise ResourceError(f"{path} cannot be written, the disk is full: free space or choose another") from error
        if number in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise MediaError(f"{path} may not be written: choose another folder or change its permissions") from error
        raise MediaError(f"{path} cannot be written ({error}): choose another name, folder or format") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A free name beside `path` to write to; it becomes `path` when the block ends well, and is removed otherwise."""
    temporary = path.with_name(f".{uuid4().hex}{path.suffix}")
    new_folders: list[Path] = []
    try:
        with writing(path):
            if path.is_dir():
                raise MediaError(f"{path} is a folder: name a file in it")
            new_folders = [folder for folder in path.parents if not folder.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with writing(path):
            temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty: someone else uses it
            for folder in new_folders:
                folder.rmdir()
        raise
