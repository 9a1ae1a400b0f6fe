"""Sources: a plan's media at final size, frames at their places, references on their canvas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from comfy_api.latest import io

from ..unison_backend.defaults import DETECTION_THRESHOLD, PLAN_FPS
from ..unison_backend.media.from_tensors import footage
from ..unison_backend.pipeline.runnable import check_memory
from ..unison_backend.plan.length import LENGTHS, Length
from ..unison_backend.plan.spec import GenerationSpec
from ..unison_backend.sources import prepare as preparing
from ..unison_backend.sources.masks import FILLS, MAX_BLUR, MAX_GROW, MaskOptions
from . import host, host_audio
from .annotator_socket import AnnotatorModel, annotators
from .media_sockets import mask_item, still_item
from .plan_socket import BoundPlan
from .schema import (
    ADVANCED,
    ControlModelSocket,
    DetectorSocket,
    PlanSocket,
    SegmenterSocket,
    SourcesSocket,
    block,
    schema,
)
from .sources_socket import HostSources


def source_outputs() -> list[Any]:
    """Sources as one socket and as native ones."""
    return [
        SourcesSocket.Output(display_name="sources", tooltip="For VACE Conditioning or VACE Sampler."),
        io.Image.Output(display_name="control_video", tooltip="[T, H, W, 3]; grey where everything is to be made."),
        io.Mask.Output(display_name="control_masks", tooltip="1 = make, 0 = keep."),
    ]


def prepared_outputs() -> list[Any]:
    """All that Prepare Sources hands on; the order is for ever."""
    return [
        *source_outputs(),
        io.Image.Output(display_name="references", tooltip="On white at final size; nothing without any."),
        io.Int.Output(display_name="width", tooltip="Pixels, a multiple of 16."),
        io.Int.Output(display_name="height", tooltip="Pixels, a multiple of 16."),
        io.Int.Output(display_name="num_frames", tooltip="4k + 1; 1 for a picture."),
        io.Float.Output(display_name="fps", tooltip="Frames a second; 24 for a picture."),
        io.Audio.Output(display_name="audio", tooltip="The source's sound where the length is kept."),
        io.Int.Output(
            display_name="kept_frames",
            tooltip="How many of num_frames are the result: cut to them with ImageFromBatch.",
        ),
    ]


def _later_inputs() -> list[Any]:
    """The inputs that Prepare Sources was given after its first release, in that order."""
    return [
        io.Combo.Input(
            "length",
            options=list(LENGTHS),
            default=LENGTHS[0],
            optional=True,
            tooltip="Of what is made from a video: its frames as the reference takes them (4k + 1), or "
            "whole, every frame at the video's rate.",
        ),
        io.Boolean.Input(
            "invert_mask",
            default=False,
            optional=True,
            tooltip="The mask of an edit, given or found, marks what stays.",
        ),
        io.Boolean.Input(
            "mask_scale",
            default=False,
            optional=True,
            tooltip="The brightest value of the mask counts as white: for masks of 0 and 1 of 255.",
            extra_dict=ADVANCED,
        ),
    ]


def source_values(made: HostSources) -> list[Any]:
    """Values for `source_outputs`."""
    return [made, made.sources.video, made.sources.mask]


def prepared(
    bound: BoundPlan,
    options: MaskOptions = preparing.UNCHANGED,
    annotators: preparing.Annotators = preparing.NO_ANNOTATORS,
) -> HostSources:
    """A plan's sources. Raises InputError, UnsupportedError, ResourceError."""
    preparing.check_possible(bound.plan, bound.media, annotators, bound.spec)
    check_memory(bound.spec)
    with host.interruptible():
        made = preparing.prepare(
            bound.plan,
            bound.spec,
            bound.media,
            host.progress_bar(),
            host.cancelled,
            mask_options=options,
            annotators=annotators,
        )
    return HostSources(
        sources=made,
        fps=bound.fps,
        audio=host_audio.kept(bound),
        is_edit=bound.plan.source is not None,
        kept=bound.spec.kept_frames,
        in_segments=bound.length == "whole",
        lengths=_lengths(bound.spec),
    )


def _lengths(spec: GenerationSpec) -> tuple[int, int, int] | None:
    """Of a clip that goes on: its frames before what is new, the new ones, those behind them."""
    if not spec.clips or spec.kept_frames is None:
        return None
    before = sum(len(clip.frames) for clip in spec.clips if clip.start == 0)
    behind = sum(len(clip.frames) for clip in spec.clips if clip.start > 0)
    return before, spec.kept_frames - before - behind, behind


def preview(made: HostSources, cls: Any, notices: Sequence[str] = ()) -> dict[str, Any]:
    """On the node's card: the first control frame that holds anything, its mask, the references; and the notices."""
    import torch

    video, mask, pictures = made.sources.video, made.sources.mask, list(made.sources.references)
    # One frame stands for all where they share its memory.
    differing = 1 if video.stride(0) == mask.stride(0) == 0 else len(video)
    told = next((i for i in range(differing) if (mask[i] != 1).any() or (video[i] != preparing.GREY).any()), None)
    if told is not None:
        pictures = [video[told], mask[told, ..., None].expand(video[told].shape), *pictures]
    shown = host.pictures(torch.stack(pictures), cls) if pictures else {}
    return {**shown, "unison_notices": [*notices, *made.sources.notices]}


