"""Loaders of annotators: detector, segmenter, control models."""

from __future__ import annotations

from comfy_api.latest import io

from . import folders
from .annotator_socket import AnnotatorModel
from .loader import Loader
from .schema import ControlModelSocket, DetectorSocket, SegmenterSocket, schema


class UnisonLoadDetector(Loader):
    """GroundingDINO."""

    NAME, LISTING = "detector", staticmethod(folders.detector_folders)

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonLoadDetector",
            "Loaders",
            display_name="Load Detector",
            description="A GroundingDINO, a folder as Hugging Face has it or one file as its authors publish it: finds "
            "what a phrase names.",
            search_aliases=["unison", "grounding dino", "groundingdino"],
            inputs=[
                cls.combo(
                    "A folder with config.json, or a file with groundingdino in its name, in models/unison, detection "
                    "or grounding-dino."
                )
            ],
            outputs=[DetectorSocket.Output(display_name="detector", tooltip="For Prepare Sources and Detect.")],
        )

    @classmethod
    def validate_inputs(cls, detector: str | None) -> bool | str:
        return cls.check(detector)

    @classmethod
    def fingerprint_inputs(cls, detector: str) -> str:
        return cls.stamp(detector)

    @classmethod
    def execute(cls, detector: str) -> io.NodeOutput:
        from ..unison_backend.annotators.detector import load_detector

        return io.NodeOutput(AnnotatorModel.of(load_detector(cls.path(detector))))


class UnisonLoadSegmenter(Loader):
    """SAM2."""

    NAME, LISTING = "segmenter", staticmethod(folders.segmenter_folders)

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonLoadSegmenter",
            "Loaders",
            display_name="Load Segmenter",
            description="SAM2 or SAM2.1, as a folder or as one file: cuts things out, and follows them in videos.",
            search_aliases=["unison", "sam2", "segment anything"],
            inputs=[
                cls.combo(
                    "A file with sam2 in its name (.safetensors or .pt), or a folder with config.json as "
                    "Hugging Face has it; in models/unison, sam2 or sams."
                )
            ],
            outputs=[SegmenterSocket.Output(display_name="segmenter", tooltip="For Prepare Sources and Segment.")],
        )

    @classmethod
    def validate_inputs(cls, segmenter: str | None) -> bool | str:
        return cls.check(segmenter)

    @classmethod
    def fingerprint_inputs(cls, segmenter: str) -> str:
        return cls.stamp(segmenter)

    @classmethod
    def execute(cls, segmenter: str) -> io.NodeOutput:
        from ..unison_backend.annotators.segmenter import load_segmenter

        return io.NodeOutput(AnnotatorModel.of(load_segmenter(cls.path(segmenter))))


class UnisonLoadControlModel(Loader):
    """Depth, pose or optical flow."""

    NAME, LISTING = "control", staticmethod(folders.control_models)

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonLoadControlModel",
            "Loaders",
            display_name="Load Control Model",
            description="A depth model (Depth-Anything as one file or a folder; DPT, ZoeDepth), a pose model (ViTPose "
            "with a person detector) or an optical flow model (RAFT, one file); which one it is, its files say.",
            search_aliases=["unison", "depth anything", "vitpose", "raft", "preprocessor"],
            inputs=[
                cls.combo(
                    "Depth: a file with depth_anything in its name, or a folder. Pose: a folder with two in "
                    "it. Flow: a file with raft in its name. In models/unison; depth and pose also in "
                    "depth_anything or controlnet_aux, flow in optical_flow."
                )
            ],
            outputs=[
                ControlModelSocket.Output(display_name="control_model", tooltip="For Prepare Sources and Control Map.")
            ],
        )

    @classmethod
    def validate_inputs(cls, control: str | None) -> bool | str:
        return cls.check(control)

    @classmethod
    def fingerprint_inputs(cls, control: str) -> str:
        return cls.stamp(control)

    @classmethod
    def execute(cls, control: str) -> io.NodeOutput:
        from ..unison_backend.annotators.maps.load import load_control_model

        return io.NodeOutput(AnnotatorModel.of(load_control_model(cls.path(control))))


NODES = (UnisonLoadDetector, UnisonLoadSegmenter, UnisonLoadControlModel)
