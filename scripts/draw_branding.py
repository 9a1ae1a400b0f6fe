"""Draws the icon and the banner of the registry page: `python scripts/draw_branding.py`.

Several strands (words, pictures, videos, masks) become one line and end in a frame: what the pack does.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "branding"
ICON, BANNER = (400, 400), (1260, 540)
"""Square, at most 400 pixels a side; 21:9 (the registry's rules)."""
OVERSAMPLING = 4
TOP, BOTTOM, WHITE = (18, 20, 46), (44, 22, 74), (246, 246, 252)
STRANDS = ((255, 111, 97), (255, 196, 84), (70, 209, 178), (104, 150, 255))
Point = tuple[float, float]


def background(width: int, height: int) -> Image.Image:
    """A vertical gradient."""
    picture = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(picture)
    for y in range(height):
        share = y / (height - 1)
        draw.line([0, y, width, y], fill=tuple(round(a + (b - a) * share) for a, b in zip(TOP, BOTTOM, strict=True)))
    return picture


def line(draw: ImageDraw.ImageDraw, start: Point, end: Point, colour: tuple[int, ...], width: float) -> None:
    """A line with round ends, level at both: a straight one where they are at one height."""
    (x0, y0), (x1, y1) = start, end
    steps = round(x1 - x0)
    for step in range(steps + 1):
        along, across = step / steps, (1 - math.cos(math.pi * step / steps)) / 2
        x, y, reach = x0 + (x1 - x0) * along, y0 + (y1 - y0) * across, width / 2
        draw.ellipse([x - reach, y - reach, x + reach, y + reach], fill=colour)


def mark(picture: Image.Image, left: float, top: float, size: float) -> None:
    """The strands, the line and the frame with a play sign, in a square of `size`."""
    draw, width, middle = ImageDraw.Draw(picture), 0.05 * size, top + size / 2
    meeting, frame = (left + 0.5 * size, middle), (left + 0.6 * size, middle - 0.17 * size)
    for number, colour in enumerate(STRANDS):
        line(draw, (left + 0.08 * size, top + size * (0.2 + 0.2 * number)), meeting, colour, width)
    line(draw, meeting, (frame[0], middle), WHITE, width)
    box = [*frame, frame[0] + 0.34 * size, middle + 0.17 * size]
    draw.rounded_rectangle(box, radius=0.05 * size, outline=WHITE, width=round(0.7 * width))
    x, reach = frame[0] + 0.18 * size, 0.075 * size
    draw.polygon(
        [(x - 0.7 * reach, middle - reach), (x - 0.7 * reach, middle + reach), (x + reach, middle)], fill=WHITE
    )


def icon() -> Image.Image:
    """The mark alone."""
    side = ICON[0] * OVERSAMPLING
    picture = background(side, side)
    mark(picture, 0, 0, side)
    return picture.resize(ICON, Image.Resampling.LANCZOS)


def banner() -> Image.Image:
    """The mark, the name and what it does."""
    width, height = (side * OVERSAMPLING for side in BANNER)
    picture = background(width, height)
    mark(picture, 0.03 * width, 0.5 * height - 0.2 * width, 0.4 * width)
    draw, x = ImageDraw.Draw(picture), 0.47 * width
    draw.text((x, 0.3 * height), "Unison", font=ImageFont.load_default(0.24 * height), fill=WHITE)
    words = "One instruction: planned, routed, made."
    draw.text((x, 0.59 * height), words, font=ImageFont.load_default(0.062 * height), fill=(206, 206, 230))
    return picture.resize(BANNER, Image.Resampling.LANCZOS)


def main() -> int:
    """Write both pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, picture in (("icon.png", icon()), ("banner.png", banner())):
        picture.save(FOLDER / name, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
