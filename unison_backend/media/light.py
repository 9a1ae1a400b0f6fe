"""HDR and wide colours of videos to those of BT.709, which everything here and every ordinary screen takes.

FFmpeg's own filters for it (zscale, libplacebo) are not in PyAV's wheels, so the formulas are here: ST 2084 (PQ) and
ARIB STD-B67 (HLG) as in ITU-R BT.2100, the reference white of 203 nits of ITU-R BT.2408, primaries by SMPTE RP 177,
and the screen's gamma of 2.4 of ITU-R BT.1886, with which BT.709 is looked at.
Brightness up to the knee stays as it is; from there up to 1000 nits it is rolled off (Reinhard's curve with a white
point) by the largest channel, so that hues stay. What no BT.709 screen can show is clipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    from .turn import Pixels

# Codes of ITU-T H.273.
PQ, HLG = 16, 18
UNSPECIFIED = 2
BT709 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
D65, DCI_WHITE = (0.3127, 0.3290), (0.314, 0.351)
# Name, primaries and white of what is wider than BT.709.
WIDE = {
    9: ("BT.2020", ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), D65),
    11: ("DCI-P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), DCI_WHITE),
    12: ("Display P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), D65),
}
REFERENCE_WHITE, PEAK = 203.0, 1000.0
GAMMA = 2.4
# Of the reference white, linear: 232 of 255.
KNEE = 0.8
_STEPS = 65536


@dataclass(frozen=True)
class Light:
    """What a video's numbers mean, by their H.273 codes; PQ and HLG without primaries have those of BT.2020."""

    transfer: int
    primaries: int

    @property
    def note(self) -> str:
        """What is done to such a video, in words that follow its name."""
        wide = WIDE[self.primaries][0] if self.primaries in WIDE else "BT.709"
        if self.transfer in (PQ, HLG):
            curve = "PQ" if self.transfer == PQ else "HLG"
            return f"its HDR ({curve}, {wide}) is tone-mapped to BT.709: highlights are compressed"
        return f"its colours are converted from {wide} to BT.709"

    def to_bt709(self, stored: NDArray[Any]) -> Pixels:
        """uint8 or uint16 `[H, W, 3]` in this meaning as float32 in 0..1 in BT.709."""
        import numpy as np

        linear = _curve(self.transfer, int(np.iinfo(stored.dtype).max))[stored]
        if self.transfer == HLG:
            # The display's own gamma at 1000 nits, by the luminance of the scene.
            luminance = linear @ np.asarray((0.2627, 0.6780, 0.0593), np.float32)
            linear *= (np.maximum(luminance, 1e-6) ** np.float32(0.2) * np.float32(PEAK / REFERENCE_WHITE))[..., None]
        if self.primaries in WIDE:
            linear = linear @ _matrix(self.primaries).T
        np.maximum(linear, 0, out=linear)
        if self.transfer in (PQ, HLG):
            linear *= _rolled_off(linear.max(axis=-1, keepdims=True))
        # Even steps of the square root are near even steps of what the eye sees.
        root = np.sqrt(np.minimum(linear, 1))
        coded: Pixels = _coded()[(root * (_STEPS - 1) + 0.5).astype(np.uint16)]
        return coded


def light_of(stream: VideoStream) -> Light | None:
    """The meaning of a stream's numbers, None where a BT.709 screen shows them as they are."""
    context = stream.codec_context
    transfer, primaries = int(context.color_trc), int(context.color_primaries)
    if transfer in (PQ, HLG):
        return Light(transfer, 9 if primaries == UNSPECIFIED else primaries)
    return Light(transfer, primaries) if primaries in WIDE else None


@cache
def _curve(transfer: int, top: int) -> Pixels:
    """Linear light of every stored number; 1 is the reference white (HLG: of the scene, 1 is its peak)."""
    import numpy as np

    values = np.linspace(0, 1, top + 1)
    if transfer == PQ:
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        power = values ** (1 / m2)
        linear = 10000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1) / REFERENCE_WHITE
    elif transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        linear = np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12)
    else:
        # The screen's gamma, which is put back below: greys stay as they are.
        linear = values**GAMMA
    return linear.astype(np.float32)


@cache
def _coded() -> Pixels:
    """What shows the squares of even steps of light."""
    import numpy as np

    coded: Pixels = (np.linspace(0, 1, _STEPS) ** (2 / GAMMA)).astype(np.float32)
    return coded


@cache
def _matrix(primaries: int) -> NDArray[np.float32]:
    """Linear RGB of wide primaries to linear RGB of BT.709, each white to D65."""
    import numpy as np

    _, wide, white = WIDE[primaries]
    matrix = np.linalg.solve(_to_xyz(BT709, D65), _to_xyz(wide, white))
    # White stays white: a video's white is the screen's, whatever its name.
    scaled: NDArray[np.float32] = (matrix / matrix.sum(axis=1, keepdims=True)).astype(np.float32)
    return scaled


def _to_xyz(primaries: tuple[tuple[float, float], ...], white: tuple[float, float]) -> NDArray[np.float64]:
    import numpy as np

    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in primaries]).T
    target = np.array((white[0] / white[1], 1, (1 - white[0] - white[1]) / white[1]))
    return columns * np.linalg.solve(columns, target)


def _rolled_off(brightest: Pixels) -> Pixels:
    """By how much to dim each pixel whose largest channel is that bright (1: the reference white)."""
    import numpy as np

    room = np.float32(1 - KNEE)
    over = np.maximum(brightest - np.float32(KNEE), 0) / room
    top = (PEAK / REFERENCE_WHITE - KNEE) / (1 - KNEE)
    rolled = np.minimum(over * (1 + over / np.float32(top**2)) / (1 + over), 1)
    kept = np.where(over > 0, KNEE + room * rolled, brightest)
    factor: Pixels = (kept / np.maximum(brightest, np.float32(1e-6))).astype(np.float32)
    return factor
