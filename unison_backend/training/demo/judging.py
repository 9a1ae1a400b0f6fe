"""Whether what was made is what was asked for, by its pixels alone: right or wrong by name, and by how much.

Outlines are read by one of two judges (`demo/world/reading.py`): by threshold, as all figures of the first sets were
measured, or by coverage, which antialiased drawings are to be measured by.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...demo.world.reading import Judge, Seen, alike, read_frame
from ...demo.world.tasks import Example

NEAR = 0.12  # a centre is right within this, in widths and heights
AREA = 0.35  # an area is right within this share
WAY = 0.2  # a thing has moved when its centre went this far
FRAME_ERROR = 0.05  # mean absolute error of a given frame
KEPT = 2 / 255  # of pixels that an edit leaves alone
CONTROL_OVERLAP = 0.8


@dataclass
class Judgement:
    """right: each claim by its name. figures: what the claims were told by, 0..1: overlaps (more is better) and errors
    (less is).
    """

    right: dict[str, bool] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)


def judge(drawn: Example, made: Tensor, by: Judge = "threshold") -> Judgement:
    """Whether each thing that the example's instruction asks for is to be seen in `made` [T, H, W, 3]."""
    if made.shape != drawn.target.shape:
        return Judgement({"size and length": False})
    found = Judgement({"size and length": True})
    task = drawn.task.value
    if task.endswith("editing"):
        _judge_edit(found, drawn, made, by)
        return found
    right, thing = found.right, drawn.scene.things[-1]
    seen = read_frame(made[len(made) // 2], by=by)
    right |= {"colour": seen.colour == thing.colour, "shape": seen.shape == thing.shape}
    right["colour and shape"] = right["colour"] and right["shape"]
    right["background"] = seen.background == drawn.scene.background
    if task == "text_to_image":
        wanted = read_frame(drawn.target[0], by=by)
        right["place"] = _near(seen, wanted)
        right["size"] = abs(seen.area / max(1, wanted.area) - 1) < AREA
    if task.endswith("control"):
        outline = torch.stack([read_frame(frame, by=by).outline for frame in made]).float()
        lies = alike(outline, drawn.canvas.silhouette(thing, len(made)), by)
        found.figures["overlap with the edges"] = lies
        right["follows the edges"] = lies >= CONTROL_OVERLAP
    if len(made) > 1 and drawn.meaning.motion != "nothing":
        right["motion"] = motion_of(made) == drawn.meaning.motion
    if task == "image_to_video":
        given = [index for index in range(len(made)) if bool((drawn.sources.mask[index] == 0).all())]
        errors = [(made[index] - drawn.target[index]).abs().mean().item() for index in given]
        found.figures["error of given frames"] = max(errors)
        right["given frames"] = max(errors) <= FRAME_ERROR
    return found


def _judge_edit(found: Judgement, drawn: Example, made: Tensor, by: Judge) -> None:
    """Outside the mask nothing changed; inside stands what was asked for, in the frame in the middle."""
    mask = drawn.sources.mask
    changed = (made - drawn.target).abs().amax(-1)[_far_from(mask)].max().item()
    found.figures["most change outside"] = changed
    found.right["outside untouched"] = changed <= KEPT
    middle = len(made) // 2
    seen = read_frame(made[middle], mask[middle], by)
    if drawn.meaning.colour == "nothing":
        wrong = (made[middle] - drawn.target[middle]).abs().mean(-1)[mask[middle] > 0.5].mean().item()
        found.figures["error where it was"] = wrong
        found.right["asked change"] = wrong <= FRAME_ERROR
        return
    colour, shape = seen.colour == drawn.meaning.colour, seen.shape == drawn.meaning.shape
    found.right |= {"colour": colour, "shape": shape, "asked change": colour and shape}


def _far_from(mask: Tensor) -> Tensor:
    """Pixels beyond the composite's feather."""
    from torch.nn import functional

    from ...sources.masks import FEATHER

    reach = 2 * FEATHER + 1
    return functional.max_pool2d(mask[:, None], reach, 1, FEATHER)[:, 0] == 0


def _near(one: Seen, other: Seen) -> bool:
    return abs(one.x - other.x) < NEAR and abs(one.y - other.y) < NEAR


def motion_of(frames: Tensor) -> str:
    """Which way the thing goes from the first frame to the last."""
    first, last = read_frame(frames[0]), read_frame(frames[-1])
    if first.colour is None or last.colour is None:
        return "nothing"
    dx, dy = last.x - first.x, last.y - first.y
    if max(abs(dx), abs(dy)) < WAY:
        return "still"
    if abs(dx) > abs(dy):
        return "right" if dx > 0 else "left"
    return "down" if dy > 0 else "up"
