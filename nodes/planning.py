"""Planning: an instruction and its media become a plan, or an answer."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..unison_backend.defaults import FPS, MAX_NEW_TOKENS, PLAN_FPS
from ..unison_backend.errors import UnsupportedError
from ..unison_backend.plan.prompt import Prompt
from ..unison_backend.plan.spec import MAX_FPS
from ..unison_backend.plan.tasks import MAKES, Make
from ..unison_backend.planner.answers import AnswerSettings
from ..unison_backend.planner.at_hand import MEDIA_USES, MediaUse
from ..unison_backend.planner.base import Stream
from ..unison_backend.planner.rules.explain import as_lines
from ..unison_backend.planner.rules.fired import recording
from ..unison_backend.weights.needs import describe, need_of
from . import host
from .media_sockets import collect
from .plan_fields import plan_outputs, plan_values
from .plan_socket import BoundPlan
from .planner_socket import PlannerModel
from .prompt_planner import PromptPlannerModel
from .schema import ADVANCED, FeaturesSocket, PlannerSocket, PlanSocket, schema
from .server_planner import ServerPlannerModel

AnyPlanner = PlannerModel | PromptPlannerModel | ServerPlannerModel

IMAGES = ("image1", "image2", "image3", "image4")
VIDEOS = ("video1", "video2")
MASKS = ("mask1", "mask2")


def _settings() -> list[Any]:
    """How videos are timed and answers are given; all of them have their usual value in an older graph."""
    return [
        io.Float.Input(
            "video_fps",
            optional=True,
            default=float(FPS),
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
            tooltip="Demand a picture or video, never an answer.",
            extra_dict=ADVANCED,
        ),
        io.Int.Input(
            "max_new_tokens",
            optional=True,
            default=MAX_NEW_TOKENS,
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
        io.Combo.Input(
            "output",
            optional=True,
            options=list(MAKES),
            default=MAKES[0],
            tooltip="What is to come out, whatever the words seem to say.",
        ),
        io.Combo.Input(
            "media",
            optional=True,
            options=list(MEDIA_USES),
            default=MEDIA_USES[0],
            tooltip="Which connected media take part. all: every one. named: those that the words name, a lone picture "
            "or video where the words need one, a mask in an edit.",
        ),
    ]


class UnisonPlanner(io.ComfyNode):
    """Stage one: reads the instruction, plans, and answers questions."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        any_video = [io.Video, io.Image]
        return schema(
            "UnisonPlanner",
            "Planning",
            display_name="Planner",
            description="Reads one instruction with its images, videos and masks, and names the task, size, length "
            "and the role of each medium. Questions are answered. The plan is shown on the node.",
            search_aliases=[
                *("unison", "auto", "instruction", "plan", "prompt to task", "qwen planner", "text to image"),
                *(
                    "text to video",
                    "image to video",
                    "video edit",
                    "image edit",
                    "object removal",
                    "inpaint",
                    "outpaint",
                ),
                *("caption", "question", "answer", "animate", "mask", "controlnet", "reference image"),
            ],
            inputs=[
                io.String.Input(
                    "instruction",
                    multiline=True,
                    default="",
                    placeholder="Create a 480p horizontal video of a red kite over the sea, 3 seconds long.",
                    tooltip="What to make, change or answer, in English or Chinese. Write <image1>, <video1> or "
                    "<mask1> where a connected medium belongs; `media` says what becomes of those that are not named.",
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
                *_settings(),
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
        max_new_tokens: int = MAX_NEW_TOKENS,
        temperature: float = 0.0,
        answer_seed: int = 0,
        output: Make = "auto",
        media: MediaUse = MEDIA_USES[0],
        planner: AnyPlanner | None = None,
        **sockets: Any,
    ) -> io.NodeOutput:
        found = collect(*({name: sockets.get(name) for name in kind} for kind in (IMAGES, VIDEOS, MASKS)), video_fps)
        make: Make = "made" if output == "auto" and force_plan else output
        prompt, items, why = found.bind(instruction, media, make)
        planner = planner or PlannerModel()
        settings = AnswerSettings(max_new_tokens, temperature, answer_seed)
        with host.interruptible():
            with recording() as trace:
                result = planner.plan_with(
                    prompt, items, make, host.progress_bar(), host.cancelled, settings=settings, stream=cls._stream()
                )
            told = planner.notices(result.plan, items)
            bound = BoundPlan.of(result.told(why), items, planner.name, told, planner.limits)
            answer = "" if bound.plan.task.is_generation else cls._answer(planner, prompt, bound, settings)
        features = None if result.features is None else host.to_results(result.features)
        card = bound.card(answer) | {"explained": list(as_lines(trace))}
        return io.NodeOutput(bound, features, answer, *plan_values(bound), ui={"unison_plan": [card]})

    @classmethod
    def _answer(cls, planner: AnyPlanner, prompt: Prompt, bound: BoundPlan, settings: AnswerSettings) -> str:
        if bound.plan.answer is not None:  # it came with the plan
            return bound.plan.answer
        if not planner.can_answer:
            raise UnsupportedError(
                "this instruction asks a question, and the rules cannot answer. Begin with what to make, as in 'Create "
                "a picture of ...', set output to picture or video, or connect Load Planner with a "
                f"{describe(need_of('planner'))}"
            )
        return planner.answer(
            prompt, bound.media, settings, stream=cls._stream(), progress=host.progress_bar(), cancel=host.cancelled
        )

    @classmethod
    def _stream(cls) -> Stream:
        """Shows an answer on the node while it grows."""
        return host.text_on_node(cls.hidden.unique_id)


NODES = (UnisonPlanner,)
