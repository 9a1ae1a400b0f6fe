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
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from .errors import PromptError
from .media_file import kind_of
from .tasks import MediaKind

IMGPAD = "<IMGPAD>"
VIDPAD = "<VIDPAD>"
PADS: dict[MediaKind, str] = {"image": IMGPAD, "video": VIDPAD}

# More text than any planner or text encoder reads (both stop after hundreds of tokens).
MAX_TEXT = 1_000_000

_PATH = re.compile(r"###([^\r\n]*?)###")
_PAD = re.compile(r"<IMGPAD>|<VIDPAD>")
_NAME = re.compile(r"<((?:image|video|mask)[1-9][0-9]?)>", re.IGNORECASE)
# C0 and C1 controls except tab and line ends: no tokenizer means anything by them, terminals do.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Medium:
    """One picture or video in the instruction. A mask has the kind of what holds it.

    `path` is a file on disk, `name` a socket ("image1"); both may be absent (a pad in a data file).
    """

    kind: MediaKind
    path: str | None = None
    name: str | None = None
    is_mask: bool = False

    @property
    def label(self) -> str:
        """How messages call it."""
        return self.path or self.name or self.kind


@dataclass(frozen=True)
class Prompt:
    """An instruction as alternating literal text and media, in the order they stand."""

    segments: tuple[str | Medium, ...]

    def __post_init__(self) -> None:
        if not self.media and not any(s.strip() for s in self.segments if isinstance(s, str)):
            raise PromptError("the instruction is empty: say what you want to make or to know")

    @property
    def media(self) -> tuple[Medium, ...]:
        """The media in order of appearance; a plan's indices count these from 0."""
        return tuple(s for s in self.segments if isinstance(s, Medium))

    @property
    def kinds(self) -> tuple[MediaKind, ...]:
        return tuple(m.kind for m in self.media)

    @property
    def text(self) -> str:
        """The instruction with a pad for each medium: what planner and text encoder read."""
        return "".join(PADS[s.kind] if isinstance(s, Medium) else s for s in self.segments)


def parse_paths(text: str) -> Prompt:
    """An instruction whose media are written `###path###`; a path used twice is two media."""

    def medium(match: re.Match[str]) -> Medium:
        path = match.group(1).strip()
        if not path:
            raise PromptError("'######' names no file: write the path between the hashes, as in ###photo.png###")
        return Medium(kind_of(path), path=path)

    return Prompt(_split(_PATH, text, medium))


def parse_pads(text: str) -> Prompt:
    """An instruction from a data file, where `<IMGPAD>` and `<VIDPAD>` stand for media."""
    return Prompt(_split(_PAD, text, lambda match: Medium("image" if match.group() == IMGPAD else "video")))


def bind_names(text: str, media: Mapping[str, Medium]) -> Prompt:
    """An instruction whose media come by name ("image1", "video1", "mask1"), in the order of `media`.

    `<image1>` in the text puts the medium there. Unnamed pictures and videos stand before the text in the given
    order; an unnamed mask is added behind it as "Here is the mask <pad>." (the reference's own wording).
    """

    def medium(match: re.Match[str]) -> Medium:
        name = match.group(1).lower()
        if name not in media:
            have = ", ".join(media) or "none"
            raise PromptError(f"the instruction names <{name}>, but that input is not connected; connected: {have}")
        return media[name]

    segments = _split(_NAME, text, medium)
    used = {s.name for s in segments if isinstance(s, Medium)}
    left = [m for name, m in media.items() if name not in used and m.name not in used]
    before = [part for m in left if not m.is_mask for part in (m, " ")]
    after = [part for m in left if m.is_mask for part in (" Here is the mask ", m, ".")]
    return Prompt(_merge([*before, *segments, *after]))


def _split(pattern: re.Pattern[str], text: str, medium: Callable[[re.Match[str]], Medium]) -> tuple[str | Medium, ...]:
    """Text cut at every match of `pattern`, each match replaced by `medium(match)`."""
    if len(text) > MAX_TEXT:
        raise PromptError(f"the instruction has {len(text)} characters; at most {MAX_TEXT} are read")
    parts: list[str | Medium] = []
    end = 0
    for match in pattern.finditer(text):
        parts += [text[end : match.start()], medium(match)]
        end = match.end()
    return _merge([*parts, text[end:]])


def _merge(parts: Iterable[str | Medium]) -> tuple[str | Medium, ...]:
    """Neighbouring texts joined, empty ones dropped, control characters turned into spaces."""
    merged: list[str | Medium] = []
    for part in parts:
        if isinstance(part, str):
            part = _CONTROL.sub(" ", part)
            if not part:
                continue
            if merged and isinstance(merged[-1], str):
                merged[-1] += part
                continue
        merged.append(part)
    return tuple(merged)
