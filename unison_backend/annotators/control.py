"""Control maps: those that need no weights (edges, grey, scribble), and how key points and flow are painted.

Maps are [T, H, W, 3] float32 in 0..1 on the CPU, made frame by frame. What VACE's own annotators do is in
notes/vace.md section 3; where ours differ, the function says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import InputError, UnsupportedError
from ..masks import grown
from ..memory import memory_errors
from ..progress import Cancel, Progress, check, never, silent
from .is_map import check_video, looks_like

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    Pixels = NDArray[np.floating[Any]]

Point = tuple[float, float]  # x and y in pixels

CANNY_LOW, CANNY_HIGH = 0.1, 0.2  # kornia's defaults; a hard step of s has the gradient 2.6 s there

LUMA = (0.299, 0.587, 0.114)  # ITU-R 601

# Scribble: difference of Gaussians (Winnemoeller's XDoG, sigma and 1.6 sigma), in pixels of a frame 512 high or wide.
SCRIBBLE_SIZE = 512
SCRIBBLE_SIGMA, SCRIBBLE_RATIO = 1.4, 1.6
SCRIBBLE_EDGE = 0.02  # least difference, as a share of the brightness around it; found on photographs
SCRIBBLE_SPECK = 40  # pixels; what is smaller is grain, not a line
SCRIBBLE_GROWTH = 1  # pixels to every side: lines get 2 pixels wider
# VACE's lines are dark on white: its authors say so (github.com/ali-vilab/VACE issue 100) and draw it so (their
# assets/materials/tasks.png). Ours are light on black like canny's until the project decides otherwise.
SCRIBBLE_DARK_LINES = False

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


# What makes the other maps, where it comes from and where it is looked for.
_FOLDER = "models/unison/control"
WANTED = {
    "depth": f"the folder huggingface.co/depth-anything/Depth-Anything-V2-Small-hf (about 100 MB) into {_FOLDER}",
    "pose": f"huggingface.co/usyd-community/vitpose-base-simple (about 350 MB) as folder {_FOLDER}/pose/vitpose and "
    f"huggingface.co/PekingU/rtdetr_r50vd_coco_o365 (about 170 MB) as {_FOLDER}/pose/detector",
    "flow": "raft_small_C_T_V2-01064c6d.pth (4 MB) or raft_large_C_T_SKHT_V2-ff5fadd5.pth (21 MB) from "
    f"download.pytorch.org into {_FOLDER}",
}


class MapMaker(Protocol):
    """What makes one kind of map."""

    def make_map(self, video: Tensor, progress: Progress = silent, cancel: Cancel = never) -> tuple[Tensor, str]:
        """The map [T, H, W, 3] of a video of that shape (float32 0..1, on the CPU), and what was done in a sentence."""


def make_map(
    kind: str, video: Tensor, models: Mapping[str, MapMaker], progress: Progress = silent, cancel: Cancel = never
) -> tuple[Tensor, str]:
    """The map of this kind (`plan.CONTROLS`) of a video [T, H, W, 3], and what was done in a sentence.

    A video that already is such a map is returned as it is. models: by kind; `hooks.map_maker` binds them.
    Raises UnsupportedError that says which weights are missing and where to put them, InputError, Cancelled,
    ResourceError.
    """
    if looks_like(kind, video):
        return video, f"the control input {'is' if kind == 'map' else f'already is a {kind} map and is'} used as it is"
    if kind in _FREE:
        made = _FREE[kind](video, progress=progress, cancel=cancel)
        return made, f"a {kind} map was made of the control input"
    if kind not in models:
        raise UnsupportedError(
            f"a {kind} map of ordinary footage takes weights that are not here: put {WANTED[kind]}, or give "
            "a ready map and set control to map"
        )
    return models[kind].make_map(video, progress, cancel)


def each_frame(
    video: Tensor, make: Callable[[Tensor], Tensor], stage: str, progress: Progress = silent, cancel: Cancel = never
) -> Tensor:
    """`make` of each frame, put together: [H, W, 3] float32 on the CPU to [H, W] or [H, W, 3].

    A still that is repeated without a copy is made once, and the result is repeated in the same way.
    Raises InputError for another shape than [T, H, W, 3], Cancelled, ResourceError.
    """
    import torch

    check_video(video)
    count = 1 if video.stride(0) == 0 else len(video)
    with memory_errors(f"making the {stage}", "use a smaller or shorter video"):
        result = torch.empty(count, *video.shape[1:])
        for number in range(count):
            check(cancel, stage)
            made = make(video[number].detach().to("cpu", torch.float32))
            result[number] = made if made.ndim == 3 else made[..., None]
            progress(stage, number + 1, count)
    return result.expand(video.shape)


def luma(frame: Tensor) -> Tensor:
    """[H, W, 3] to its brightness [H, W], by ITU-R 601."""
    brightness: Tensor = frame @ frame.new_tensor(LUMA)
    return brightness.clamp(0, 1)


def grey(video: Tensor, *, progress: Progress = silent, cancel: Cancel = never) -> Tensor:
    """The video without its colour: ITU-R 601 brightness in three equal channels.

    The reference reads RGB frames as BGR, so that its weights of red and blue are swapped; ours are right.
    """
    return each_frame(video, luma, "grey map", progress, cancel)


def canny(
    video: Tensor,
    *,
    low: float = CANNY_LOW,
    high: float = CANNY_HIGH,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> Tensor:
    """Edges of one pixel, white on black, by kornia's Canny. The reference has no such annotator.

    low, high: gradients (0..4, of brightness 0..1 by Sobel) from which a pixel is an edge if it touches one, and in
    any case. Raises InputError unless 0 < low <= high.
    """
    if not 0 < low <= high:
        raise InputError(f"canny's thresholds are {low:g} and {high:g}; they have to be above 0, the low one first")
    return each_frame(video, lambda frame: _canny(luma(frame), low, high), "canny map", progress, cancel)


def _canny(brightness: Tensor, low: float, high: float) -> Tensor:
    import numpy as np
    import torch
    from kornia.filters import canny as kornia_canny
    from scipy import ndimage

    height, width = brightness.shape
    # Beside a clean step two pixels have equal gradients, and kornia before 0.9 then keeps neither. A bowl that is too
    # flat to be an edge makes them differ.
    rows, columns = (torch.arange(n, dtype=torch.float64) / n for n in (height, width))
    bowl = 1e-6 * (rows[:, None] ** 2 + columns**2)
    candidates = kornia_canny((brightness.double() + bowl)[None, None], low, high, hysteresis=False)[1][0, 0].numpy()
    # kornia's own hysteresis grows edges by a pixel a pass, which takes seconds a frame; the result is the same
    labels, count = ndimage.label(candidates > 0, np.ones((3, 3)))
    strong = np.zeros(count + 1, bool)
    strong[labels[candidates == 1]] = True
    return torch.from_numpy(strong[labels]).float()


def scribble(
    video: Tensor,
    *,
    dark_lines: bool = SCRIBBLE_DARK_LINES,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> Tensor:
    """Drawn-looking lines, of 0 and 1 only: white on black, or with dark_lines black on white.

    Lines run along the dark side of edges: where a blurred frame is darker than its surroundings (difference of
    Gaussians; XDoG's soft threshold is cut to yes or no, since nothing between is wanted), without specks, thickened.
    The reference uses a network that draws thinner lines, dark on white.
    """

    def make(frame: Tensor) -> Tensor:
        import torch

        lines = torch.from_numpy(_scribble(luma(frame).numpy())).float()
        return 1 - lines if dark_lines else lines

    return each_frame(video, make, "scribble map", progress, cancel)


def _scribble(brightness: Pixels) -> Any:
    import numpy as np
    from scipy import ndimage

    scale = min(brightness.shape) / SCRIBBLE_SIZE
    sigma = SCRIBBLE_SIGMA * scale
    fine, coarse = (ndimage.gaussian_filter(brightness, s, mode="nearest") for s in (sigma, SCRIBBLE_RATIO * sigma))
    labels, _ = ndimage.label((coarse - fine) / (coarse + 0.1) > SCRIBBLE_EDGE, np.ones((3, 3)))
    lasting = np.bincount(labels.ravel()) >= SCRIBBLE_SPECK * scale**2
    lasting[0] = False
    return grown(lasting[labels], max(1, round(SCRIBBLE_GROWTH * scale)))


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


_FREE: dict[str, Callable[..., Tensor]] = {"canny": canny, "grey": grey, "scribble": scribble}
