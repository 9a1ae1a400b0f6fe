"""The twelve tasks, a row each: what it makes and what its media are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

MediaKind = Literal["image", "video"]
Output = Literal["text", "image", "video"]
Make = Literal["auto", "picture", "video", "answer", "made"]
"""What a person wants of an instruction, whatever its words seem to say; "made" is a picture or a video."""
MAKES: tuple[Make, ...] = ("auto", "picture", "video", "answer")  # that are offered
Role = Literal["words", "pictures", "videos", "editing", "control", "reference", "frames"]
"""What a task works from: for an answer what is looked at, for a result what its strongest medium is."""


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
        return ROWS[self].output

    @property
    def is_generation(self) -> bool:
        """True for the nine tasks that make a picture or a video."""
        return self.output != "text"


@dataclass(frozen=True)
class TaskRow:
    """What a task makes and from what. Its English name is its value with spaces."""

    output: Output
    role: Role


# Everything else that lists tasks (cards, locales, routes, training, workflows) is held to these rows by a test.
ROWS: dict[Task, TaskRow] = {
    Task.TEXT_UNDERSTANDING: TaskRow("text", "words"),
    Task.IMAGE_UNDERSTANDING: TaskRow("text", "pictures"),
    Task.VIDEO_UNDERSTANDING: TaskRow("text", "videos"),
    Task.TEXT_TO_IMAGE: TaskRow("image", "words"),
    Task.IMAGE_EDITING: TaskRow("image", "editing"),
    Task.IMAGE_CONTROL: TaskRow("image", "control"),
    Task.IMAGE_REFERENCE: TaskRow("image", "reference"),
    Task.TEXT_TO_VIDEO: TaskRow("video", "words"),
    Task.IMAGE_TO_VIDEO: TaskRow("video", "frames"),
    Task.VIDEO_EDITING: TaskRow("video", "editing"),
    Task.VIDEO_CONTROL: TaskRow("video", "control"),
    Task.VIDEO_REFERENCE: TaskRow("video", "reference"),
}


def task_for(output: Output, role: Role) -> Task:
    """The task that makes `output` from media of that role; KeyError when there is none."""
    found = {(row.output, row.role): task for task, row in ROWS.items()}
    return found[output, role]
