"""Annotators one by one: boxes for a phrase, masks for boxes, maps from footage."""

from __future__ import annotations

import math
from typing import Any

from comfy_api.latest import io

from ..unison_backend.annotators.areas import detect_in
from ..unison_backend.defaults import DETECTION_THRESHOLD, NMS_IOU, TEXT_THRESHOLD
from ..unison_backend.errors import InputError
from ..unison_backend.media.to_bytes import to_bytes
from ..unison_backend.plan.controls import made_kinds
from ..unison_backend.sources.masks import of_frame
from . import boxes_socket, host
from .annotator_socket import AnnotatorModel, map_maker
from .schema import ADVANCED, ControlModelSocket, DetectorSocket, SegmenterSocket, schema


def score_input(name: str, default: float, tooltip: str, **options: Any) -> Any:
    """A number from 0 to 1."""
    return io.Float.Input(name, default=default, min=0.0, max=1.0, step=0.01, tooltip=tooltip, **options)


class UnisonDetect(io.ComfyNode):
    """Boxes for a phrase."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonDetect",
            "Annotators",
            display_name="Detect",
            description="Finds what a phrase names in one frame, and shows the boxes. Nothing found is an error that "
            "says the best score.",
            search_aliases=["unison", "grounding dino", "boxes", "find object"],
            inputs=[
                DetectorSocket.Input("detector", tooltip="From Load Detector."),
                io.Image.Input("images", tooltip="A picture, or the frames of a video."),
                io.String.Input("phrase", default="", tooltip="In English, as in: red car. Several with commas."),
                io.Int.Input("frame", default=0, min=0, max=99999, tooltip="The frame to look at, from 0."),
                score_input("threshold", DETECTION_THRESHOLD, "Boxes must score more.", optional=True),
                score_input("text_threshold", TEXT_THRESHOLD, "Words must score more to be in a label.",
                            optional=True, extra_dict=ADVANCED),
                score_input("nms", NMS_IOU, "Of boxes that overlap more than this only the best stays.",
                            optional=True, extra_dict=ADVANCED),
                boxes_socket.boxes_input("bboxes", "Looks only inside of these boxes."),
            ],
            outputs=[
                io.String.Output(display_name="boxes", tooltip="JSON, best first: frame, box in pixels, label, score."),
                io.Mask.Output(display_name="mask", tooltip="[1, H, W]; white in the boxes."),
                io.Int.Output(display_name="count", tooltip="How many boxes."),
                boxes_socket.BoxesSocket.Output(
                    display_name="bboxes", tooltip="The same boxes, as ComfyUI's own nodes take them; for each frame."
                ),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
        )  # fmt: skip

    @classmethod
    def execute(
        cls,
        detector: AnnotatorModel,
        images: Any,
        phrase: str,
        frame: int,
        threshold: float = DETECTION_THRESHOLD,
        text_threshold: float = TEXT_THRESHOLD,
        nms: float = NMS_IOU,
        bboxes: Any = None,
    ) -> io.NodeOutput:
        areas: list[Any] = []
        if bboxes is not None:
            frame, areas = boxes_socket.boxes_in(bboxes, frame, images.shape[0])
        if frame >= images.shape[0]:
            raise InputError(f"frame is {frame}, but images holds {images.shape[0]}")
        picture = images[frame, ..., :3].float().cpu()
        phrases = [part for part in phrase.split(",") if part.strip()]
        areas, told = boxes_socket.clipped(areas, picture.shape[1], picture.shape[0])
        with host.interruptible(), detector.loaded() as tool:
            found = detect_in(tool, picture, areas, phrases, threshold=0.0, text_threshold=text_threshold, nms=nms,
                              progress=host.progress_bar(), cancel=host.cancelled)  # fmt: skip
        kept = [detection for detection in found if detection.score > threshold]
        if not kept:
            # Rounded down, so that the sentence stays true.
            best = math.floor(max((detection.score for detection in found), default=0.0) * 100) / 100
            raise InputError(f"nothing fits {phrase!r}: the best score is {best:.2f}, the threshold {threshold:g}")
        shown = host.pictures(drawn(picture, kept), cls) | {"unison_notices": told}
        bounding = boxes_socket.as_boxes(kept, frame, images.shape[0])
        return io.NodeOutput(boxes_socket.as_json(kept, frame), filled(picture, kept), len(kept), bounding, ui=shown)


def drawn(picture: Any, detections: list[Any]) -> Any:
    """The picture with its boxes, [1, H, W, 3]."""
    import numpy as np
    import torch
    from PIL import Image, ImageDraw

    image = Image.fromarray(to_bytes(picture.numpy()))
    pen = ImageDraw.Draw(image)
    for detection in detections:
        pen.rectangle(detection.box, outline=(123, 216, 143), width=max(1, round(min(image.size) / 150)))
        pen.text((detection.box[0] + 3, detection.box[1] + 2), f"{detection.label} {detection.score:.2f}", fill="white")
    return torch.from_numpy(np.asarray(image).astype(np.float32) / 255)[None]


def filled(picture: Any, detections: list[Any]) -> Any:
    """[1, H, W], 1 in the boxes."""
    import torch

    mask = torch.zeros(1, *picture.shape[:2])
    for left, top, right, bottom in (detection.box for detection in detections):
        mask[:, int(top) : int(bottom) + 1, int(left) : int(right) + 1] = 1
    return mask


class UnisonSegment(io.ComfyNode):
    """Masks for boxes, points or a rough mask, followed through a video."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonSegment",
            "Annotators",
            display_name="Segment",
            description="Cuts out what boxes, points or a rough mask mark in one frame, and follows it through the "
            "video, forwards and backwards.",
            search_aliases=["unison", "sam2", "segment anything", "track", "video mask"],
            inputs=[
                SegmenterSocket.Input("segmenter", tooltip="From Load Segmenter."),
                io.Image.Input("images", tooltip="A picture, or the frames of a video."),
                io.String.Input("boxes", optional=True, force_input=True, tooltip="From Detect; it names its frame."),
                io.Mask.Input("mask", optional=True, tooltip="Rough mask of the object in that frame."),
                io.String.Input(
                    "points", default="", optional=True, tooltip="x,y in pixels; -x,y is outside. As in 120,80; -10,5."
                ),
                io.Int.Input(
                    "frame", default=0, min=0, max=99999, optional=True, tooltip="Of points, mask or bboxes, from 0."
                ),
                boxes_socket.boxes_input("bboxes", "Boxes from ComfyUI's own nodes, in place of boxes."),
            ],
            outputs=[
                io.Mask.Output(display_name="mask", tooltip="[T, H, W]; white is the object."),
                boxes_socket.BoxesSocket.Output(
                    display_name="bboxes", tooltip="The box around the object in each frame; none where it is not seen."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        segmenter: AnnotatorModel,
        images: Any,
        boxes: str = "",
        mask: Any = None,
        points: str = "",
        frame: int = 0,
        bboxes: Any = None,
    ) -> io.NodeOutput:
        prompts: dict[str, Any] = {}
        told: list[str] = []
        if boxes.strip() and bboxes is not None:
            raise InputError("boxes and bboxes are both connected: take one of them")
        if boxes.strip():
            frame, prompts["boxes"] = boxes_socket.from_json(boxes)
        if bboxes is not None:
            frame, given = boxes_socket.boxes_in(bboxes, frame, images.shape[0])
            prompts["boxes"], told = boxes_socket.clipped(given, images.shape[2], images.shape[1])
        if points.strip():
            prompts["points"], prompts["labels"] = parse_points(points)
        if mask is not None:
            prompts["mask"] = of_frame(mask, frame, images.shape[0])
        video = images[..., :3].float().cpu()
        with host.interruptible(), segmenter.loaded() as tool:
            found = tool.track(video, frame, **prompts, progress=host.progress_bar(), cancel=host.cancelled)
        result = host.to_results(found.float())
        return io.NodeOutput(result, boxes_socket.around(found), ui={"unison_notices": told})


def parse_points(text: str) -> tuple[list[tuple[float, float]], list[int]]:
    """Points and their labels from "x,y; -x,y"; raises InputError."""
    points, labels = [], []
    for part in filter(str.strip, text.split(";")):
        try:
            x, y = (float(value) for value in part.split(","))
        except ValueError:
            raise InputError(f"points holds {part.strip()!r}: write x,y in pixels, several with semicolons") from None
        points.append((abs(x), y))
        labels.append(0 if part.strip().startswith("-") else 1)
    return points, labels


class UnisonControlMap(io.ComfyNode):
    """Maps from ordinary footage."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonControlMap",
            "Annotators",
            display_name="Control Map",
            description="Edges, scribble, grey, depth, pose or optical flow of pictures or frames, steady over a "
            "video. What already is such a map is left as it is.",
            search_aliases=["unison", "preprocessor", "canny", "depth map", "openpose", "optical flow"],
            inputs=[
                io.Image.Input("images", tooltip="A picture, or the frames of a video."),
                io.Combo.Input(
                    "kind",
                    options=list(made_kinds()),
                    default="canny",
                    tooltip="depth, pose, flow take a model.",
                ),
                ControlModelSocket.Input("control_model", optional=True, tooltip="For depth, pose and flow."),
            ],
            outputs=[io.Image.Output(display_name="images", tooltip="The map, as many as came in.")],
        )

    @classmethod
    def execute(cls, images: Any, kind: str, control_model: AnnotatorModel | None = None) -> io.NodeOutput:
        with host.interruptible():
            made, told = map_maker(control_model)(
                kind, images[..., :3].float().cpu(), host.progress_bar(), host.cancelled
            )
        return io.NodeOutput(host.to_results(made), ui={"unison_notices": [told]})


NODES = (UnisonDetect, UnisonSegment, UnisonControlMap)
