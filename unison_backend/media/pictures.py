"""Pictures and videos from files: what they are (`probe`) and their pixels (`load_image`, `iter_video`, `load_video`).

Pixels are numpy float32 `[H, W, 3]` RGB in 0..1 as a viewer shows them: rotation applied, transparency laid on white.
Probing a picture imports only Pillow, probing a video only PyAV (and psutil).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MediaError, ResourceError, UnisonError
from ..plan.geometry import MediaInfo
from .kinds import MAX_MEDIA_SIDE, MOVING_FORMATS, check_kind
from .profiles import UNCHANGED, Profile, converted, converted_grey, profile_of
from .turn import CLOCKWISE, COUNTERCLOCKWISE, HALF, Turn, on_background

if TYPE_CHECKING:
    from PIL.Image import Image

    from .turn import Pixels

# Named one by one, because Pillow would hand a PostScript file of any name to Ghostscript.
PILLOW_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")

# EXIF: what a viewer has to do for each value; 1 and unknown ones mean nothing.
ORIENTATION_TAG = 0x0112
ORIENTATIONS = {
    2: Turn(mirror=True),
    3: HALF,
    4: Turn(flip=True),
    5: Turn(transpose=True),
    6: CLOCKWISE,
    7: Turn(True, True, True),
    8: COUNTERCLOCKWISE,
}
# As stored, as bytes, in float32, and on its background in float32 (measured on 13000x13000: 22).
BYTES_A_PIXEL = 24
TIFF_WIDTH_TAG, TIFF_HEIGHT_TAG = 256, 257


@contextmanager
def open_image(path: Path) -> Iterator[Image]:
    """An opened, not yet decoded picture; whatever goes wrong with it inside becomes a MediaError or ResourceError."""
    check_kind(path, "image")
    from PIL import Image, UnidentifiedImageError

    too_large = f"{path} is too large: scale it down to at most {MAX_MEDIA_SIDE} pixels a side"
    pixels = 2 * (Image.MAX_IMAGE_PIXELS or 0)
    too_many = f"{too_large} and {pixels} in all (a square one to {math.isqrt(pixels)})"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # at twice that size it is an error
            image = Image.open(path, formats=PILLOW_FORMATS)
        with image:
            if max(image.size) > MAX_MEDIA_SIDE:
                raise MediaError(too_large)
            yield image
    except UnisonError:
        raise
    except MemoryError as error:
        raise ResourceError(f"{path} does not fit into memory: scale it down") from error
    except Image.DecompressionBombError as error:
        raise MediaError(too_many) from error
    except UnidentifiedImageError as error:
        raise MediaError(f"{path} is not a picture in a format known here: convert it to PNG or JPEG") from error
    except Exception as error:  # Pillow lets through whatever its parsers meet in a damaged file
        raise MediaError(f"{path} is damaged ({error}): copy or export it again") from error


def decode(image: Image, path: Path) -> None:
    """Decode an opened picture. Raises ResourceError where memory is too small for it, before anything is decoded."""
    check_room(path, image.width, image.height)
    image.load()


def check_room(path: Path, width: int, height: int) -> None:
    """Raise ResourceError where memory is too small for a picture, or a video's frame, of this many pixels."""
    import psutil

    needed, free = width * height * BYTES_A_PIXEL, psutil.virtual_memory().available
    if needed > free:
        raise ResourceError(
            f"{path} is {width}x{height} pixels, which take {needed / 2**30:.1f} GB to read, "
            f"{free / 2**30:.1f} GB are free: scale it down"
        )


def stored_shape(image: Image) -> tuple[int, int, Turn]:
    """Width, height and turn of a picture that is not decoded yet."""
    # The base class's method, because PNG's own decodes the pixels to look for a misplaced EXIF chunk behind them.
    from PIL.Image import Image as AnyImage

    exif: dict[int, Any] = dict(AnyImage.getexif(image))
    turn = ORIENTATIONS.get(exif.get(ORIENTATION_TAG, 1), Turn())
    width, height = image.size
    if image.format == "TIFF":  # Pillow gives the stored size in some versions, the shown one in others
        tags: Any = image
        width, height = tags.tag_v2[TIFF_WIDTH_TAG], tags.tag_v2[TIFF_HEIGHT_TAG]
    return width, height, turn


def probe_image(path: Path) -> MediaInfo:
    with open_image(path) as image:
        width, height, turn = stored_shape(image)
        width, height = turn.size(width, height)
        return MediaInfo("image", width, height, notes=_notes(image))


def _notes(image: Image) -> tuple[str, ...]:
    """What reading a picture does to it beyond showing it."""
    profile = profile_of(image).note
    count = getattr(image, "n_frames", 1) if image.format in ("TIFF", *MOVING_FORMATS) else 1
    left_out = (
        f"page 1 of {count} is read" if image.format == "TIFF" else f"it moves: the first of {count} frames is taken"
    )
    return tuple(filter(None, (profile, left_out if count > 1 else "")))


def load_image(path: Path, *, as_mask: bool = False) -> Pixels:
    """A picture as float32 `[H, W, 3]` in 0..1; the first frame of an animated one.

    Colours are sRGB, converted from the picture's own profile. Transparency is laid on white. With `as_mask` values
    are taken as they are stored and transparency is laid on black (transparent = keep). 16-bit grey keeps its 16
    bits; integer and float greys brighter than 65535 and 1 are divided by their maximum, so that nothing is clipped.
    Raises MediaError as `probe` does, and ResourceError when memory runs out.
    """
    with open_image(path) as image:
        _, _, turn = stored_shape(image)
        profile = UNCHANGED if as_mask else profile_of(image)
        decode(image, path)
        pixels = on_background(unit_pixels(image, profile), 0.0 if as_mask else 1.0)
        # Pillow has turned a TIFF file by now.
        return pixels if image.format == "TIFF" else turn.apply(pixels)


def load_with_alpha(path: Path) -> Pixels | None:
    """A picture in sRGB with its alpha as float32 `[H, W, 4]` in 0..1; None for one without. Raises as `load_image`."""
    with open_image(path) as image:
        if not image.has_transparency_data:
            return None
        _, _, turn = stored_shape(image)
        profile = profile_of(image)
        decode(image, path)
        pixels = unit_pixels(image, profile)
        return pixels if image.format == "TIFF" else turn.apply(pixels)


def unit_pixels(image: Image, profile: Profile = UNCHANGED) -> Pixels:
    """A decoded picture as float32 `[H, W, 3 or 4]` in 0..1, in sRGB."""
    import numpy as np

    if image.mode.startswith("I") or image.mode == "F":
        grey = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0, neginf=0)
        grey = grey / max(1.0 if image.mode == "F" else 65535.0, float(grey.max()))
        return converted_grey(grey.clip(0, 1), profile)
    unit: Pixels = np.divide(np.asarray(converted(image, profile)), 255, dtype=np.float32)
    return unit
