"""A result as a file: a picture, a video with its sound, numbered pictures; its plan inside."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from ..media.sequence import write_sequence
from ..plan.as_json import to_json
from ..plan.plan import Plan
from ..progress import Cancel, Progress
from .places import is_frames, place_of
from .planning import Planned

if TYPE_CHECKING:
    from torch import Tensor

    from ..engine.settings import Lora, SamplingSettings

METADATA_KEY = "unison"


def metadata_of(plan: Plan, settings: SamplingSettings, loras: Mapping[str, float]) -> dict[str, str]:
    """What a result says of how it was made. loras: strengths by file name."""
    used = {name: value for name, value in vars(settings).items() if value is not None}
    record = {"prompt": plan.prompt, "plan": to_json(plan), "settings": used}
    if loras:
        record["loras"] = dict(loras)
    return {METADATA_KEY: json.dumps(record, ensure_ascii=False)}


def write(
    out: Path,
    frames: Tensor,
    planned: Planned,
    settings: SamplingSettings,
    progress: Progress,
    cancel: Cancel,
    loras: Sequence[Lora] = (),
) -> tuple[Path, tuple[str, ...]]:
    """Write a still or a video with its plan inside, and the source's sound where the length is kept; where it is."""
    from ..media.write import write_image, write_video

    plan, spec = planned.plan, planned.spec
    metadata = metadata_of(plan, settings, {lora.path.name: lora.strength for lora in loras})
    path, place = place_of(out, plan)
    if plan.output == "image":
        return write_image(path, frames[0].numpy(), metadata=metadata, place=place), ()
    if spec.fps is None:
        raise ValueError("a video needs a frame rate")
    sound, start, notices = _sound_of(planned)
    if is_frames(out, plan):
        left = ("the sound is left out: pictures have none",) if sound else ()
        made = write_sequence(out, frames.numpy(), metadata=metadata, progress=progress, cancel=cancel)
        return made, (*notices, *left)
    path = write_video(path, frames.numpy(), spec.fps, audio_from=sound, audio_start=start, metadata=metadata,
                       progress=progress, cancel=cancel, place=place)  # fmt: skip
    return path, notices


def _sound_of(planned: Planned) -> tuple[Path | None, Fraction, tuple[str, ...]]:
    """The file of the video whose sound is kept, when it sets in (in seconds), and what is left out."""
    plan, spec, media = planned.plan, planned.spec, planned.media
    if spec.clips:
        heard = [clip for clip in spec.clips if media.info(clip.medium).has_audio]
        left = tuple(f"the sound of {media.label(clip.medium)} is left out: it has one already" for clip in heard[1:])
        if not heard:
            return None, Fraction(0), ()
        return media.path(heard[0].medium), heard[0].start / (spec.fps or Fraction(1)), left
    index = plan.source if plan.source is not None else plan.control_medium
    if index is None or not media.info(index).has_audio:
        return None, Fraction(0), ()
    if not spec.keeps_length:
        return None, Fraction(0), ("the sound of the source is left out: the length changed",)
    return media.path(index), Fraction(0), ()
