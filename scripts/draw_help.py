"""Draws the pictures on the nodes' help pages: `python scripts/draw_help.py`, into js/docs, which ComfyUI serves.

Each is a row of what goes in and what comes out, made here by the command line with the embedded models, or taken from
docs/examples and docs/screenshots.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
EXAMPLES = ROOT / "docs" / "examples"
FOLDER = ROOT / "js" / "docs"
TILE, GAP, COLOURS = 128, 8, 64
# Of the screenshot of a planner: its instruction and the card below.
CARD = ((14, 244, 380, 302), (14, 398, 380, 556))  # the instruction, and what the planner made of it


def row(name: str, *pictures: Path | Image.Image) -> None:
    """Pictures side by side on what is transparent, as `name` of the help pages."""
    tiles = [_tile(Image.open(picture) if isinstance(picture, Path) else picture) for picture in pictures]
    width = sum(tile.width for tile in tiles) + GAP * (len(tiles) - 1)
    sheet = Image.new("RGBA", (width, TILE), (0, 0, 0, 0))
    left = 0
    for tile in tiles:
        sheet.paste(tile, (left, 0))
        left += tile.width + GAP
    sheet.quantize(COLOURS, method=Image.Quantize.FASTOCTREE).save(FOLDER / f"{name}.png", optimize=True)


def _tile(picture: Image.Image) -> Image.Image:
    picture = picture.convert("RGB")
    width = round(picture.width * TILE / picture.height)
    return picture.resize((width, TILE), Image.Resampling.NEAREST)


def sources_of(instruction: str, *options: str) -> Path:
    """The folder of the sources that a run keeps, its result beside them as made.png or made.mp4."""
    from unison_backend import cli

    folder = Path(tempfile.mkdtemp())
    out = folder / ("made.mp4" if "video" in instruction else "made.png")
    status = cli.main(["run", instruction, *options, "--steps", "2", "--quiet", "--out", str(out), "--keep-sources",
                       str(folder)])  # fmt: skip
    if status:
        raise SystemExit(f"status {status}: {instruction}")
    return folder


def edges_of(picture: Path) -> Image.Image:
    """The edges that Control Map makes of a picture."""
    import numpy as np
    import torch

    from unison_backend.annotators.bind import map_maker
    from unison_backend.progress import never, silent

    pixels = torch.from_numpy(np.asarray(Image.open(picture).convert("RGB"), np.float32) / 255)[None]
    made, _ = map_maker({})("canny", pixels, silent, never)
    return Image.fromarray((made[0].numpy() * 255).round().astype("uint8"))


def first_frame(video: Path) -> Image.Image:
    """What a video begins with."""
    from unison_backend.media.video import load_video

    return Image.fromarray((next(iter(load_video(video))) * 255).round().astype("uint8"))


def planner() -> None:
    """An instruction and the card of the planner, out of the film's picture of the node."""
    node = Image.open(ROOT / "docs" / "screenshots" / "plan_card.png").convert("RGB")
    parts = [node.crop(part) for part in CARD]
    drawn = Image.new("RGB", (parts[0].width, sum(part.height for part in parts)))
    for part, top in zip(parts, (0, parts[0].height), strict=True):
        drawn.paste(part, (0, top))
    drawn.quantize(COLOURS).save(FOLDER / "planner.png", optimize=True)


def main() -> int:
    """Draw all of them."""
    planner()
    square, mask = EXAMPLES / "square.png", EXAMPLES / "square_mask.png"
    edit = sources_of(f"Make the square in ###{square}### red. The mask is ###{mask}###.")
    row("prepare_sources", square, edit / "mask_0001.png", edit / "control_0001.png")
    row("composite", square, mask, EXAMPLES / "made_edited.png")
    row("control_map", EXAMPLES / "first.png", edges_of(EXAMPLES / "first.png"))
    row("vace_sampler", EXAMPLES / "edges.png", EXAMPLES / "made_controlled.png")
    clip = sources_of(f"Make a 64x64 video that starts with ###{EXAMPLES / 'first.png'}###, 9 frames.")
    row("frame_reference", *(clip / f"control_000{n}.png" for n in (1, 2, 9)), clip / "mask_0001.png",
        clip / "mask_0002.png")  # fmt: skip
    wide = sources_of(f"Create a 96x64 image of the star in ###{EXAMPLES / 'star.png'}### on a green background.")
    row("reference_canvas", EXAMPLES / "star.png", wide / "reference_1.png")
    samples = ROOT / "unison_backend" / "demo" / "samples"
    row("example_media", samples / "unison_square.png", samples / "unison_square_mask.png",
        first_frame(samples / "unison_circle.mp4"))  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
