"""Boxes between nodes: BOUNDING_BOX, ComfyUI's own type, and the JSON that Detect writes beside it.

ComfyUI's nodes give a box, the boxes of every frame, or a list of boxes for each frame, and take any of them. A box is
{x, y, width, height} in pixels; ours are whole pixels, with label and score beside them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from ..unison_backend.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from ..unison_backend.annotators.detector import Detection

    Corners = tuple[float, float, float, float]  # left, top, right, bottom in pixels

# By its name: hosts of 0.8 have no class for it, and there too our nodes connect to each other and to other packs'.
BoxesSocket = io.Custom("BOUNDING_BOX")
_SIDES = ("x", "y", "width", "height")
_FORM = "a box is x, y, width and height in pixels"


def boxes_input(name: str, tooltip: str) -> Any:
    """An optional socket for boxes; the host would else draw a widget for one box on it."""
    return BoxesSocket.Input(name, optional=True, tooltip=tooltip, extra_dict={"forceInput": True})


def boxes_in(value: Any, frame: int, count: int, name: str = "bboxes") -> tuple[int, list[Corners]]:
    """(frame, boxes) of a BOUNDING_BOX value on the socket `name`, for `count` frames.

    One box, or boxes without a frame of their own, are `frame`'s. Of a list for each frame those of `frame` are taken;
    where it has none and only one other has, that one's. Raises InputError for anything else, and for no box at all.
    """
    frames = _by_frame(value, name)
    if len(frames) == 1:
        return frame, _some(frames[0], name)
    if len(frames) != count:
        raise InputError(f"{name} is for {len(frames)} frames, images holds {count}: take both from the same frames")
    filled = [number for number, boxes in enumerate(frames) if boxes]
    if len(filled) > 1 and frame not in filled:
        shown = ", ".join(map(str, filled[:8])) + (", ..." if len(filled) > 8 else "")
        raise InputError(f"{name} has no box in frame {frame}, but in the frames {shown}: set frame to one of them")
    if len(filled) == 1:
        frame = filled[0]
    return frame, _some(frames[frame] if filled else [], name)


def _by_frame(value: Any, name: str) -> list[list[Corners]]:
    """The boxes of every frame, or of the one list that is meant for any."""
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise InputError(f"{name} is {type(value).__name__}: {_FORM}")
    if not any(isinstance(entry, list) for entry in value):
        value = [value]
    if not all(isinstance(entry, list) for entry in value):
        raise InputError(f"{name} holds boxes beside lists of boxes: {_FORM}")
    return [[_corners(box, name) for box in boxes] for boxes in value]


def _some(boxes: list[Corners], name: str) -> list[Corners]:
    if not boxes:
        raise InputError(f"{name} holds no box: nothing was found in front of it")
    return boxes


def _corners(box: Any, name: str) -> Corners:
    try:
        x, y, width, height = (float(box[side]) for side in _SIDES)
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{name} holds {str(box)[:60]}: {_FORM}") from None
    if not all(map(math.isfinite, (x, y, width, height))) or width <= 0 or height <= 0:
        raise InputError(f"{name} holds a box of x {x:g}, y {y:g}, width {width:g}, height {height:g}: {_FORM}")
    return x, y, x + width, y + height


def clipped(boxes: Sequence[Corners], width: int, height: int, name: str = "bboxes") -> tuple[list[Corners], list[str]]:
    """Boxes without what lies beside the picture, and a sentence where something was cut.

    Raises InputError for a box that lies wholly beside it.
    """
    size = f"the picture is {width} wide and {height} high"
    kept: list[Corners] = []
    for left, top, right, bottom in boxes:
        box = (max(left, 0), max(top, 0), min(right, width), min(bottom, height))
        if box[0] >= box[2] or box[1] >= box[3]:
            raise InputError(f"{name}: the box {left:g}, {top:g}, {right:g}, {bottom:g} (left, top, right, bottom) "
                             f"lies beside the picture: {size}")  # fmt: skip
        kept.append(box)
    over = sum(tuple(given) != box for given, box in zip(boxes, kept, strict=True))
    return kept, [f"{name}: of {over} of {len(boxes)} boxes the edge was cut, {size}"] if over else []


def as_boxes(found: Sequence[Detection], frame: int, count: int) -> list[list[dict[str, Any]]]:
    """Detections of one frame as BOUNDING_BOX: a list for each of `count` frames, empty but for that one."""
    boxes = [_whole(d.box) | {"label": d.label, "score": round(d.score, 4)} for d in found]
    return [boxes if number == frame else [] for number in range(count)]


def _whole(box: Corners) -> dict[str, int]:
    """Whole pixels around a box."""
    left, top, right, bottom = math.floor(box[0]), math.floor(box[1]), math.ceil(box[2]), math.ceil(box[3])
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}


def around(mask: Tensor) -> list[list[dict[str, int]]]:
    """The box around what is white in each frame of a mask [T, H, W] bool; an empty list where nothing is."""
    boxes: list[list[dict[str, int]]] = []
    for frame in mask:
        rows, columns = (frame.any(axis).nonzero().flatten().tolist() for axis in (1, 0))
        edges = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if rows else None
        boxes.append([_whole(edges)] if edges else [])
    return boxes


def as_json(found: Sequence[Detection], frame: int) -> str:
    """Detections as JSON: frame, box (left, top, right, bottom in pixels), label, score."""
    return json.dumps(
        [{"frame": frame, "box": list(d.box), "label": d.label, "score": round(d.score, 4)} for d in found]
    )


def from_json(text: str) -> tuple[int, list[Corners]]:
    """(frame, boxes) of what `as_json` writes; raises InputError."""
    try:
        entries = json.loads(text)
        boxes = [tuple(float(value) for value in entry["box"]) for entry in entries]
        frames = {int(entry["frame"]) for entry in entries}
    except (ValueError, TypeError, KeyError):
        raise InputError("boxes is not what Detect writes: connect its boxes") from None
    if len(frames) != 1 or any(len(box) != 4 for box in boxes):
        raise InputError(f"boxes must be four numbers each and of one frame, these are of {len(frames)}")
    return frames.pop(), [(left, top, right, bottom) for left, top, right, bottom in boxes]
