"""Routing: a plan chooses the branch, and only that branch runs.

Inputs are fixed and lazy: the host ignores `lazy` on growing inputs. A branch counts only while it is connected.
"""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..unison_backend.plan.tasks import Task
from .plan_socket import BoundPlan
from .schema import ABSENT, PlanSocket, block, schema

MODALITIES = ("text", "image", "video")


class UnisonRouteTask(io.ComfyNode):
    """One branch for each task; the plan's runs."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        template = io.MatchType.Template("branch")
        return schema(
            "UnisonRouteTask",
            "Routing",
            display_name="Route by Task",
            description="Connect one branch for each task; only the one that the plan names runs. Branches may carry "
            "anything, all of one type. Where the plan's task is not connected, nothing behind this node runs.",
            search_aliases=["unison", "switch", "router", "auto route", "if else"],
            inputs=[
                PlanSocket.Input("plan", tooltip="It names the task."),
                *(
                    io.MatchType.Input(task.value, template, optional=True, lazy=True, tooltip=f"Runs for {task}.")
                    for task in Task
                ),
            ],
            outputs=[io.MatchType.Output(template, display_name="chosen", tooltip="What the branch gave.")],
        )

    @classmethod
    def check_lazy_status(cls, plan: BoundPlan, **branches: Any) -> list[str]:
        task = str(plan.plan.task)
        return [task] if branches.get(task, ABSENT) is None else []

    @classmethod
    def execute(cls, plan: BoundPlan, **branches: Any) -> io.NodeOutput:
        task = str(plan.plan.task)
        shown = {"unison_route": [{"chosen": task, "connected": task in branches}]}
        return io.NodeOutput(branches[task] if task in branches else block(1)[0], ui=shown)


class UnisonRouteModality(io.ComfyNode):
    """One way out for each kind of result."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        template = io.MatchType.Template("value")
        return schema(
            "UnisonRouteModality",
            "Routing",
            display_name="Route by Modality",
            description="Sends a value to text, image or video, as the plan says; the other two stay silent, and what "
            "is behind them does not run.",
            search_aliases=["unison", "switch", "router", "split", "image or video"],
            inputs=[
                PlanSocket.Input("plan", tooltip="It says what comes out."),
                io.MatchType.Input(
                    "value", template, lazy=True, tooltip="Anything; made only if its way is connected."
                ),
            ],
            outputs=[
                io.MatchType.Output(
                    template, id=name, display_name=name, tooltip=f"Carries the value when {name} is made."
                )
                for name in MODALITIES
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt],
        )

    @classmethod
    def check_lazy_status(cls, plan: BoundPlan, value: Any = ABSENT) -> list[str]:
        return ["value"] if value is None and cls._is_used(plan) else []

    @classmethod
    def execute(cls, plan: BoundPlan, value: Any = None) -> io.NodeOutput:
        silent = block(1)[0]
        chosen = plan.plan.output
        outputs = [value if name == chosen and cls._is_used(plan) else silent for name in MODALITIES]
        return io.NodeOutput(*outputs, ui={"unison_route": [{"chosen": chosen, "connected": True}]})

    @classmethod
    def _is_used(cls, plan: BoundPlan) -> bool:
        """Whether anything is connected to the way that the plan takes; if not, the value need not be made."""
        way = [cls.hidden.unique_id, MODALITIES.index(plan.plan.output)]
        nodes = (cls.hidden.dynprompt.get_node(name) for name in cls.hidden.dynprompt.all_node_ids())
        return any(list(value) == way for node in nodes for value in node["inputs"].values() if is_link(value))


def is_link(value: Any) -> bool:
    """Whether a prompt's input value is [node id, slot]."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


class UnisonGate(io.ComfyNode):
    """Lets a value through, or keeps what makes it from running."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        template = io.MatchType.Template("value")
        return schema(
            "UnisonGate",
            "Routing",
            display_name="Gate",
            description="Open: the value passes. Closed: what makes it does not run, and what is behind stays silent.",
            search_aliases=["unison", "switch", "mute", "block", "if"],
            inputs=[
                io.Boolean.Input("condition", default=True, tooltip="On: open."),
                io.MatchType.Input("value", template, lazy=True, tooltip="Anything."),
            ],
            outputs=[io.MatchType.Output(template, display_name="value", tooltip="The value, while open.")],
        )

    @classmethod
    def check_lazy_status(cls, condition: bool, value: Any = ABSENT) -> list[str]:
        return ["value"] if condition and value is None else []

    @classmethod
    def execute(cls, condition: bool, value: Any = None) -> io.NodeOutput:
        return io.NodeOutput(value if condition else block(1)[0])


NODES = (UnisonRouteTask, UnisonRouteModality, UnisonGate)
