"""The one entry for maps of every kind: as it is, without weights, or by a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from ...errors import UnsupportedError
from ...progress import Cancel, Progress, never, silent
from .edges import canny, grey, scribble
from .is_map import looks_like

if TYPE_CHECKING:
    from torch import Tensor


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

    A video that already is such a map is returned as it is. models: by kind; `bind.map_maker` binds them.
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


_FREE: dict[str, Callable[..., Tensor]] = {"canny": canny, "grey": grey, "scribble": scribble}