class UnisonPrepareSources(io.ComfyNode):
    """The plan's media as VACE's control video, mask and references."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonPrepareSources",
            "Sources",
            display_name="Prepare Sources",
            description="Makes VACE's control video, mask and references from the plan's media, at final size and "
            "length. Shows the first frame, its mask and the references. Blocked for a question.",
            search_aliases=["unison", "vace", "control video", "mask", "inpaint", "reference image", "first frame"],
            inputs=[
                PlanSocket.Input("plan", tooltip="With the media of its instruction."),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Replaces the plan's mask in an edit, for example from a SAM3 node. White = change.",
                ),
                io.Image.Input(
                    "control_map",
                    optional=True,
                    tooltip="Replaces the control input by a ready map, for example from a depth or pose node.",
                ),
                DetectorSocket.Input("detector", optional=True, tooltip="With a segmenter: finds masks by itself."),
                SegmenterSocket.Input("segmenter", optional=True, tooltip="With a detector: finds masks by itself."),
                ControlModelSocket.Input("control_model", optional=True, tooltip="Makes depth, pose or flow maps."),
                io.Combo.Input(
                    "mask_fill",
                    options=list(FILLS),
                    default="none",
                    optional=True,
                    tooltip="Close holes in the mask, or take its convex hull or its bounding box, frame by frame.",
                    extra_dict=ADVANCED,
                ),
                io.Int.Input(
                    "mask_grow",
                    default=0,
                    min=-MAX_GROW,
                    max=MAX_GROW,
                    optional=True,
                    tooltip="Pixels by which the mask grows; below 0 it shrinks. The reference: 0.",
                    extra_dict=ADVANCED,
                ),
                io.Float.Input(
                    "mask_blur",
                    default=0.0,
                    min=0.0,
                    max=float(MAX_BLUR),
                    step=0.5,
                    optional=True,
                    tooltip="Softness in pixels, for VACE's mask channels; it still splits at 0.5. The reference: 0.",
                    extra_dict=ADVANCED,
                ),
                io.Float.Input(
                    "threshold",
                    default=DETECTION_THRESHOLD,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    optional=True,
                    tooltip="What is looked for must score more than this.",
                    extra_dict=ADVANCED,
                ),
                *_later_inputs(),
            ],
            outputs=prepared_outputs(),
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
        )

    @classmethod
    def execute(
        cls,
        plan: BoundPlan,
        mask: Any = None,
        control_map: Any = None,
        mask_fill: Any = "none",
        mask_grow: int = 0,
        mask_blur: float = 0.0,
        threshold: float = DETECTION_THRESHOLD,
        detector: AnnotatorModel | None = None,
        segmenter: AnnotatorModel | None = None,
        control_model: AnnotatorModel | None = None,
        length: Length = "reference",
        invert_mask: bool = False,
        mask_scale: bool = False,
    ) -> io.NodeOutput:
        import torch

        if not plan.plan.task.is_generation:
            return io.NodeOutput(*block(10))
        bound, notices = cls._replaced(plan.lasting(length), mask, control_map, invert_mask)
        notices += [*bound.told_since(plan), *host_audio.left_out(bound)]
        options = MaskOptions(mask_fill, mask_grow, mask_blur, mask_scale)
        made = prepared(bound, options, annotators(detector, segmenter, control_model, threshold))
        pictures = made.sources.references
        values = [torch.stack(pictures) if pictures else None, bound.spec.width, bound.spec.height, made.num_frames]
        values += [made.fps, made.audio, made.kept_frames]
        return io.NodeOutput(*source_values(made), *values, ui=preview(made, cls, notices))

    @classmethod
    def _replaced(cls, bound: BoundPlan, mask: Any, control_map: Any, invert_mask: bool) -> tuple[BoundPlan, list[str]]:
        """The plan with what is connected in place of its own mask or control input, and what is of no use to it."""
        task, is_edit, notices = bound.plan.task, bound.plan.source is not None, []
        for socket, value, is_used, put in (
            ("mask", mask, is_edit, cls._with_mask),
            ("control_map", control_map, bound.plan.control is not None, cls._with_map),
            ("invert_mask", invert_mask or None, is_edit, cls._turned_round),
        ):
            if value is not None and is_used:
                bound = put(bound, value)
            elif value is not None:
                notices.append(f"{socket} is not used: this plan is {task}")
        return bound, notices

    @classmethod
    def _with_mask(cls, bound: BoundPlan, mask: Any) -> BoundPlan:
        """The plan with `mask` as its mask; several frames belong to the source's, one by one."""
        source = bound.media.info(bound.plan.source or 0)
        label = "on socket mask"
        bound = bound.with_medium(label, mask_item(mask, source.fps or Fraction(PLAN_FPS), label))
        return bound.changed(replace(bound.plan, mask=len(bound.plan.media) - 1))

    @classmethod
    def _turned_round(cls, bound: BoundPlan, _: Any) -> BoundPlan:
        return bound.changed(replace(bound.plan, mask_keeps=not bound.plan.mask_keeps))

    @classmethod
    def _with_map(cls, bound: BoundPlan, frames: Any) -> BoundPlan:
        """The plan with `frames` in place of its control medium, at that medium's times when it has as many."""
        index = bound.plan.control_medium or 0
        old = bound.media.info(index)
        if old.kind == "image":
            item: Any = still_item(frames, "control_map")
        else:
            item = footage(frames, old.fps or Fraction(PLAN_FPS), "control_map")
            if item.info.num_frames == old.num_frames:
                times = replace(item.info, starts=old.starts, duration=old.duration, has_audio=old.has_audio)
                item = replace(item, info=times, sound=bound.media.sound(index))
        media = bound.media.with_item("control_map", item, index)
        return replace(bound, media=media).changed(replace(bound.plan, control="map"))


NODES = (UnisonPrepareSources,)
