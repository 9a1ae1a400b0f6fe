"""Whether footage already is a control map, so that no map is made of a map.

Cheap statistics of up to five frames, each of which has to look like the map (frames of one colour are passed over).
They lean to "no": ordinary colour footage must not be taken for a map, while a map that is not recognised can be given
as `control = map`. The measures are in `statistics` and in each kind's own file. Colourless footage is what it
seems: it counts as a grey map, smooth as a depth map, and a line drawing as a canny or scribble map.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...errors import InputError
from ...plan.controls import CONTROLS, MAP
from .frames import check_video
from .kinds import kind_file
from .statistics import is_plain

if TYPE_CHECKING:
    from torch import Tensor

    from .statistics import Pixels

FRAMES = 5  # looked at, evenly spread, the first and last among them
SEEN_SIDE = 2048  # larger frames are looked at in every second (third, ...) pixel


def looks_like(kind: str, video: Tensor) -> bool:
    """Whether the video [T, H, W, 3] (0..1) already is a control map of this kind (see `plan.controls`).

    Raises InputError for another shape or kind. "map" is what the person says it is: True.
    """
    check_video(video)
    if kind not in CONTROLS:
        raise InputError(f"control is {kind!r}; it is one of {', '.join(CONTROLS)}")
    if kind == MAP:
        return True
    seen = [frame for frame in _frames(video) if not is_plain(frame)]
    test = kind_file(kind).looks_like
    return bool(seen) and all(test(frame) for frame in seen)


def _frames(video: Tensor) -> Iterator[Pixels]:
    import torch

    last = len(video) - 1
    step = -(-max(video.shape[1:3]) // SEEN_SIDE)
    for number in sorted({last * i // (FRAMES - 1) for i in range(FRAMES)}):
        yield video[number, ::step, ::step].detach().to("cpu", torch.float32).numpy()
