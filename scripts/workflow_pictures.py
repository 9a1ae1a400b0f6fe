"""Thumbnails of the example workflows from the screenshots of tests/browser: `workflow_pictures.py FOLDER`.

FOLDER holds answer.json and <workflow>.png, or <workflow>.run.png after a run (see UNISON_SCREENSHOTS in
tests/browser/test_frontend.py). Also makes docs/screenshots/auto.png. Needs Pillow.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
THUMBNAIL = (480, 270)
SCREENSHOT_WIDTH = 1600
PAGE_WIDTH = 1920  # CSS pixels, as frontend.mjs opens it
MARGIN = 12


Area = tuple[float, float, float, float]


def graph_picture(folder: Path, name: str, area: Area) -> Image.Image:
    """An area (x, y, width, height in CSS pixels) of a workflow's screenshot."""
    after = folder / f"{name}.run.png"
    shot = Image.open(after if after.is_file() else folder / f"{name}.png").convert("RGB")
    scale = shot.width / PAGE_WIDTH
    x, y, width, height = area
    left, top, right, bottom = x - MARGIN, y - MARGIN, x + width + MARGIN, y + height + MARGIN
    return shot.crop((round(left * scale), round(top * scale), round(right * scale), round(bottom * scale)))


def without_left_side(workflow: dict[str, Any], whole: Area) -> Area:
    """The area from the instruction to the results, or the whole graph's where that would not show more of it."""
    boxes = {group["title"]: group["bounding"] for group in workflow["groups"]}
    left, top, right, _ = _bounds(list(boxes.values()))
    scale = whole[2] / (right - left)
    start = next(box[0] for title, box in boxes.items() if title.startswith("Instruction"))
    inner_left, inner_top, inner_right, inner_bottom = _bounds([box for box in boxes.values() if box[0] >= start])
    width, height = inner_right - inner_left, inner_bottom - inner_top
    inner = (
        whole[0] + (inner_left - left) * scale,
        whole[1] + (inner_top - top) * scale,
        width * scale,
        height * scale,
    )
    return min(whole, inner, key=lambda area: max(area[2] / THUMBNAIL[0], area[3] / THUMBNAIL[1]))


def _bounds(boxes: list[Area]) -> Area:
    """Left, top, right, bottom of all."""
    rights, bottoms = [box[0] + box[2] for box in boxes], [box[1] + box[3] for box in boxes]
    return min(box[0] for box in boxes), min(box[1] for box in boxes), max(rights), max(bottoms)


def thumbnail(picture: Image.Image) -> Image.Image:
    """The whole picture on its own background, in a thumbnail's shape."""
    background = Image.new("RGB", THUMBNAIL, picture.getpixel((2, 2)))
    small = picture.copy()
    small.thumbnail(THUMBNAIL, Image.Resampling.LANCZOS)
    background.paste(small, ((THUMBNAIL[0] - small.width) // 2, (THUMBNAIL[1] - small.height) // 2))
    return background


def main(arguments: Sequence[str]) -> int:
    """Make them all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(arguments).folder
    found = json.loads((folder / "answer.json").read_text(encoding="utf-8"))["workflows"]
    for name, entry in found.items():
        path = ROOT / "workflows" / f"{name}.json"
        if not path.is_file():  # graphs as earlier releases saved them, which the browser tests open too
            continue
        workflow = json.loads(path.read_text(encoding="utf-8"))
        whole = entry["crop"][0], entry["crop"][1], entry["crop"][2], entry["crop"][3]
        picture = graph_picture(folder, name, without_left_side(workflow, whole))
        thumbnail(picture).save(ROOT / "workflows" / f"{name}.jpg", quality=88, optimize=True)
        sys.stdout.write(f"workflows/{name}.jpg\n")
        if name == "unison_auto":
            picture = graph_picture(folder, name, whole)
            size = (SCREENSHOT_WIDTH, round(picture.height * SCREENSHOT_WIDTH / picture.width))
            small = picture.resize(size, Image.Resampling.LANCZOS).quantize(256, kmeans=1)
            target = ROOT / "docs" / "screenshots" / "auto.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            small.save(target, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
