"""GIF, WebP and PNG files of more than one frame, read as videos with Pillow.

Frames are whole ones (Pillow lays the changed parts over what was there) and have the times that the file gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import MediaError
from ..plan.geometry import MediaInfo
from ..plan.kinds import kind_of
from ..plan.tasks import MediaKind
from ..progress import Cancel, check, never
from .kinds import MOVING_FORMATS, content_kind
from .pictures import decode, open_image, stored_shape, unit_pixels
from .profiles import UNCHANGED, profile_of
from .turn import brightest, on_background

if TYPE_CHECKING:
    from PIL.Image import Image

    from .turn import Pixels

# Milliseconds: browsers show frames that claim to be shorter than this for a tenth of a second.
SHORTEST, INSTEAD = 11, 100


def is_moving(path: Path) -> bool:
    """Whether a file is a GIF, WebP or PNG of more than one frame, by its content; False for what cannot be read."""
    try:
        if content_kind(path) != "image":
            return False
        with open_image(path) as image:
            return num_frames(image) > 1
    except MediaError:  # whoever reads it says what is wrong
        return False


def shown_kind(path: Path) -> MediaKind:
    """`kind_of` a file's name, but "video" for a picture that moves. Raises MediaError for an unknown ending."""
    kind = kind_of(path)
    return "video" if kind == "image" and is_moving(path) else kind


def num_frames(image: Image) -> int:
    """Frames of the animation in an opened picture; 1 for a still."""
    if image.format not in MOVING_FORMATS:
        return 1
    return max(1, getattr(image, "n_frames", 1) - _first(image))


def _first(image: Image) -> int:
    """Where the animation begins: a PNG may have a picture of its own for viewers that show stills only."""
    return int(bool(image.info.get("default_image")))


def probe_moving(path: Path) -> MediaInfo:
    """Size as shown and frame times of such a file. Raises MediaError as `probe` does."""
    with open_image(path) as image:
        width, height, turn = stored_shape(image)
        width, height = turn.size(width, height)
        note = profile_of(image).note
        lengths, guessed = [], False
        for number in range(num_frames(image)):
            image.seek(_first(image) + number)
            if image.format == "WEBP":  # whose times come with the pixels
                decode(image, path)
            given = Fraction(image.info.get("duration") or 0)
            guessed = guessed or given < SHORTEST
            lengths.append((given if given >= SHORTEST else Fraction(INSTEAD)) / 1000)
    told = f"frames without a time, or shorter than {SHORTEST} ms, are shown for {INSTEAD} ms, as browsers do"
    ends = list(accumulate(lengths))
    return MediaInfo(
        kind="video",
        width=width,
        height=height,
        starts=(Fraction(0), *ends[:-1]),
        duration=ends[-1],
        notes=tuple(filter(None, (note, told if guessed else ""))),
    )


def iter_moving(
    path: Path, indices: Sequence[int] | None = None, cancel: Cancel = never, *, as_mask: bool = False
) -> Iterator[Pixels]:
    """Frames at ascending numbers, as `video.iter_video` gives them. Raises MediaError, Cancelled."""
    with open_image(path) as image:
        _, _, turn = stored_shape(image)
        profile, total, last = UNCHANGED if as_mask else profile_of(image), num_frames(image), -1
        shown = None
        for index in range(total) if indices is None else indices:
            check(cancel, "reading video")
            if index >= total:
                raise MediaError(f"{path} has {total} frames, there is no frame {index}: ask for earlier ones")
            if index != last or shown is None:
                image.seek(_first(image) + index)
                decode(image, path)
                pixels = unit_pixels(image, profile)
                shown, last = turn.apply(brightest(pixels) if as_mask else on_background(pixels, 1.0)), index
            yield shown
