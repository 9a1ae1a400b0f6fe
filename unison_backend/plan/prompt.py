"""The instruction: what the person typed, split into literal text and media.

Three spellings of a medium, one result:

- `###path###` on the command line (the reference's spelling),
- `<image1>`, `<video2>`, `<mask1>` for sockets that have names,
- `<IMGPAD>` / `<VIDPAD>` in data files; anywhere else a typed pad is ordinary text.

User text is literal for ever after: `Prompt.segments` keeps text and media apart, so that no typed word can
become a special token later.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..errors import PromptError
from .kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES, kind_of
from .tasks import MediaKind

IMGPAD = "<IMGPAD>"
VIDPAD = "<VIDPAD>"
PADS: dict[MediaKind, str] = {"image": IMGPAD, "video": VIDPAD}

# How an unnamed mask is brought in (the reference's own wording).
MASK_WORDS = "Here is the mask"

# More text than any planner or text encoder reads (both stop after hundreds of tokens).
MAX_TEXT = 1_000_000

_PATH = re.compile(r"###([^\r\n]*?)###")
_PAD = re.compile(r"<IMGPAD>|<VIDPAD>")
# Sockets as an English and a Chinese interface label them, in the brackets that Chinese keyboards have for "<" too.
_SOCKETS = {
    "\u56fe\u50cf": "image",
    "\u56fe\u7247": "image",
    "\u89c6\u9891": "video",
    "\u906e\u7f69": "mask",
    "\u8499\u7248": "mask",
}
_NAME = re.compile(
    rf"[<\uff1c\u300a\u2039](image|video|mask|{'|'.join(_SOCKETS)})([1-9][0-9]?)[>\uff1e\u300b\u203a]", re.IGNORECASE
)
# C0 and C1 controls except tab and line ends: no tokenizer means anything by them, terminals do.
_FILE_NAME = re.compile(
    r"(?:file://|~/|[A-Za-z]:\\)?[\w./\\%-]*[\w-]\.(?:"
    + "|".join(suffix[1:] for suffix in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES))
    + r")\b",
    re.IGNORECASE,
)
# Halves of surrogate pairs: what bytes that are no UTF-8 become on the command line, and broken escapes in JSON.
_HALF = re.compile(r"[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Medium:
    """One picture or video in the instruction. A mask has the kind of what holds it.

    `path` is a file on disk, `name` a socket ("image1") or the option that names the file ("--mask"); both may be
    absent (a pad in a data file).
    """

    kind: MediaKind
    path: str | None = None
    name: str | None = None
    is_mask: bool = False

    @property
    def label(self) -> str:
        """How messages call it; "" for a pad."""
        if self.path and self.name:
            return f"{self.path} ({self.name})"
        return self.path or self.name or ""


@dataclass(frozen=True)
class Prompt:
    """An instruction as alternating literal text and media, in the order they stand."""

    segments: tuple[str | Medium, ...]

    def __post_init__(self) -> None:
        if not self.media and not any(s.strip() for s in self.segments if isinstance(s, str)):
            raise PromptError("the instruction is empty: say what you want to make or to know")

    @cached_property
    def media(self) -> tuple[Medium, ...]:
        """The media in order of appearance; a plan's indices count these from 0."""
        return tuple(s for s in self.segments if isinstance(s, Medium))

    @cached_property
    def kinds(self) -> tuple[MediaKind, ...]:
        return tuple(m.kind for m in self.media)

    @cached_property
    def masks(self) -> tuple[int, ...]:
        """Indices of the media that are masks, whatever the words call them."""
        return tuple(i for i, m in enumerate(self.media) if m.is_mask)

    @cached_property
    def text(self) -> str:
        """The instruction with a pad for each medium: what planner and text encoder read."""
        return "".join(PADS[s.kind] if isinstance(s, Medium) else s for s in self.segments)

    def with_media(self, media: Iterable[Medium]) -> Prompt:
        """The same words around other media, one in the place of each of its own."""
        left = iter(media)
        return Prompt(tuple(next(left) if isinstance(s, Medium) else s for s in self.segments))


# What file systems take at most.
_LONGEST_PATH, _LONGEST_NAME = 4096, 255


def parse_paths(text: str, folder: Path | str = "") -> Prompt:
    """An instruction whose media are written `###path###`; a path used twice is two media.

    folder: what paths are relative to, the working folder by default. Quotes around a path, `~/` and `file://` are
    read as systems mean them.
    """

    def medium(match: re.Match[str]) -> tuple[Medium]:
        path = as_path(match.group(1))
        if not path:
            raise PromptError("'######' names no file: write the path between the hashes, as in ###photo.png###")
        if len(path) > _LONGEST_PATH or max(map(len, path.replace("\\", "/").split("/"))) > _LONGEST_NAME:
            raise PromptError(
                f"between hashes stand {len(path)} characters that begin with {path[:40]!r}: no file has so long a name"
            )
        return (Medium(kind_of(path), path=str(Path(folder) / path) if folder else path),)

    return Prompt(_split(_PATH, text, medium))


