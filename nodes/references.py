"""Pictures as frames of a video, and as references on their canvas, without a planner."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from comfy_api.latest import io

from ..unison_backend.defaults import FPS, HEIGHT, NUM_FRAMES, WIDTH
from ..unison_backend.errors import InputError
from ..unison_backend.media.from_tensors import TensorMedia
from ..unison_backend.media.resize import letterbox_on_white
from ..unison_backend.plan.geometry import round_length, round_side
from ..unison_backend.plan.plan import MAX_FRAMES, MAX_SIDE, MIN_SIDE, Frame, Plan
from ..unison_backend.plan.tasks import Task
from ..unison_backend.planner.base import PlanResult
from .media_sockets import still_item
from .plan_socket import BoundPlan
from .schema import schema
from .sources import prepared, preview, source_outputs, source_values


class UnisonFrameReference(io.ComfyNode):
    """Pictures as frames of a video, without a plan."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonFrameReference",
            "Sources",
            display_name="Frame Reference",
            description="Sources for a video whose first, last or any other frame is given. The first picture's shape "
            "decides the size within the area of width x height.",
            search_aliases=["unison", "first frame", "last frame", "image to video", "keyframes", "start end frame"],
            inputs=[
                io.Image.Input("first_frame", optional=True, tooltip="One picture."),
                io.Image.Input("last_frame", optional=True, tooltip="One picture."),
                io.Image.Input("frames", optional=True, tooltip="Further pictures, one for each number in places."),
                io.String.Input(
                    "places", default="", optional=True, tooltip="Frame numbers of frames, from 0, as in 20,40."
                ),
                io.Int.Input("width", default=WIDTH, min=MIN_SIDE, max=MAX_SIDE, step=16, tooltip="Pixels."),
                io.Int.Input("height", default=HEIGHT, min=MIN_SIDE, max=MAX_SIDE, step=16, tooltip="Pixels."),
                io.Int.Input("num_frames", default=NUM_FRAMES, min=5, max=MAX_FRAMES, step=4, tooltip="4k + 1."),
                io.Float.Input("fps", default=float(FPS), min=1.0, max=240.0, step=0.01, tooltip="Frames a second."),
            ],
            outputs=source_outputs(),
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
        )

    @classmethod
    def execute(
        cls,
        width: int,
        height: int,
        num_frames: int,
        fps: float,
        places: str = "",
        first_frame: Any = None,
        last_frame: Any = None,
        frames: Any = None,
    ) -> io.NodeOutput:
        ends = {"first": first_frame, "last": last_frame}
        items: dict[Any, Any] = {p: still_item(f, f"{p}_frame") for p, f in ends.items() if f is not None}
        numbers = cls._numbers(places, 0 if frames is None else frames.shape[0])
        num_frames = round_length(num_frames)
        taken = {"first": 0, "last": num_frames - 1}
        all_numbers = [taken[end] for end in items] + numbers
        if len(set(all_numbers)) < len(all_numbers):
            raise InputError(
                f"places is {places!r}: each frame takes one picture, and first is 0, last {num_frames - 1}"
            )
        items |= {number: still_item(frames[i : i + 1], f"frames #{i + 1}") for i, number in enumerate(numbers)}
        if not items:
            raise InputError("connect first_frame, last_frame, or frames with their places")
        placed = tuple(Frame(index, place) for index, place in enumerate(items))
        plan = Plan(
            task=Task.IMAGE_TO_VIDEO,
            width=round_side(width),
            height=round_side(height),
            num_frames=num_frames,
            frames=placed,
            media=("image",) * len(items),
        )
        media = TensorMedia.of([str(place) for place in items], list(items.values()))
        made = prepared(BoundPlan.of(PlanResult(plan), media).changed(plan, Fraction(fps).limit_denominator(1001)))
        return io.NodeOutput(*source_values(made), ui=preview(made, cls))

    @classmethod
    def _numbers(cls, places: str, count: int) -> list[int]:
        try:
            numbers = [int(part) for part in places.split(",") if part.strip()]
        except ValueError:
            raise InputError(f"places is {places!r}: write frame numbers with commas, as in 20,40") from None
        if len(numbers) != count:
            raise InputError(f"places names {len(numbers)} frames, but frames holds {count} pictures")
        return numbers


class UnisonReferenceCanvas(io.ComfyNode):
    """References as VACE saw them in training: whole, on white."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonReferenceCanvas",
            "Sources",
            display_name="Reference Canvas",
            description="Fits every picture whole onto a white canvas of the output's size, as VACE expects "
            "references (nothing is cropped).",
            search_aliases=["unison", "letterbox", "pad image", "reference image"],
            inputs=[
                io.Image.Input("images", tooltip="Each picture gets a canvas of its own."),
                io.Int.Input("width", default=WIDTH, min=MIN_SIDE, max=MAX_SIDE, step=16, tooltip="Pixels."),
                io.Int.Input("height", default=HEIGHT, min=MIN_SIDE, max=MAX_SIDE, step=16, tooltip="Pixels."),
            ],
            outputs=[io.Image.Output(display_name="images", tooltip="As many as came in.")],
        )

    @classmethod
    def execute(cls, images: Any, width: int, height: int) -> io.NodeOutput:
        import torch

        from ..unison_backend.media.from_tensors import on_background

        size = round_side(width), round_side(height)
        canvases = [letterbox_on_white(on_background(picture, 1.0), *size) for picture in images]
        return io.NodeOutput(torch.stack(canvases))


NODES = (UnisonFrameReference, UnisonReferenceCanvas)
