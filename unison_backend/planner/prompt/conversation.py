"""What a model is told and shown: what plans mean, the media, the instruction, and what was wrong with an answer."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ...plan.controls import CONTROLS
from ...plan.geometry import MediaInfo, pick_frames
from ...plan.plan import WHOLE_FRAME, PlanError
from ...plan.prompt import Medium, Prompt, parse_pads
from ...plan.tasks import Make
from ...progress import Cancel, Progress, check
from ..qwen.vision import shrunk
from .model import Message
from .plan_schema import EMPTY, Asked, tasks

if TYPE_CHECKING:
    from torch import Tensor

    from ...sources.prepare import Media

SYSTEM = Path(__file__).with_name("system.md")
EXAMPLES = Path(__file__).with_name("examples.jsonl")

# A picture is shown at up to a megapixel, so that its text can be read; a video as so many frames, evenly.
MAX_PICTURE_PIXELS = 1024 * 1024
MAX_FRAME_PIXELS = 512 * 512
MAX_FRAMES_SHOWN = 8
_FRAMES_A_SECOND = Fraction(2)

_WANTED: dict[Make, str] = {
    "auto": "",
    "made": "The person wants an image or a video, no answer.\n",
    "picture": "The person wants an image.\n",
    "video": "The person wants a video.\n",
    "answer": "The person wants an answer.\n",
}


@cache
def system_text() -> str:
    """What a plan is, with examples."""
    text = SYSTEM.read_text(encoding="utf-8").replace("<<controls>>", ", ".join(CONTROLS))
    lines = [f"{_spelled(parse_pads(prompt))}\n{plan}" for prompt, plan in examples()]
    return "\n".join([text.replace("<<whole>>", WHOLE_FRAME).rstrip(), *lines])


@cache
def examples() -> tuple[tuple[str, str], ...]:
    """Instructions with pads, and the whole JSON of their plans."""
    rows = map(json.loads, EXAMPLES.read_text(encoding="utf-8").splitlines())
    return tuple((row["prompt"], as_text(EMPTY | row["plan"])) for row in rows)


def as_text(values: dict[str, object]) -> str:
    """A plan's JSON on one line."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def opening(
    prompt: Prompt, asked: Asked, media: Media | None, progress: Progress, cancel: Cancel
) -> tuple[Message, Message]:
    """The first two turns of planning. media: shown where given, else they are only named."""
    names = ", ".join(str(task) for task in tasks(asked))
    closing = f"\n{_WANTED[asked.make]}Possible tasks: {names}.\nAnswer with the JSON object alone."
    shown = _shown(prompt, media, progress, cancel)
    return (
        Message("system", (system_text(),)),
        Message("user", (*shown, f"Instruction:\n{_spelled(prompt)}\n", closing)),
    )


def question(prompt: Prompt, media: Media | None, progress: Progress, cancel: Cancel) -> tuple[Message, ...]:
    """A question as it stands, with its media."""
    return (Message("user", (*_shown(prompt, media, progress, cancel), _spelled(prompt))),)


def repair(said: str, error: PlanError) -> tuple[Message, Message]:
    """A model's own answer that cannot be used, and what is wrong with it."""
    wrong = f"{error.field} is {json.dumps(error.value, ensure_ascii=False, default=str)[:200]}"
    told = (
        f"That cannot be used: {wrong}; allowed is {error.allowed}. Answer again with the whole JSON object, put right."
    )
    return Message("assistant", (said[:4000] or "(nothing)",)), Message("user", (told,))


def _spelled(prompt: Prompt) -> str:
    """The instruction with each medium by its number."""
    numbers = iter(range(len(prompt.media)))
    return "".join(f"[medium {next(numbers)}]" if isinstance(s, Medium) else s for s in prompt.segments)


def _shown(prompt: Prompt, media: Media | None, progress: Progress, cancel: Cancel) -> Iterator[str | Tensor]:
    """Each medium with its number and kind, and its pixels where they are here."""
    for index, medium in enumerate(prompt.media):
        check(cancel, "reading media")
        progress("reading media", index, len(prompt.media))
        mask = ", a mask: white is what changes" if medium.is_mask else ""
        if media is None:
            yield f"[medium {index}] is {_article(medium.kind)}{mask}.\n"
        elif medium.kind == "image":
            yield f"[medium {index}] is this image{mask}:\n"
            yield shrunk(media.picture(index), MAX_PICTURE_PIXELS)
            yield "\n"
        else:
            info = media.info(index)
            indices = frames_shown(info)
            yield f"[medium {index}] is a video of {float(info.duration):.3g} s{mask}; {len(indices)} of its frames:\n"
            for frame, pixels in zip(indices, media.frames(index, indices, cancel), strict=True):
                yield f"at {float(info.starts[frame]):.2f} s "
                yield shrunk(pixels, MAX_FRAME_PIXELS)
            yield "\n"


def _article(kind: str) -> str:
    return "an image" if kind == "image" else "a video"


def frames_shown(info: MediaInfo) -> tuple[int, ...]:
    """Which frames of a video are shown: two a second, at least two, at most eight, evenly."""
    wanted = max(2, math.ceil(info.duration * _FRAMES_A_SECOND))
    return pick_frames(info.starts, info.duration, min(info.num_frames, MAX_FRAMES_SHOWN, wanted))
