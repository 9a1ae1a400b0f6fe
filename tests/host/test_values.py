"""Values that a prompt writes where links belong, numbers that are none, half characters: one clear error each, and the
host goes on. ComfyUI itself lets them through to the nodes."""

import math

import graphs
import pytest
from host_prompts import Graph


def told(host, class_type, **inputs):
    """What the node's error says."""
    graph = Graph()
    node = graph.node(class_type, **inputs)
    if class_type == "UnisonPlanner":
        node = graph.node("UnisonPlanDetails", plan=node[0])
    graph.node("PreviewAny", source=node[0])
    run = host.run(graph.prompt)
    assert run.error is not None, run.errors
    assert run.error["exception_type"].endswith("Error")
    return run.error["exception_message"]


PLANNER = {"instruction": "Draw a fox."}


@pytest.mark.parametrize(
    ("node", "inputs", "name", "kind"),
    [
        ("UnisonEditPlan", {"plan": "my plan"}, "plan", "UNISON_PLAN"),
        ("UnisonPlanDetails", {"plan": 5}, "plan", "UNISON_PLAN"),
        ("UnisonPlanDetails", {"plan": {"task": "text_to_image"}}, "plan", "UNISON_PLAN"),
        ("UnisonPlanner", {**PLANNER, "planner": "qwen"}, "planner", "UNISON_PLANNER"),
        ("UnisonPlanner", {**PLANNER, "image1": "photo.png"}, "image1", "IMAGE"),
        ("UnisonPlanner", {**PLANNER, "video1": True}, "video1", "IMAGE"),
    ],
)
def test_values_where_links_belong(host, node, inputs, name, kind):
    message = told(host, node, **inputs)
    assert message.startswith(f"{name} is ") and kind in message and "connect one" in message


def test_numbers_that_are_none(host):
    assert told(host, "UnisonPlanner", **PLANNER, video_fps=math.nan).startswith("video_fps is nan: write a finite")


def test_half_a_character(host):
    assert "instruction holds '\\ud800'" in told(host, "UnisonPlanner", instruction="Draw a fox \ud800.")


def test_the_host_goes_on(host):
    graph = Graph()
    details = graph.node("UnisonPlanDetails", plan=graph.node("UnisonPlanner", **PLANNER)[0])
    graph.node("PreviewAny", source=details[0])
    assert graphs.succeeded(host.run(graph.prompt))
