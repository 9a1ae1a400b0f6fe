"""Stored pixels as a viewer shows them: turned, mirrored, laid on a background."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels: TypeAlias = NDArray[np.float32]


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


def brightest(pixels: Pixels) -> Pixels:
    """What a mask's pixels say: `[H, W, 1]`, the largest channel; `[H, W, 4]` as it is, for its alpha is to be read."""
    import numpy as np

    if pixels.shape[2] in (1, 4):
        return pixels
    largest: Pixels = np.maximum(np.maximum(pixels[..., :1], pixels[..., 1:2]), pixels[..., 2:])
    return largest
