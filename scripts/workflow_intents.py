"""The example workflows around the one node Unison: what is said, which media, where the result goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from workflow_builder import Workflow
from workflow_layout import arrange, box, column, row
from workflow_parts import (
    BLUE,
    GREY,
    PURPLE,
    RED,
    YELLOW,
    map_maker,
    mask_finders,
    media,
    own_models,
    save_image,
    save_video,
    start,
)
from workflow_unison import unison_node

RED_CIRCLE = "Create a 64x64 image of a red circle on a blue background."
ALL = ("image", "video", "answer")
OWN = ("unet", "clip", "vae", "planner_loader", "projector_loader")
# The card of a graph that shows one task has the pictures of its sources; the graphs for all tasks open larger instead.
SOURCES_ROOM = 100
MANY_TASKS = ("unison_auto", "unison_app")
ANNOTATORS = ("detector_loader", "segmenter_loader", "control_loader")


@dataclass(frozen=True)
class Intent:
    """A workflow around Unison. files: the loaders that it has, with another sample than their usual one or None."""

    name: str
    instruction: str
    files: dict[str, str | None] = field(default_factory=dict)
    results: tuple[str, ...] = ALL
    own_models: bool = False
    annotators: str = ""
    """"off": loaders of all of them that are off; "depth": one for depth maps that is on."""
    settings: dict[str, Any] = field(default_factory=dict)

    def __call__(self) -> Workflow:
        made = start(self.name, yours=False)
        models = own_models(made, bypassed=False) if self.own_models else {}
        if self.annotators == "off":
            models |= mask_finders(made)
        if self.annotators:
            models |= map_maker(made, bypassed=self.annotators == "off")
        unison = unison_node(made, self.instruction, **models, **media(made, **self.files), **self.settings)
        unison.room = SOURCES_ROOM if self.files and self.name not in MANY_TASKS else 0
        if "image" in self.results:
            save_image(made, unison["image"])
        if "video" in self.results:
            save_video(made, unison["video"])
        if "answer" in self.results:
            made.node("answer", "UnisonAnswer", answer=unison["answer"])
        self._arrange(made)
        made.extra = {"linearData": self._as_app(made)}
        if self.name == "unison_app":
            made.extra["linearMode"] = True
        return made

    def _arrange(self, made: Workflow) -> None:
        loaders = [key for key in (*self.files, "mask_frames", "mask_of_frames") if key in made.nodes]
        media_box = box("Media", BLUE, *([key] for key in loaders[:2]), *([loaders[2:]] if loaders[2:] else []))
        saving = {"image": "save_image", "video": "save_video", "answer": "answer"}
        arrange(
            made,
            row(
                column(box("Start here", GREY, ["note"]), *([media_box] if loaders else [])),
                *([box("Your models", YELLOW, [*OWN])] if self.own_models else []),
                *([box(*self._annotators_box(made))] if self.annotators else []),
                box("One sentence", PURPLE, ["unison"]),
                box("Result", RED, *self._result_columns(saving)),
            ),
        )

    def _annotators_box(self, made: Workflow) -> tuple[str, str, list[str]]:
        title = "Finding masks, making maps (off)" if self.annotators == "off" else "Making depth maps"
        return title, YELLOW, [key for key in ANNOTATORS if key in made.nodes]

    def _result_columns(self, saving: dict[str, str]) -> list[list[str]]:
        """The video beside the rest, so that the whole graph opens large."""
        first = [saving[result] for result in self.results if result != "video"]
        second = [saving[result] for result in self.results if result == "video"]
        return [column for column in (first, second) if column]

    def _as_app(self, made: Workflow) -> dict[str, Any]:
        """What app mode shows: the sentence, the loaders, a few settings; the results."""
        nodes = made.nodes
        unison = nodes["unison"].id
        said = {"height": 120, "description": "What to make, change or answer. <image1> is Picture 1."}
        shown = {"image1": "image", "image2": "image", "mask1": "image", "video1": "file", "mask_video": "file"}
        loaders = [[nodes[key].id, shown[key]] for key in self.files]
        settings = [[unison, name] for name in ("output", "seed", "steps")]
        results = [nodes[key].id for key in ("save_image", "save_video", "answer") if key in nodes]
        return {"inputs": [[unison, "instruction", said], *loaders, *settings], "outputs": results}


EVERYTHING: dict[str, str | None] = {"image1": None, "video1": None}

INTENTS: tuple[Callable[[], Workflow], ...] = (
    Intent("unison_auto", RED_CIRCLE, EVERYTHING),
    Intent("unison_app", RED_CIRCLE, EVERYTHING),
    Intent(
        "unison_text_to_image_and_video",
        "Create a 64x64 video of a white circle moving to the right on a purple background, 9 frames.",
        results=("image", "video"),
    ),
    Intent(
        "unison_inpaint",
        "Add a yellow star in the middle of <image1>.",
        {"image1": "unison_painted.png"},
        results=("image",),
    ),
    Intent(
        "unison_editing",
        "Make the circle in <video1> yellow. <mask1>",
        {"video1": None, "mask_video": None},
        results=("video",),
    ),
    Intent(
        "unison_image_to_video",
        "Animate <image1>, 9 frames: the circle moves to the right.",
        {"image1": "unison_first.png"},
        results=("video",),
    ),
    Intent(
        "unison_reference",
        "Create a 64x64 image of the star in <image1> at the left on a green background.",
        {"image1": "unison_star.png"},
        results=("image", "video"),
    ),
    Intent(
        "unison_control",
        "Draw a yellow star on a purple background with the edge map <image1>.",
        {"image1": "unison_edges.png"},
        results=("image", "video"),
    ),
    Intent(
        "unison_understanding",
        "Describe <image1> in one sentence.",
        {"image1": "unison_first.png", "video1": None},
        results=("answer",),
    ),
    Intent(
        "unison_your_models",
        "Create a 480p horizontal video of a red kite over the sea, 3 seconds long.",
        {"image1": None},
        own_models=True,
        annotators="off",
        settings={"steps": 50},
    ),
    Intent(
        "unison_your_depth",
        "Use the depth of <video1> to make a video of a ship in a storm.",
        {"video1": None},
        results=("video",),
        own_models=True,
        annotators="depth",
        settings={"steps": 50},
    ),
)
