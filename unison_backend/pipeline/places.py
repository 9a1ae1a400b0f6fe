"""Where a result goes, by its name and by what is made."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from ..files import Place
from ..media.sequence import check_free, frame_name, is_sequence
from ..media.write import IMAGE_WRITE_SUFFIXES, VIDEO_WRITE_SUFFIXES
from ..plan.plan import Plan


def output_path(out: Path, plan: Plan) -> Path:
    """`out`, a file name that fits what is made, a folder (there it gets the next free name at the end), or of a video
    the name of its frames."""
    suffixes = _suffixes(plan)
    if is_frames(out, plan):
        check_free(out)
    elif not is_folder(out) and out.suffix.lower() not in suffixes:
        made = "a picture" if plan.output == "image" else "a video"
        frames = " (or, for its frames, frames/%04d.png)" if plan.output == "video" else ""
        raise InputError(
            f"--out {out}: {made} is made here ({plan.task}); the name must end in {', '.join(suffixes)}{frames}"
        )
    return out


def is_frames(out: Path, plan: Plan) -> bool:
    """Whether a video is to be written as numbered pictures."""
    return plan.output == "video" and not is_folder(out) and is_sequence(out)


def is_folder(out: Path) -> bool:
    """Whether results get names of their own in `out`, which is or will be a folder."""
    return out.is_dir() or not out.suffix


def place_of(out: Path, plan: Plan) -> tuple[Path, Place]:
    """What `out` is to the one who writes."""
    if is_frames(out, plan):
        return frame_name(out, 1), "name"
    return (out / f"unison{_suffixes(plan)[0]}", "number") if is_folder(out) else (out, "link")


def _suffixes(plan: Plan) -> tuple[str, ...]:
    return IMAGE_WRITE_SUFFIXES if plan.output == "image" else VIDEO_WRITE_SUFFIXES
