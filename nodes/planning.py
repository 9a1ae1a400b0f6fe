"""Planning: an instruction and its media become a plan, whose every field can be changed and read."""

from __future__ import annotations

import json
from typing import Any

from comfy_api.latest import io

from ..unison_backend import overrides, report
from ..unison_backend.errors import UnsupportedError
from ..unison_backend.plan import CONTROLS, MAX_FRAMES, MAX_SIDE
from ..unison_backend.planner.qwen import AnswerSettings
from ..unison_backend.prompt import Prompt
from ..unison_backend.spec import MAX_FPS, PLAN_FPS
from . import host
from .bound_plan import BoundPlan
from .models import PlannerModel
from .schema import ADVANCED, FeaturesSocket, PlannerSocket, PlanSocket, block, schema
from .socket_media import collect

IMAGES = ("image1", "image2", "image3", "image4")
VIDEOS = ("video1", "video2")
MASKS = ("mask1", "mask2")
KEEP, NONE = "keep", "none"


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


class UnisonPlanner(io.ComfyNode):
    """Stage one: reads the instruction, plans, and answers questions."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        any_video = [io.Video, io.Image]
        return schema(
            "UnisonPlanner",
            "Planning",
            display_name="Planner (Unison)",
            description="Reads one instruction with its images, videos and masks, and names the task, size, length "
            "and the role of each medium. Questions are answered. The plan is shown on the node.",
            search_aliases=["unison", "auto", "instruction", "plan", "prompt to task", "qwen planner"],
            inputs=[
                io.String.Input(
                    "instruction",
                    multiline=True,
                    default="",
                    placeholder="Create a 480p horizontal video of a red kite over the sea, 3 seconds long.",
                    tooltip="What to make, change or answer, in English or Chinese. Write <image1>, <video1> or "
                    "<mask1> where a connected medium belongs; media that are not named stand in front of the text.",
                ),
                PlannerSocket.Input("planner", optional=True, tooltip="Not connected: the rules plan, no weights."),
                *(
                    io.Image.Input(name, optional=True, tooltip="A picture; each picture of a batch counts as one.")
                    for name in IMAGES
                ),
                *(
                    io.MultiType.Input(name, any_video, optional=True, tooltip="A video, or an IMAGE batch.")
                    for name in VIDEOS
                ),
                *(
                    io.Mask.Input(
                        name,
                        optional=True,
                        tooltip="White = change. Several frames are a video mask. All black counts as not connected.",
                    )
                    for name in MASKS
                ),
                io.Float.Input(
                    "video_fps",
                    optional=True,
                    default=24.0,
                    min=1.0,
                    max=float(MAX_FPS),
                    step=0.01,
                    tooltip="Frames a second of videos that come as IMAGE batches.",
                    extra_dict=ADVANCED,
                ),
                io.Boolean.Input(
                    "force_plan",
                    optional=True,
                    default=False,
                    tooltip="Demand a picture or video, never an answer (planners that are models).",
                    extra_dict=ADVANCED,
                ),
                io.Int.Input(
                    "max_new_tokens",
                    optional=True,
                    default=512,
                    min=1,
                    max=32768,
                    tooltip="Longest answer, in tokens.",
                    extra_dict=ADVANCED,
                ),
                io.Float.Input(
                    "temperature",
                    optional=True,
                    default=0.0,
                    min=0.0,
                    max=10.0,
                    step=0.05,
                    tooltip="Of answers; 0 always gives the likeliest word. Plans are never random.",
                    extra_dict=ADVANCED,
                ),
                io.Int.Input(
                    "answer_seed",
                    optional=True,
                    default=0,
                    min=0,
                    max=2**32 - 1,
                    tooltip="Of answers with a temperature.",
                    extra_dict=ADVANCED,
                ),
            ],
            outputs=[
                PlanSocket.Output(display_name="plan", tooltip="The plan with its media."),
                FeaturesSocket.Output(
                    display_name="features",
                    tooltip="For the projector; nothing without a planner that has planning weights.",
                ),
                io.String.Output(display_name="answer", tooltip='The answer to a question, "" for a picture or video.'),
                *plan_outputs(),
            ],
            hidden=[io.Hidden.unique_id],
            # Reports text by its own id, so a twin must not be served from this one's result.
            not_idempotent=True,
        )

    @classmethod
    def validate_inputs(cls, instruction: str | None) -> bool | str:
        if instruction is not None and not instruction.strip():
            return "the instruction is empty: say what you want to make or to know"
        return True

    @classmethod
    def execute(
        cls,
        instruction: str,
        video_fps: float = float(PLAN_FPS),
        force_plan: bool = False,
        max_new_tokens: int = 512,
        temperature: float = 0.0,
        answer_seed: int = 0,
        planner: PlannerModel | None = None,
        **sockets: Any,
    ) -> io.NodeOutput:
        found = collect(*({name: sockets.get(name) for name in kind} for kind in (IMAGES, VIDEOS, MASKS)), video_fps)
        prompt, media = found.bind(instruction)
        planner = planner or PlannerModel()
        with host.interruptible():
            result = planner.plan(prompt, force_plan, host.progress_bar(), host.cancelled)
            bound = BoundPlan.of(result.plan, media, planner.name, found.notices)
            settings = AnswerSettings(max_new_tokens, temperature, answer_seed)
            answer = "" if bound.plan.task.is_generation else cls._answer(planner, prompt, bound, settings)
        features = None if result.features is None else host.to_results(result.features)
        return io.NodeOutput(bound, features, answer, *plan_values(bound), ui={"unison_plan": [bound.card(answer)]})

    @classmethod
    def _answer(cls, planner: PlannerModel, prompt: Prompt, bound: BoundPlan, settings: AnswerSettings) -> str:
        if planner.qwen is None:
            raise UnsupportedError(
                "this instruction asks a question, and the rules cannot answer: connect a Qwen2.5-VL (Load Planner), "
                "or begin with what to make, as in 'Create a picture of ...'"
            )
        with planner.answering() as qwen:
            return qwen.answer(prompt, bound.media, settings, stream=host.text_on_node(cls.hidden.unique_id),
                               progress=host.progress_bar(), cancel=host.cancelled)  # fmt: skip


class UnisonEditPlan(io.ComfyNode):
    """The person's word over the plan."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        def words(name: str, tooltip: str) -> Any:
            return io.String.Input(
                name, default="", optional=True, tooltip=f"{tooltip} Empty keeps the plan's, none clears it."
            )

        return schema(
            "UnisonEditPlan",
            "Planning",
            display_name="Edit Plan (Unison)",
            description="Overrides any field of a plan; the task follows from the fields. Media are counted from 0 in "
            "the order in which they stand in the instruction.",
            search_aliases=["unison", "override plan", "set size", "set frames"],
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
                words("frames", "medium:place, as in 0:first,1:last or 0:40."),
                words("source", "The medium that is edited."),
                words("mask", "The medium that marks what changes."),
                words("references", "Media to refer to, as in 0,2."),
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
        given = [f"{name}={value}" for name, value in fields.items() if value not in (0, "", KEEP)]
        values = overrides.parse_settings(given, prefix="")
        bound = plan.changed(overrides.apply(plan.plan, values), values.get("fps"))
        return io.NodeOutput(bound, *plan_values(bound), ui={"unison_plan": [bound.card()]})


class UnisonPlanDetails(io.ComfyNode):
    """Every field of a plan on a socket of its own."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonPlanDetails",
            "Planning",
            display_name="Plan Details (Unison)",
            description="Unpacks a plan. Fields that the plan does not have are empty, or -1 for media numbers.",
            search_aliases=["unison", "unpack plan", "plan to json", "signal tokens"],
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
        )


NODES = (UnisonPlanner, UnisonEditPlan, UnisonPlanDetails)
