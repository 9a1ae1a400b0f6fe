"""A plan that was made elsewhere: its JSON and its media become what a planner gives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from comfy_api.latest import io

from ..unison_backend.defaults import FPS, MAX_MEDIA
from ..unison_backend.errors import InputError, UnisonError, one_line
from ..unison_backend.media.from_tensors import Item, TensorMedia
from ..unison_backend.plan.as_json import from_json
from ..unison_backend.plan.plan import Plan
from ..unison_backend.plan.prompt import parse_pads
from ..unison_backend.plan.spec import MAX_FPS
from ..unison_backend.planner.base import PlanResult
from . import host
from .media_sockets import MAX_DENOMINATOR, mask_item, still_item, video_item
from .plan_fields import plan_outputs, plan_values
from .plan_socket import BoundPlan
from .planner_socket import PlannerModel
from .schema import ADVANCED, FeaturesSocket, PlannerSocket, PlanSocket, schema

MEDIA = tuple(f"medium{number}" for number in range(1, MAX_MEDIA + 1))
ORIGIN = "JSON"
_LONGEST_NAME = 200


class UnisonPlanFromJSON(io.ComfyNode):
    """What `unison plan --json` printed, as a plan."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        any_medium = [io.Image, io.Video, io.Mask]
        return schema(
            "UnisonPlanFromJSON",
            "Planning",
            display_name="Plan from JSON",
            description="Takes a plan that was made elsewhere, as `unison plan --json` prints it or Plan Details gives "
            "it, and the media that it speaks of, in its order. Nothing is planned again.",
            search_aliases=["unison", "import plan", "json to plan", "load plan", "api"],
            inputs=[
                io.String.Input(
                    "plan",
                    multiline=True,
                    default="",
                    placeholder='{"version": 2, "task": "text_to_image", "prompt": "Create an image of ..."}',
                    tooltip="All that `unison plan --json` prints, or its part called plan.",
                ),
                *(
                    io.MultiType.Input(
                        name,
                        any_medium,
                        optional=True,
                        tooltip="One of the plan's media in their order (medium1 is number 0): a picture, a video (or "
                        "its frames as an IMAGE batch) or a mask.",
                    )
                    for name in MEDIA
                ),
                PlannerSocket.Input(
                    "planner", optional=True, tooltip="Its planning weights read the instruction for the projector."
                ),
                io.Float.Input(
                    "fps",
                    optional=True,
                    default=0.0,
                    min=0.0,
                    max=float(MAX_FPS),
                    step=0.01,
                    tooltip="Frames a second, whatever the plan says; 0 keeps the plan's.",
                    extra_dict=ADVANCED,
                ),
            ],
            outputs=[
                PlanSocket.Output(display_name="plan", tooltip="The plan with its media."),
                FeaturesSocket.Output(
                    display_name="features", tooltip="For the projector; nothing without a planner that has them."
                ),
                *plan_outputs(),
            ],
        )

    @classmethod
    def validate_inputs(cls, plan: str | None) -> bool | str:
        try:
            return plan is None or read(plan) is not None
        except UnisonError as error:
            return str(error)

    @classmethod
    def execute(cls, plan: str, planner: PlannerModel | None = None, fps: float = 0.0, **sockets: Any) -> io.NodeOutput:
        said, labels = read(plan)
        media = TensorMedia.of(labels, list(_items(said, sockets)))
        with host.interruptible():
            features = None if planner is None else planner.features(parse_pads(said.prompt), host.cancelled)
        bound = BoundPlan.of(PlanResult(said), media, ORIGIN, _unused(said, sockets))
        if fps:
            bound = bound.changed(said, Fraction(fps).limit_denominator(MAX_DENOMINATOR))
        given = None if features is None else host.to_results(features)
        return io.NodeOutput(bound, given, *plan_values(bound), ui={"unison_plan": [bound.card()]})


def read(text: str) -> tuple[Plan, list[str]]:
    """The plan in a JSON text, a report's or a plan by itself, and what its media are called: by their sockets, or as
    the report's `media` say. Raises InputError, PlanError.
    """
    if not text.strip():
        raise InputError("plan is empty: paste what `unison plan --json` prints")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"plan is no JSON ({error}): paste what `unison plan --json` prints") from error
    is_report = isinstance(data, dict) and "plan" in data
    plan = from_json(data["plan"] if is_report else data)
    if len(plan.media) > len(MEDIA):
        raise InputError(f"this plan has {len(plan.media)} media; the node takes {len(MEDIA)}")
    names = data.get("media") if is_report else None
    given = names if isinstance(names, list) and len(names) == len(plan.media) else [None] * len(plan.media)
    labels = [
        one_line(name)[:_LONGEST_NAME] if isinstance(name, str) and name.strip() else socket
        for name, socket in zip(given, MEDIA, strict=False)
    ]
    return plan, labels


def _items(plan: Plan, sockets: dict[str, Any]) -> Iterator[Item]:
    """The media of a plan from their sockets. Raises InputError for one that is missing or of the other kind."""
    for name, kind in zip(MEDIA, plan.media, strict=False):
        value = sockets.get(name)
        if value is None:
            raise InputError(
                f"{name} is not connected, and the plan has {'an' if kind == 'image' else 'a'} {kind} there"
            )
        is_pixels = hasattr(value, "shape")
        if kind == "image":
            if not is_pixels:
                raise InputError(f"{name} is a video, and the plan has a picture there: connect a picture")
            yield mask_item(value, Fraction(FPS), name) if value.ndim == 3 else still_item(value, name)
        elif is_pixels and value.ndim == 3:
            yield mask_item(value, Fraction(FPS), name)
        else:
            yield video_item(value, Fraction(FPS), name)


def _unused(plan: Plan, sockets: dict[str, Any]) -> list[str]:
    left = [name for name in MEDIA[len(plan.media) :] if sockets.get(name) is not None]
    return [f"{', '.join(left)}: the plan has no such medium, so it is left out"] if left else []


NODES = (UnisonPlanFromJSON,)
