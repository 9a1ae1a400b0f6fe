"""A plan's fields: changed by the person, and each on a socket of its own."""

from __future__ import annotations

import json
from typing import Any

from comfy_api.latest import io

from ..unison_backend.plan import overrides, report
from ..unison_backend.plan.controls import CONTROLS
from ..unison_backend.plan.names import by_name, naming
from ..unison_backend.plan.plan import MAX_FRAMES, MAX_SIDE
from ..unison_backend.plan.spec import MAX_FPS
from .plan_socket import BoundPlan
from .schema import ADVANCED, PlanSocket, block, schema

KEEP, NONE = "keep", "none"
MEDIA_FIELDS = ("frames", "source", "mask", "references")


def plan_outputs() -> list[Any]:
    """The plain outputs that planner and edit node share."""
    return [
        io.String.Output(display_name="task", tooltip="One of the twelve, such as image_editing."),
        io.Int.Output(display_name="width", tooltip="Pixels, a multiple of 16. Blocked for a question."),
        io.Int.Output(display_name="height", tooltip="Pixels, a multiple of 16. Blocked for a question."),
        io.Int.Output(display_name="num_frames", tooltip="4k + 1; 1 for a picture. Blocked for a question."),
        io.Float.Output(display_name="fps", tooltip="Frames a second; 24 for a picture. Blocked for a question."),
    ]


def plan_values(bound: BoundPlan) -> list[Any]:
    """Values for `plan_outputs`."""
    if not bound.plan.task.is_generation:
        return [str(bound.plan.task), *block(4)]
    return [str(bound.plan.task), bound.spec.width, bound.spec.height, bound.spec.num_frames, bound.fps]


