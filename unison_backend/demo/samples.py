"""Sample media that come with the package: shapes that the embedded models know (`scripts/draw_samples.py`)."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "samples"
PREFIX = "unison_"

PICTURES: dict[str, str] = {
    "square": f"{PREFIX}square.png",
    "painted": f"{PREFIX}painted.png",
    "star": f"{PREFIX}star.png",
    "first": f"{PREFIX}first.png",
    "edges": f"{PREFIX}edges.png",
}
"""Files by what they are called. On `painted` a mask is painted (its alpha), as ComfyUI's mask editor leaves it."""
MASKS: dict[str, str] = {"square": f"{PREFIX}square_mask.png"}
"""White over what stands in the picture of the same name."""
CLIPS: dict[str, str] = {
    "circle": f"{PREFIX}circle.mp4",
    "circle_mask": f"{PREFIX}circle_mask.mp4",
    "edges": f"{PREFIX}edges.mp4",
}
"""64x64, 9 frames. The mask is white over the circle."""


def files() -> tuple[Path, ...]:
    """All of them."""
    return tuple(FOLDER / name for name in (*PICTURES.values(), *MASKS.values(), *CLIPS.values()))
