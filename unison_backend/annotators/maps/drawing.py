"""How key points and flow are painted: OpenPose figures and the colours of directions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


Point = tuple[float, float]  # x and y in pixels

POSE_THRESHOLD = 0.3  # reference: a key point that scores less is not drawn, nor are its limbs
# The 18 key points in the order in which OpenPose numbers them, as COCO's 17 number them; None: the neck.
_FROM_COCO = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
_COCO_SHOULDERS = (5, 6)
_LIMBS = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13)),
    *((1, 0), (0, 14), (14, 16), (0, 15), (15, 17)),
)
# OpenPose's colours with red and blue swapped, as VACE's annotator writes them (pose.py, [..., ::-1]) and its sample
# map and its paper's figures show them.
_COLOURS = (
    *((0, 0, 255), (0, 85, 255), (0, 170, 255), (0, 255, 255), (0, 255, 170), (0, 255, 85)),
    *((0, 255, 0), (85, 255, 0), (170, 255, 0), (255, 255, 0), (255, 170, 0), (255, 85, 0)),
    *((255, 0, 0), (255, 0, 85), (255, 0, 170), (255, 0, 255), (170, 0, 255), (85, 0, 255)),
)
_LIMB_SHADE = 0.6
_POSE_SIZE, _POSE_RADIUS = 1024, 4  # reference: half a limb's width and a joint's radius in a frame that large
_SUPERSAMPLE = 2  # painted twice as large and averaged, so that lines are smooth
_ELLIPSE_CORNERS = 36


def openpose(points: Tensor, scores: Tensor) -> list[Point | None]:
    """COCO's 17 key points ([17, 2] x and y, [17]) as OpenPose's 18; None for those that score too little.

    The neck is the middle of the shoulders, and is there when both are.
    """
    found = [
        (x, y) if score > POSE_THRESHOLD else None
        for (x, y), score in zip(points.tolist(), scores.tolist(), strict=True)
    ]
    left, right = (found[i] for i in _COCO_SHOULDERS)
    neck = ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2) if left and right else None
    return [neck if i is None else found[i] for i in _FROM_COCO]


def draw_people(people: Sequence[Sequence[Point | None]], height: int, width: int) -> Tensor:
    """[H, W, 3] float32: each person's limbs and joints in colour on black, as VACE's `pose_body` paints them.

    people: 18 key points each, in OpenPose's order: x and y in pixels from the left upper corner, or None. Limbs are
    ellipses; widths grow with the frame's shorter side. A face's outline takes key points that COCO does not have.
    """
    import numpy as np
    import torch
    from PIL import Image, ImageDraw

    size = (width * _SUPERSAMPLE, height * _SUPERSAMPLE)
    radius = max(1.0, _POSE_RADIUS * min(height, width) / _POSE_SIZE) * _SUPERSAMPLE
    canvas = Image.new("RGB", size)
    draw = ImageDraw.Draw(canvas)
    scaled = [[p and (p[0] * _SUPERSAMPLE, p[1] * _SUPERSAMPLE) for p in person] for person in people]
    for (a, b), colour in zip(_LIMBS, _COLOURS, strict=False):
        for person in scaled:
            if (start := person[a]) and (end := person[b]):
                draw.polygon(_ellipse(start, end, radius), fill=tuple(int(c * _LIMB_SHADE) for c in colour))
    for index, colour in enumerate(_COLOURS):
        for person in scaled:
            if point := person[index]:
                x, y = point
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return torch.from_numpy(np.array(canvas.reduce(_SUPERSAMPLE), dtype=np.float32) / 255)


def _ellipse(start: Point, end: Point, radius: float) -> list[Point]:
    """Corners of the ellipse from `start` to `end` that is 2 `radius` wide in the middle."""
    x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    along = ((end[0] - start[0]) / 2, (end[1] - start[1]) / 2)
    length = math.hypot(*along) or 1.0
    across = (-along[1] / length * radius, along[0] / length * radius)
    turns = (2 * math.pi * i / _ELLIPSE_CORNERS for i in range(_ELLIPSE_CORNERS))
    return [
        (x + math.cos(t) * along[0] + math.sin(t) * across[0], y + math.cos(t) * along[1] + math.sin(t) * across[1])
        for t in turns
    ]


def flow_colours(flow: Tensor, longest: float) -> Tensor:
    """[2, H, W] float32 (right and down, in pixels) as [H, W, 3]: hue is the direction, white is rest.

    longest: the length of a vector that gets its full colour; every vector here is at most that long.
    The colours are torchvision's `flow_to_image`, which are the reference's.
    """
    import torch
    from einops import rearrange
    from torch.nn import functional
    from torchvision.utils import flow_to_image

    # flow_to_image scales by the longest vector that it sees: a further column shows it the clip's
    framed = functional.pad(flow.to("cpu", torch.float32), (0, 1))
    framed[0, :, -1] = longest
    painted: Tensor = rearrange(flow_to_image(framed)[..., :-1], "c h w -> h w c") / 255
    return painted