class UnisonEditPlan(io.ComfyNode):
    """The person's word over the plan."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        def words(name: str, tooltip: str, **options: Any) -> Any:
            return io.String.Input(
                name,
                default="",
                optional=True,
                tooltip=f"{tooltip} Empty keeps the plan's, none clears it.",
                **options,
            )

        return schema(
            "UnisonEditPlan",
            "Planning",
            display_name="Edit Plan",
            description="Overrides any field of a plan; the task follows from the fields. Media go by the names of the "
            "planner's sockets, or are counted from 0 in the order in which they stand in the instruction.",
            search_aliases=[
                *("unison", "override plan", "set size", "set frames", "resolution", "length", "plan settings")
            ],
            inputs=[
                PlanSocket.Input("plan", tooltip="From the planner."),
                io.Combo.Input(
                    "output",
                    options=[KEEP, "image", "video"],
                    default=KEEP,
                    optional=True,
                    tooltip="Make a picture or a video, whatever the plan says.",
                ),
                io.Int.Input(
                    "width", default=0, min=0, max=MAX_SIDE, optional=True, tooltip="Pixels. 0 keeps the plan's."
                ),
                io.Int.Input(
                    "height", default=0, min=0, max=MAX_SIDE, optional=True, tooltip="Pixels. 0 keeps the plan's."
                ),
                io.Int.Input(
                    "num_frames",
                    default=0,
                    min=0,
                    max=MAX_FRAMES,
                    optional=True,
                    tooltip="Spoken length at 24 a second, made 4k + 1. 0 keeps the plan's.",
                ),
                io.Float.Input(
                    "seconds",
                    default=0.0,
                    min=0.0,
                    max=100.0,
                    optional=True,
                    step=0.1,
                    tooltip="Length in seconds, in place of num_frames. 0 keeps the plan's.",
                ),
                io.Float.Input(
                    "fps",
                    default=0.0,
                    min=0.0,
                    max=float(MAX_FPS),
                    step=0.01,
                    optional=True,
                    tooltip="0 keeps the plan's.",
                ),
                words("frames", "medium:place, as in image1:first or image1:40.", extra_dict=ADVANCED),
                words("source", "The medium that is edited, as in video1.", extra_dict=ADVANCED),
                words("mask", "The medium that marks what changes, as in mask1.", extra_dict=ADVANCED),
                words("references", "Media to refer to, as in image1,image2.", extra_dict=ADVANCED),
                io.Combo.Input(
                    "control",
                    options=[KEEP, NONE, *CONTROLS],
                    default=KEEP,
                    optional=True,
                    tooltip="map: the control medium already is a map. Others: make that map from it.",
                ),
                words("target", "What to find and edit, in words."),
            ],
            outputs=[PlanSocket.Output(display_name="plan", tooltip="The changed plan."), *plan_outputs()],
        )

    @classmethod
    def execute(cls, plan: BoundPlan, **fields: Any) -> io.NodeOutput:
        fields |= {name: by_name(fields[name], plan.media.labels) for name in MEDIA_FIELDS if fields.get(name)}
        given = [f"{name}={value}" for name, value in fields.items() if value not in (0, "", KEEP)]
        values = overrides.parse_settings(given, prefix="")
        with naming(plan.media.labels):
            bound = plan.changed(overrides.apply(plan.plan, values, plan.limits), values.get("fps"))
        return io.NodeOutput(bound, *plan_values(bound), ui={"unison_plan": [bound.card()]})


class UnisonPlanDetails(io.ComfyNode):
    """Every field of a plan on a socket of its own."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonPlanDetails",
            "Planning",
            display_name="Plan Details",
            description="Unpacks a plan: every field on a socket of its own. Media stand there by name, as Edit Plan "
            "takes them, and by number. Fields that the plan does not have are empty, or -1 for media numbers.",
            search_aliases=["unison", "unpack plan", "plan to json", "signal tokens", "target", "plan info"],
            inputs=[PlanSocket.Input("plan", tooltip="From the planner.")],
            outputs=[
                *plan_outputs(),
                io.String.Output(display_name="modality", tooltip="What comes out: text, image or video."),
                io.Boolean.Output(display_name="is_generation", tooltip="False for a question."),
                io.String.Output(display_name="tokens", tooltip="The plan as signal tokens."),
                io.String.Output(display_name="prompt", tooltip="The instruction with pads, as T5 reads it."),
                io.Int.Output(display_name="source", tooltip="Number of the medium that is edited, or -1."),
                io.Int.Output(display_name="mask", tooltip="Number of the medium that is the mask, or -1."),
                io.String.Output(display_name="references", tooltip="Numbers of the references, as in 0,2."),
                io.String.Output(display_name="frames", tooltip="medium:place, as in 0:first."),
                io.String.Output(display_name="control", tooltip="map, or the kind of map to make."),
                io.String.Output(display_name="target", tooltip="What to find and edit."),
                io.String.Output(display_name="reasons", tooltip="Why each value is what it is, one a line."),
                io.String.Output(display_name="json", tooltip="All of it, as `unison plan --json` prints."),
                io.String.Output(display_name="source_name", tooltip="The medium that is edited, as in video1."),
                io.String.Output(display_name="mask_name", tooltip="The medium that is the mask, as in mask1."),
                io.String.Output(display_name="reference_names", tooltip="The references, as in image1,image2."),
                io.String.Output(display_name="frame_names", tooltip="medium:place, as in image1:first."),
            ],
        )

    @classmethod
    def execute(cls, plan: BoundPlan) -> io.NodeOutput:
        said, spec = plan.plan, plan.spec
        return io.NodeOutput(
            *plan_values(plan),
            said.output,
            said.task.is_generation,
            said.tokens,
            said.prompt,
            -1 if said.source is None else said.source,
            -1 if said.mask is None else said.mask,
            ",".join(map(str, said.references)),
            ",".join(f"{frame.medium}:{frame.place}" for frame in said.frames),
            said.control or "",
            said.target or "",
            "\n".join(f"{reason.field}: {reason.text}" for reason in spec.reasons),
            json.dumps(report.as_json(said, spec), ensure_ascii=False, indent=2),
            *names_told(plan),
        )


def names_told(bound: BoundPlan) -> tuple[str, str, str, str]:
    """Source, mask, references and frames by the names of their sockets, as Edit Plan takes them."""
    said, name = bound.plan, bound.media.label
    return (
        "" if said.source is None else name(said.source),
        "" if said.mask is None else name(said.mask),
        ",".join(map(name, said.references)),
        ",".join(f"{name(frame.medium)}:{frame.place}" for frame in said.frames),
    )


NODES = (UnisonEditPlan, UnisonPlanDetails)
