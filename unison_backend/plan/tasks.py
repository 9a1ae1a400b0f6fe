"""The twelve tasks and what each one makes."""

from __future__ import annotations

from enum import Enum
from typing import Literal

MediaKind = Literal["image", "video"]
Output = Literal["text", "image", "video"]


class Task(str, Enum):
    """A task's value is its name in JSON, sockets and documents (paper, table of 12 tasks)."""

    TEXT_UNDERSTANDING = "text_understanding"
    IMAGE_UNDERSTANDING = "image_understanding"
    VIDEO_UNDERSTANDING = "video_understanding"
    TEXT_TO_IMAGE = "text_to_image"
    IMAGE_EDITING = "image_editing"
    IMAGE_CONTROL = "image_control"
    IMAGE_REFERENCE = "image_reference"
    TEXT_TO_VIDEO = "text_to_video"
    IMAGE_TO_VIDEO = "image_to_video"
    VIDEO_EDITING = "video_editing"
    VIDEO_CONTROL = "video_control"
    VIDEO_REFERENCE = "video_reference"

    def __str__(self) -> str:
        return self.value

    @property
    def output(self) -> Output:
        """What the task makes: "text", "image" or "video"."""
        if self in UNDERSTANDING:
            return "text"
        return "image" if self in IMAGE_TASKS else "video"

    @property
    def is_generation(self) -> bool:
        """True for the nine tasks that make a picture or a video."""
        return self not in UNDERSTANDING


UNDERSTANDING = (Task.TEXT_UNDERSTANDING, Task.IMAGE_UNDERSTANDING, Task.VIDEO_UNDERSTANDING)
IMAGE_TASKS = (Task.TEXT_TO_IMAGE, Task.IMAGE_EDITING, Task.IMAGE_CONTROL, Task.IMAGE_REFERENCE)
VIDEO_TASKS = (
    Task.TEXT_TO_VIDEO,
    Task.IMAGE_TO_VIDEO,
    Task.VIDEO_EDITING,
    Task.VIDEO_CONTROL,
    Task.VIDEO_REFERENCE,
)
GENERATION = IMAGE_TASKS + VIDEO_TASKS