def as_path(written: str) -> str:
    """A path as people paste it: in quotes (Windows' "copy as path"), with `~` for the home folder, as `file://`."""
    path = written.strip()
    if len(path) > 1 and path[0] == path[-1] and path[0] in "\"'":
        path = path[1:-1].strip()
    if path.lower().startswith("file://"):
        from urllib.parse import unquote, urlsplit
        from urllib.request import url2pathname

        parts = urlsplit(path)
        path = url2pathname(parts.path) if parts.netloc in ("", "localhost") else unquote(path[len("file:") :])
    return str(Path(path).expanduser()) if path.startswith("~") else path


def files_named(prompt: Prompt) -> tuple[str, ...]:
    """Names of pictures and videos that stand in the text as words though such files are here."""
    found = []
    for segment in prompt.segments:
        for match in _FILE_NAME.finditer(segment) if isinstance(segment, str) else ():
            with suppress(OSError, ValueError):  # a name that no system takes
                if Path(as_path(match.group())).is_file():
                    found.append(match.group())
    return tuple(dict.fromkeys(found))


def parse_pads(text: str) -> Prompt:
    """An instruction from a data file, where `<IMGPAD>` and `<VIDPAD>` stand for media."""
    pads = {IMGPAD: (Medium("image"),), VIDPAD: (Medium("video"),)}
    return Prompt(_split(_PAD, text, lambda match: pads[match.group()]))


def bind_names(text: str, media: Mapping[str, Medium | Sequence[Medium]]) -> Prompt:
    """An instruction whose media come by name ("image1", "video1", "mask1"), in the order of `media`.

    A name holds one medium or a batch of them; an empty batch counts as not connected. `<image1>` in the text puts
    its media there, a space between two; said twice, they are further media. Unnamed pictures and videos stand
    before the text in the given order; an unnamed mask is added behind it as "Here is the mask <pad>.". Raises
    PromptError for a name that is not connected, and when there is nothing at all.
    """
    batches = {name: (given,) if isinstance(given, Medium) else tuple(given) for name, given in media.items()}
    connected = {name: batch for name, batch in batches.items() if batch}
    used: set[str] = set()

    def named(match: re.Match[str]) -> list[str | Medium]:
        name = _socket(match)
        if name not in connected:
            have = ", ".join(connected) or "none"
            said = f"<{name}>" if match.group().lower() == f"<{name}>" else f"{match.group()} ({name})"
            raise PromptError(f"the instruction names {said}, but that input is not connected; connected: {have}")
        used.add(name)
        return [part for medium in connected[name] for part in (" ", medium)][1:]

    segments = _split(_NAME, text, named)
    return Prompt(
        _merge(_with_unnamed(segments, [m for name in connected if name not in used for m in connected[name]]))
    )


def sockets_named(text: str) -> set[str]:
    """The sockets that an instruction names: {"image1", "mask2"}."""
    return {_socket(match) for match in _NAME.finditer(text)}


def _socket(match: re.Match[str]) -> str:
    kind, number = match.groups()
    return _SOCKETS.get(kind, kind.lower()) + number


def _with_unnamed(segments: Sequence[str | Medium], unnamed: Sequence[Medium]) -> Iterable[str | Medium]:
    """Pictures and videos in front of the text, masks called so behind it."""
    for medium in unnamed:
        if not medium.is_mask:
            yield from (medium, " ")
    yield from segments
    for medium in unnamed:
        if medium.is_mask:
            yield from (f" {MASK_WORDS} ", medium, ".")


def _split(
    pattern: re.Pattern[str], text: str, found: Callable[[re.Match[str]], Iterable[str | Medium]]
) -> tuple[str | Medium, ...]:
    """Text cut at every match of `pattern`, each match replaced by what `found` makes of it."""
    if len(text) > MAX_TEXT:
        raise PromptError(f"the instruction has {len(text)} characters; at most {MAX_TEXT} are read")
    parts: list[str | Medium] = []
    end = 0
    for match in pattern.finditer(text):
        if match.start() > end:
            parts.append(text[end : match.start()])
        parts += found(match)
        end = match.end()
    return _merge([*parts, text[end:]])


def check_characters(text: str, name: str) -> None:
    """Raise PromptError for halves of surrogate pairs, which no tokenizer and no file takes. name: of the text."""
    if half := _HALF.search(text):
        raise PromptError(
            f"{name} holds {half.group()!r}, which is no character (not UTF-8, or half of one): "
            "write it again, or save its file as UTF-8"
        )


def _merge(parts: Iterable[str | Medium]) -> tuple[str | Medium, ...]:
    """Neighbouring texts joined, empty ones dropped, control characters turned into spaces."""
    merged: list[str | Medium] = []
    for part in parts:
        if isinstance(part, str):
            if not part:
                continue
            check_characters(part, "the instruction")
            part = _CONTROL.sub(" ", part)
            if merged and isinstance(merged[-1], str):
                merged[-1] += part
                continue
        merged.append(part)
    return tuple(merged)
