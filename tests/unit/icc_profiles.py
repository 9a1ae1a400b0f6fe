"""Small ICC profiles (version 2), made byte by byte: RGB by primaries and gamma, grey by gamma, CMYK by its corners."""

from __future__ import annotations

import struct
from itertools import product
from typing import Any

import numpy as np

D50 = (0.9642, 1.0, 0.8249)
# From D65 to D50 (Bradford), as ICC profiles store their primaries.
TO_D50 = np.array(
    [[1.0478112, 0.0228866, -0.0501270], [0.0295424, 0.9904844, -0.0170491], [-0.0092345, 0.0150436, 0.7521316]]
)
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))


def to_xyz(primaries: Any) -> Any:
    """The matrix from linear RGB with a D65 white to XYZ."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    return columns * np.linalg.solve(columns, white)


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*values)


def _gamma(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def _profile(space: bytes, kind: bytes, pcs: bytes, name: str, tags: dict[bytes, bytes]) -> bytes:
    text = name.encode() + b"\0"
    described = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(4 + 4 + 2 + 1 + 67)
    tags = {b"desc": described, b"cprt": b"text\0\0\0\0none\0", b"wtpt": _xyz(*D50), **tags}
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(
        ">I4sI4s4s4s12s4s4sIIIQI12s48s",
        start + len(body), b"\0\0\0\0", 0x02100000, kind, space, pcs, bytes(12), b"acsp", b"\0\0\0\0", 0, 0, 0, 0, 0,
        _fixed(*D50), b"",
    )  # fmt: skip
    assert len(header) == 128
    return header + table + body


def rgb(primaries: Any, gamma: float = 2.2, name: str = "made") -> bytes:
    """An RGB profile with a D65 white."""
    matrix = TO_D50 @ to_xyz(primaries)
    colours = {tag: _xyz(*matrix[:, i]) for i, tag in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _gamma(gamma))
    return _profile(b"RGB ", b"mntr", b"XYZ ", name, colours | curves)


def grey(gamma: float, name: str = "grey") -> bytes:
    """A grey profile."""
    return _profile(b"GRAY", b"mntr", b"XYZ ", name, {b"kTRC": _gamma(gamma)})


def cmyk(corners: dict[tuple[int, int, int, int], tuple[float, float, float]], name: str = "inks") -> bytes:
    """A CMYK profile: Lab at the corners of ink or none (black where none is named), straight lines between."""
    lab = [corners.get(inks, (0, 0, 0)) for inks in product((0, 1), repeat=4)]
    grid = bytes(v for L, a, b in lab for v in (round(L * 2.55), round(a + 128), round(b + 128)))
    line = bytes(range(256))
    head = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    return _profile(b"CMYK", b"prtr", b"Lab ", name, {b"A2B0": head + line * 4 + grid + line * 3})


def stored(colour: Any, primaries: Any, gamma: float = 2.2) -> Any:
    """An sRGB colour (0..255) as whole numbers in the space that `rgb` describes."""
    value = np.asarray(colour, float) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    other = np.linalg.solve(to_xyz(primaries), to_xyz(SRGB) @ linear)
    return np.round(other.clip(0, 1) ** (1 / gamma) * 255).astype(np.uint8)
