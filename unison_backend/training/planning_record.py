"""What one planning record is: an instruction with pads, and the signal tokens that answer it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ..plan.tasks import MediaKind, Task

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
IMAGE_PAD, VIDEO_PAD = "<IMGPAD>", "<VIDPAD>"


@dataclass(frozen=True)
class Record:
    """One sample. prompt: the instruction with pads; tokens: what the planner is to say, empty for an answer.

    language: as detection names it; drawn records are of `LANGUAGES`. intent: which kind of order it is, where that is
    known. mask_keeps: the mask marks what stays, which no token says.
    """

    task: Task
    language: str
    prompt: str
    tokens: str
    media: tuple[MediaKind, ...] = ()
    intent: str = ""
    mask_keeps: bool = False

    def as_messages(self) -> dict[str, Any]:
        """Hugging Face chat format, which LLaMA-Factory reads as `sharegpt` with OpenAI's role names."""
        turns = [{"role": "user", "content": self.prompt}, {"role": "assistant", "content": self.tokens}]
        row = {"messages": turns, "task": self.task.value, "language": self.language, "media": list(self.media)}
        said: dict[str, Any] = {"intent": self.intent, "mask_keeps": self.mask_keeps}
        return row | {name: value for name, value in said.items() if value}
