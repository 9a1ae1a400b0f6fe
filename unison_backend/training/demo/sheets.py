"""What was made of examples as pictures to look at: large, frame by frame, with the outline that it should have on it.

An example is a block of strips: what was given, what was wanted, what was made, and that once more with an outline: of
what is asked for where its place is known (controls and edits), else of the asked shape where it lies best on what was
made, so that a corner that is missing or too much is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from ...demo.world.reading import fitted, read_frame
from ...demo.world.shapes import Thing, silhouette
from ...demo.world.tasks import Example
from ...media.to_bytes import tensor_to_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

PICTURE, VIDEO = 4, 2  # times as large as it is
MOST_FRAMES = 9  # of a strip
GAP, TITLE, MARGIN = 6, 18, 84
BETWEEN = 2  # pixels between two frames
SHEET_WIDTH = 1600  # pixels that blocks are laid beside each other in


@dataclass(frozen=True)
class Block:
    """Strips of one example by their names, each [n, H, W, 3] uint8, and how well the asked shape lies on what was
    made: the soft overlap, 0..1, of the frame in the middle; None where there is nothing to lie on.
    """

    strips: tuple[tuple[str, Tensor], ...]
    fit: float | None


def block(drawn: Example, made: Tensor) -> Block:
    """The strips of an example and of what was made of it, [T, H, W, 3] in 0..1."""
    named = [*((f"given {n}", medium) for n, medium in enumerate(drawn.media, 1)), ("wanted", drawn.target)]
    strips = [_strip(name, frames) for name, frames in (*named, ("made", made))]
    if not drawn.scene.things or made.shape != drawn.target.shape:
        return Block(tuple(strips), None)
    things, fit = _outlined(drawn, made)
    if any(things):
        strips.append(("outline", _with_outlines(strips[-1][1], things)))
    return Block(tuple(strips), fit)


def strip(frames: Tensor) -> Block:
    """A picture or clip alone, [T, H, W, 3] in 0..1, without a name."""
    return Block((_strip("", frames),), None)


def _strip(name: str, frames: Tensor) -> tuple[str, Tensor]:
    """The frames that are shown, each pixel as a square, [n, H, W, 3] uint8."""
    times = PICTURE if len(frames) == 1 else VIDEO
    shown = tensor_to_bytes(frames[_shown(len(frames))])
    return name, shown.repeat_interleave(times, 1).repeat_interleave(times, 2)


def _shown(length: int) -> list[int]:
    """Frames spread over the whole length, the first and the last among them."""
    count = min(MOST_FRAMES, length)
    return [round(n * (length - 1) / max(1, count - 1)) for n in range(count)]


def _outlined(drawn: Example, made: Tensor) -> tuple[list[Thing | None], float | None]:
    """What to draw around in each frame that is shown, and the fit in the middle."""
    task, thing = drawn.task.value, drawn.scene.things[-1]
    shown, middle = _shown(len(made)), len(made) // 2
    within = drawn.sources.mask if task.endswith("editing") else torch.ones_like(made[..., 0])
    found: dict[int, tuple[Thing, float]] = {}
    for index in {*shown, middle}:
        seen = read_frame(made[index], within[index], "coverage")
        if seen.shape is not None:
            found[index] = fitted(seen.outline, thing.shape)
    fit = found[middle][1] if middle in found else None
    if task.endswith(("editing", "control")):
        return [_at(thing, index, len(made)) for index in shown], fit
    return [found[index][0] if index in found else None for index in shown], fit


def _at(thing: Thing, index: int, frames: int) -> Thing:
    """Where a moving thing is in a frame, standing still."""
    time = index / (frames - 1) if frames > 1 else 0.5
    return Thing(thing.shape, thing.colour, thing.x + thing.dx * time, thing.y + thing.dy * time, thing.radius)


def _with_outlines(frames: Tensor, things: Sequence[Thing | None]) -> Tensor:
    """White lines with black ones around them, which are seen on any colour. frames: [n, H, W, 3] uint8."""
    drawn = frames.clone()
    for frame, thing in zip(drawn, things, strict=True):
        if thing is None:
            continue
        inside = (silhouette(thing, 1, *frame.shape[:2])[0] > 0.5).float()
        frame[inside > _eroded(inside)] = 255
        frame[-_eroded(-inside) > inside] = 0
    return drawn


def _eroded(mask: Tensor) -> Tensor:
    """A mask [H, W] without its outermost pixels; the border of the picture is no edge."""
    shrunk: Tensor = -functional.max_pool2d(-mask[None, None], 3, 1, 1)[0, 0]
    return shrunk


def picture(one: Block) -> Image:
    """An example's strips below each other, their names (if they have any) at the left."""
    from PIL import Image as images
    from PIL import ImageDraw
    from PIL.ImageFont import load_default

    rows = [(name, images.fromarray(_side_by_side(frames).numpy())) for name, frames in one.strips]
    left = MARGIN if any(name for name, _ in rows) else 0
    width, height = max(row.width for _, row in rows), sum(row.height for _, row in rows) + GAP * (len(rows) - 1)
    canvas = images.new("RGB", (left + width, height), "white")
    draw, y = ImageDraw.Draw(canvas), 0
    for name, row in rows:
        canvas.paste(row, (left, y))
        draw.text((0, y), name, "black", load_default(13))
        y += row.height + GAP
    return canvas


def _side_by_side(frames: Tensor) -> Tensor:
    """[n, H, W, 3] uint8 as one picture, white between two frames."""
    apart = functional.pad(frames, (0, 0, 0, BETWEEN), value=255)
    return torch.cat(list(apart), dim=1)[:, :-BETWEEN]


def sheet(blocks: Sequence[tuple[str, Image]]) -> Image:
    """Examples beside and below each other, each under its title (one line of ASCII)."""
    from PIL import Image as images
    from PIL import ImageDraw
    from PIL.ImageFont import load_default

    places, x, y, tall = [], GAP, GAP, 0
    for _, one in blocks:
        if x > GAP and x + one.width > SHEET_WIDTH:
            x, y, tall = GAP, y + tall + TITLE + 2 * GAP, 0
        places.append((x, y))
        x, tall = x + one.width + 3 * GAP, max(tall, one.height)
    width = max(x + one.width for (x, _), (_, one) in zip(places, blocks, strict=True))
    canvas = images.new("RGB", (width + GAP, y + tall + TITLE + GAP), "white")
    draw = ImageDraw.Draw(canvas)
    for (x, y), (title, one) in zip(places, blocks, strict=True):
        draw.text((x, y), title, "black", load_default(13))
        canvas.paste(one, (x, y + TITLE))
    return canvas
