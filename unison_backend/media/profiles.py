"""ICC profiles of pictures: stored colours to sRGB, as a viewer shows them, by LittleCMS (which Pillow brings).

The intent is relative colorimetric with black point compensation, which is what browsers and editors show with. A
profile that moves no colour by more than one step of 255 counts as sRGB, and its picture stays as it is to the bit.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

# Colours of a profile's own kind that are compared: every corner of the cube and steps between them.
_STEPS = (0, 51, 102, 153, 204, 255)
_RAMP = bytes(range(256))
_LONGEST_NAME = 60


class Profile(NamedTuple):
    """How a picture becomes sRGB. transform: LittleCMS' own, None where nothing changes. note: what there is to say."""

    transform: Any = None
    note: str = ""


UNCHANGED = Profile()


def profile_of(image: Image) -> Profile:
    """The profile of an opened picture; one that cannot be used is said and not used."""
    data = image.info.get("icc_profile")
    kind = _kind(image)
    if not data or kind is None:
        return Profile(note="CMYK without a profile: its colours are a guess" if kind == "CMYK" else "")
    from PIL import Image as Images
    from PIL import ImageCms

    try:
        embedded = ImageCms.ImageCmsProfile(BytesIO(data))
        name = " ".join(ImageCms.getProfileDescription(embedded).split())[:_LONGEST_NAME] or "unnamed"
        transform = ImageCms.buildTransform(
            embedded,
            ImageCms.createProfile("sRGB"),
            kind,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        sample = Images.frombytes(kind, *_samples(kind))
        if kind != "CMYK" and _is_close(transform.apply(sample), sample.convert("RGB")):
            return Profile()
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return Profile(note="its colour profile is damaged or of another kind of picture: it is read as sRGB")
    return Profile(transform, f"its colours are converted from the profile {name!r} to sRGB")


def converted(image: Image, profile: Profile) -> Image:
    """A decoded picture as RGB or RGBA in sRGB; alpha stays as it is."""
    if image.mode == "P" and profile.transform is not None:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    if profile.transform is None:
        return image.convert("RGB" if alpha is None else "RGBA")
    made: Image = profile.transform.apply(image.convert(_kind(image) or "RGB"))
    if alpha is not None:
        made.putalpha(alpha)
    return made


def converted_grey(grey: NDArray[np.float32], profile: Profile) -> NDArray[np.float32]:
    """Greys of any depth in 0..1, `[H, W]`, as `[H, W, 3]`; a profile's curve is read at 256 places."""
    import numpy as np
    from PIL import Image as Images

    if profile.transform is None:
        return np.repeat(grey[..., None], 3, axis=2)
    curve = np.asarray(profile.transform.apply(Images.frombytes("L", (256, 1), _RAMP)), np.float32)[0] / 255
    places = np.linspace(0, 1, 256, dtype=np.float32)
    return np.stack([np.interp(grey, places, curve[:, i]).astype(np.float32) for i in range(3)], axis=-1)


def _kind(image: Image) -> str | None:
    """What a profile of this picture speaks of: L, RGB or CMYK; None where none can be used (Lab, floats)."""
    if image.mode in ("1", "L", "LA") or image.mode.startswith("I;16") or image.mode == "I":
        return "L"
    if image.mode in ("P", "PA"):  # a palette holds RGB
        return "RGB"
    return {"RGB": "RGB", "RGBA": "RGB", "RGBX": "RGB", "CMYK": "CMYK"}.get(image.mode)


def _samples(kind: str) -> tuple[tuple[int, int], bytes]:
    """Size and bytes of a picture that holds the compared colours."""
    if kind == "L":
        return (len(_RAMP), 1), _RAMP
    colours = [bytes((r, g, b)) for r in _STEPS for g in _STEPS for b in _STEPS]
    stored = [colour + b"\0" for colour in colours] if kind == "CMYK" else colours
    return (len(stored), 1), b"".join(stored)


def _is_close(one: Image, other: Image) -> bool:
    from PIL import ImageChops

    extrema: Any = ImageChops.difference(one, other).getextrema()
    return all(high <= 1 for _, high in extrema)
