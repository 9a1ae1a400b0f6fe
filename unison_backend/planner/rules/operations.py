"""What picture and video programs do and no model here does: another size, a turn, a cut, another speed.

An order for nothing else is refused with what does it; one among others is said. Without this "crop it" grew the
picture, "rotate it" made a video, and "upscale it" painted new borders.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...errors import InputError
from ...plan.plan import Plan
from ...plan.spec import Reason
from .language import Language
from .text import Text

# By group of `operations.toml`: what it is called, and what does it.
OPERATIONS: dict[str, tuple[str, str]] = {
    "scale": (
        "giving it another size",
        "in ComfyUI take Upscale Image or Upscale Image (using Model), elsewhere any picture or video program",
    ),
    "turn": ("turning it", "in ComfyUI take Rotate Image, elsewhere any picture or video program"),
    "mirror": ("mirroring it", "in ComfyUI take Flip Image, elsewhere any picture or video program"),
    "crop": ("cropping it", "in ComfyUI take Crop Image, elsewhere any picture or video program"),
    "trim": ("cutting it in time", "in ComfyUI take Trim Video or Get Image from Batch, elsewhere any video program"),
    "speed": (
        "changing its speed or rate",
        "in ComfyUI take Create Video with another fps, or Run Frame Interpolation Model; elsewhere any video program",
    ),
    "reverse": ("playing it backwards", "take any video program"),
    "loop": ("making it loop", "give its first frame as first and last frame, and say what happens between"),
    "steady": ("steadying it", "take any video program"),
    "convert": (
        "saving it as another kind of file",
        "in ComfyUI the Save nodes choose the kind of file, on the command line the ending of --out does",
    ),
    "restore": (
        "taking noise, blur or age out of it",
        "everything would be painted anew here; in ComfyUI take an upscale or restoration model, or mark the damaged "
        "place with a mask",
    ),
    "transparent": (
        "making parts of it transparent",
        "what is made here has no transparency; in ComfyUI take Remove Background, or Segment for a mask",
    ),
    "map": ("making a map or mask of it", "in ComfyUI take Control Map, or Detect and Segment"),
    "sound": (
        "changing its sound",
        "no sound is made here, and that of a source is kept; take any video program",
    ),
}
# Where a further order of a sentence begins; behind other words it is told of, not given.
_BEGINS = re.compile(
    r"(?:^|[,.;:!?\n\uff0c\u3002\uff1b\u3001-] ?|\b(?:and|then|also|please) |"
    r"[\u5e76\u518d\u7136\u540e\u8bf7\u628a\u5c06])$"
)


def refuse(text: Text, language: Language) -> None:
    """Raises InputError where an instruction orders such a thing and nothing else."""
    for name, match in _found(text, language) if text.kinds else ():
        around = (("before", match.string[: match.start()]), ("behind", match.string[match.end() :]))
        if all(language.whole(f"operations.{side}", words) for side, words in around):
            what, instead = OPERATIONS[name]
            raise InputError(
                f"no model here does this: {what}; {instead}. If something else is meant, say what the result is to "
                "show"
            )


def left_out(plan: Plan, text: Text, language: Language) -> Iterator[Reason]:
    """The parts of an instruction for a picture or video that nothing does."""
    taken = {"map"}  # it is made where it steers
    taken |= {"scale", "crop"} if plan.borders is not None else set()
    taken |= {"restore"} if plan.mask is not None else set()  # of the marked place, which is painted anew
    for name, match in _found(text, language) if plan.task.is_generation and text.kinds else ():
        if name not in taken and _BEGINS.search(match.string[: match.start()]):
            taken.add(name)
            what, instead = OPERATIONS[name]
            yield Reason("operation", f"a part of the instruction is left out, {what}: {instead}", is_warning=True)


def _found(text: Text, language: Language) -> Iterator[tuple[str, re.Match[str]]]:
    """The longest match of each group that has one: in the text as rules read it, and as it was typed, where a "frame
    rate" or a "mirror image" still stands."""
    for value in dict.fromkeys((text.value.strip(), text.words.strip())):
        for name in OPERATIONS:
            key = f"operations.{name}"
            if not any(stem in value for rule in language.rules(key) for stem in rule.written["stems"]):
                continue
            found = max(language.find(key, value), key=lambda match: len(match.group()), default=None)
            if found is not None:
                yield name, found
