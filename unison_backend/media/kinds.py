"""Pictures and videos by their content, whatever their names say."""

from __future__ import annotations

from pathlib import Path

from ..errors import MediaError
from ..plan.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from ..plan.tasks import MediaKind

MAX_MEDIA_SIDE = 16384
# Pictures of these formats may move (Pillow's names).
MOVING_FORMATS = ("PNG", "WEBP", "GIF")


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


def content_kind(path: Path) -> MediaKind | None:
    """What a file's content says it is; None when it says neither. Raises MediaError as `check_file`."""
    return _content_kind(check_file(path))


def _content_kind(head: bytes) -> MediaKind | None:
    """What a file's first bytes say it is; None when they say neither."""
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")) or head[8:12] == b"WEBP":
        return "image"
    if head[4:8] == b"ftyp":
        return "image" if head[8:12] in (b"avif", b"heic", b"heix", b"mif1") else "video"
    if head.startswith(b"\x1aE\xdf\xa3") or head[8:12] == b"AVI " or head[4:8] in (b"moov", b"mdat", b"wide"):
        return "video"
    return None
