"""The one entry for maps of every kind: as it is, without weights, or by a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...errors import UnsupportedError
from ...plan.controls import CONTROLS, MAP
from ...progress import Cancel, Progress, never, silent
from ...weights.needs import describe, need_of
from .is_map import looks_like
from .kinds import MapMaker, free

if TYPE_CHECKING:
    from torch import Tensor


def make_map(
    kind: str, video: Tensor, models: Mapping[str, MapMaker], progress: Progress = silent, cancel: Cancel = never
) -> tuple[Tensor, str]:
    """The map of this kind (`plan.controls`) of a video [T, H, W, 3], and what was done in a sentence.

    A video that already is such a map is returned as it is. models: by kind; `bind.map_maker` binds them.
    Raises UnsupportedError that says which weights are missing and where to put them, InputError, Cancelled,
    ResourceError.
    """
    if looks_like(kind, video):
        return video, f"the control input {'is' if kind == MAP else f'already is a {kind} map and is'} used as it is"
    if not CONTROLS[kind].takes_weights:
        made = free(kind).make(video, progress=progress, cancel=cancel)
        return made, f"a {kind} map was made of the control input"
    if kind not in models:
        raise UnsupportedError(
            f"a {kind} map of ordinary footage takes weights that are not here: {describe(need_of(kind))}; or give a "
            f"ready map and set control to {MAP}"
        )
    return models[kind].make_map(video, progress, cancel)
