"""Manifests and moving targets for the tests of a projector's training."""

import json
from fractions import Fraction

import numpy as np

from unison_backend.media.write import write_video


def manifest(folder, *rows, name="pairs.jsonl"):
    """A manifest of these rows, given as they are or as text."""
    path = folder / name
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def write_shades(folder, side, **counts):
    """Videos by name, of so many frames each, from black to white at 24 a second."""
    for name, count in counts.items():
        shades = np.linspace(0, 1, count, dtype=np.float32)[:, None, None, None]
        write_video(folder / f"{name}.mp4", np.broadcast_to(shades, (count, side, side, 3)), Fraction(24))
