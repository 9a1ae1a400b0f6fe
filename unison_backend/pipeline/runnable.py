"""What can be refused before a model is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, ResourceError
from ..files import check_place
from ..plan.plan import MAIN, WHOLE_FRAME
from ..plan.spec import GenerationSpec
from .places import output_path, place_of
from .planning import Planned

if TYPE_CHECKING:
    from ..sources.prepare import Annotators

BYTES_PER_VALUE = 4
# Frames as source, as both halves of the split and as output are in memory together.
COPIES_IN_MEMORY = 4


def check_runnable(planned: Planned, out: Path, annotators: Annotators | None = None, *, here: bool = True) -> Path:
    """Where the result goes (`output_path`); raises before any work when the plan cannot be run or does not fit.

    here: it is made in this machine's memory.
    """
    plan, spec = planned.plan, planned.spec
    if not spec.is_complete:
        raise InputError("the instruction holds media without files; write them as ###path###")
    from ..sources.prepare import NO_ANNOTATORS, check_possible

    if plan.source is not None and (plan.mask, plan.target, plan.borders) == (None, None, None):
        raise InputError(
            f"the instruction edits {planned.media.label(plan.source)}, but what to change in it cannot be read from "
            "its words, and no mask is given. Give --mask FILE (white = change), or --mask-phrase with what to find, "
            f"as in 'red car' ({MAIN} is the instruction's main noun, '{WHOLE_FRAME}' has all of it made anew)"
        )
    check_possible(plan, planned.media, annotators or NO_ANNOTATORS, spec)
    path = output_path(out, plan)
    for index, medium in enumerate(planned.media.media):
        if medium.path and path.exists() and planned.media.path(index).resolve() == path.resolve():
            raise InputError(f"--out {path} is also an input of this instruction; choose another name")
    check_place(*place_of(path, plan))
    if here:
        check_memory(spec)
    return path


def check_memory(spec: GenerationSpec) -> None:
    """Raise ResourceError when the frames alone cannot fit into the memory that is free."""
    import psutil

    values = (spec.width or 0) * (spec.height or 0) * (spec.num_frames or 0) * 3
    needed, free = values * BYTES_PER_VALUE * COPIES_IN_MEMORY, psutil.virtual_memory().available
    if needed > free:
        raise ResourceError(
            f"{spec.num_frames} frames of {spec.width}x{spec.height} need about {needed / 2**30:.0f} GB for the frames "
            f"alone, {free / 2**30:.0f} GB are free: lower size or length (width, height, num_frames)"
        )
