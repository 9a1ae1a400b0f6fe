"""Draws the sample media that the pack brings: `python scripts/draw_samples.py`, into unison_backend/demo/samples.

Everything is drawn from the shape world that the embedded models know. `readme_pictures.py` draws the same for README.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
FRAMES = 9
SIDE = 64


def draw(folder: Path, prefix: str = "") -> None:
    """Pictures, clips, masks and maps to give to the models, as `<prefix><name>` in `folder`."""
    from unison_backend.demo.world.shapes import Scene, Thing, render, silhouette
    from unison_backend.demo.world.tasks import edge_map
    from unison_backend.media.write import write_image, write_video

    def still(name: str, scene: Scene) -> None:
        write_image(folder / f"{prefix}{name}.png", render(scene, 1, SIDE, SIDE)[0].numpy())

    def clip(name: str, frames: object) -> None:
        write_video(folder / f"{prefix}{name}.mp4", frames.numpy(), Fraction(24))  # type: ignore[attr-defined]

    square = Thing("square", "yellow", 0.5, 0.5, 0.23)
    dot = Thing("circle", "white", 0.14, 0.14, 0.1)
    still("square", Scene("purple", (square, dot)))
    wide = silhouette(Thing("circle", "white", 0.5, 0.5, 0.36), 1, SIDE, SIDE)
    write_image(folder / f"{prefix}square_mask.png", wide[0, ..., None].expand(-1, -1, 3).numpy())
    write_image(folder / f"{prefix}edges.png", edge_map(Thing("star", "white", 0.5, 0.5, 0.3), 1)[0].numpy())
    still("star", Scene("white", (Thing("star", "red", radius=0.34),)))
    still("first", Scene("green", (Thing("circle", "orange", 0.3, 0.5, 0.2),)))
    moving = Thing("circle", "red", 0.5, 0.5, 0.2).moving("right")
    clip("circle", render(Scene("black", (moving,)), FRAMES, SIDE, SIDE))
    cover = silhouette(Thing("circle", "white", 0.5, 0.5, 0.26).moving("right"), FRAMES, SIDE, SIDE) > 0.5
    clip("circle_mask", cover[..., None].expand(-1, -1, -1, 3).float())
    clip("edges", edge_map(Thing("triangle", "white", 0.5, 0.5, 0.24).moving("up"), FRAMES))


def paint(picture: Path, mask: Path) -> None:
    """A picture with a mask painted on it, as ComfyUI's mask editor leaves it: what is painted is transparent."""
    from unison_backend.demo.world.shapes import Scene, Thing, render

    plain = render(Scene("purple", (Thing("circle", "white", 0.14, 0.14, 0.1),)), 1, SIDE, SIDE)[0].numpy()
    marked = np.asarray(Image.open(mask).convert("L"))[..., None]
    pixels = (plain * 255).round().astype(np.uint8)
    Image.fromarray(np.concatenate([pixels, 255 - marked], axis=-1)).save(picture, optimize=True)


def main() -> int:
    """Draw them all."""
    from unison_backend.demo.samples import FOLDER, PREFIX

    FOLDER.mkdir(exist_ok=True)
    draw(FOLDER, PREFIX)
    paint(FOLDER / f"{PREFIX}painted.png", FOLDER / f"{PREFIX}square_mask.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
