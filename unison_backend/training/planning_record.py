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

    language: as detection names it; drawn records are of `LANGUAGES`.
    """

    task: Task
    language: str
    prompt: str
    tokens: str
    media: tuple[MediaKind, ...] = ()

    def as_messages(self) -> dict[str, Any]:
        """Hugging Face chat format, which LLaMA-Factory reads as `sharegpt` with OpenAI's role names."""
        turns = [{"role": "user", "content": self.prompt}, {"role": "assistant", "content": self.tokens}]
        return {"messages": turns, "task": self.task.value, "language": self.language, "media": list(self.media)}
