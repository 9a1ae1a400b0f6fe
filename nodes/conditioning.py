"""Text: planner features and T5 rows become the reference's text context, as the host's own CONDITIONING."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..unison_backend.conditioning.text_context import negative_prompt
from ..unison_backend.errors import InputError
from . import host_text
from .plan_socket import BoundPlan
from .planner_socket import ProjectorModel
from .schema import ABSENT, FeaturesSocket, PlanSocket, ProjectorSocket, block, schema

NO_TEXT = "connect clip (UMT5-XXL), or positive_in and negative_in"
NO_PROMPT = "there is no prompt: connect plan, write prompt, or connect positive_in"


class UnisonProjector(io.ComfyNode):
    """Planner features to 4 text tokens."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonProjector",
            "Conditioning",
            display_name="Projector",
            description="Turns planner features into 4 extra text tokens. Without features (planned by rules) or "
            "without a projector nothing comes out, and the text context is made of the words alone.",
            search_aliases=["unison", "project features", "mlp"],
            inputs=[
                ProjectorSocket.Input("projector", optional=True, tooltip="The one that belongs to the planner."),
                FeaturesSocket.Input("features", optional=True, tooltip="From the planner."),
            ],
            outputs=[io.Conditioning.Output(display_name="projected", tooltip="[1, 4, 4096], for Text Context.")],
        )

    @classmethod
    def execute(cls, projector: ProjectorModel | None = None, features: Any = None) -> io.NodeOutput:
        absent = [name for name, value in (("projector", projector), ("features", features)) if value is None]
        if projector is None or features is None:
            return io.NodeOutput(None, ui={"unison_notices": [f"no {' and no '.join(absent)}: no projected tokens"]})
        return io.NodeOutput([[projector.project(features), {host_text.PROJECTED: True}]], ui={"unison_notices": []})


class UnisonTextContext(io.ComfyNode):
    """Both sides of the text context, 2048 rows each."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "UnisonTextContext",
            "Conditioning",
            display_name="Text Context",
            description="T5 rows and projected tokens, zero-padded to 2048 rows as in the reference (padding is "
            "attended, so its length matters). Any sampler takes them.",
            search_aliases=["unison", "clip text encode", "prompt", "negative prompt", "umt5"],
            inputs=[
                io.Clip.Input("clip", optional=True, tooltip="UMT5-XXL (Load CLIP, type wan)."),
                PlanSocket.Input("plan", optional=True, tooltip="Its instruction is the prompt."),
                io.Conditioning.Input("projected", optional=True, tooltip="From the projector."),
                io.Conditioning.Input("positive_in", optional=True, tooltip="Used in place of clip and prompt."),
                io.Conditioning.Input("negative_in", optional=True, tooltip="Used in place of clip and negative."),
                io.String.Input(
                    "prompt",
                    multiline=True,
                    default="",
                    optional=True,
                    tooltip="Replaces the plan's instruction for the text encoder. Parentheses are ordinary text.",
                ),
                io.String.Input(
                    "negative",
                    multiline=True,
                    default=negative_prompt(),
                    optional=True,
                    tooltip="What to avoid; as given, Wan's own.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="[1, 2048, 4096]."),
                io.Conditioning.Output(display_name="negative", tooltip="[1, 2048, 4096]."),
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        clip: Any = ABSENT,
        plan: Any = ABSENT,
        positive_in: Any = ABSENT,
        negative_in: Any = ABSENT,
        prompt: str | None = "",
    ) -> bool | str:
        if clip is ABSENT and (positive_in is ABSENT or negative_in is ABSENT):
            return NO_TEXT
        if positive_in is ABSENT and plan is ABSENT and prompt is not None and not prompt.strip():
            return NO_PROMPT
        return True

    @classmethod
    def execute(
        cls,
        prompt: str = "",
        negative: str | None = None,
        clip: Any = None,
        plan: BoundPlan | None = None,
        projected: Any = None,
        positive_in: Any = None,
        negative_in: Any = None,
    ) -> io.NodeOutput:
        if plan is not None and not plan.plan.task.is_generation:
            return io.NodeOutput(*block(2))
        words = prompt if prompt.strip() or plan is None else plan.plan.prompt
        if positive_in is None and not words.strip():
            raise InputError(NO_PROMPT)
        if clip is None and (positive_in is None or negative_in is None):
            raise InputError(NO_TEXT)
        positive, cut = cls._rows(clip, words, positive_in)
        avoided = negative_prompt() if negative is None else negative
        other, cut_negative = cls._rows(clip, avoided, negative_in)
        sides = zip(("prompt", "negative"), (cut, cut_negative), strict=True)
        notices = [
            f"{side} is longer than {host_text.MAX_TOKENS} tokens: the rest is cut" for side, is_cut in sides if is_cut
        ]
        context = host_text.to_context(positive, projected), host_text.to_context(other)
        return io.NodeOutput(*context, ui={"unison_notices": notices})

    @classmethod
    def _rows(cls, clip: Any, words: str, given: Any) -> tuple[host_text.Conditioning, bool]:
        if given is not None:
            return host_text.without_padding(given), False
        return host_text.encode(clip, words)


NODES = (UnisonProjector, UnisonTextContext)
