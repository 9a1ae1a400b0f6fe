"""Routing: only the chosen branch runs, whatever the host's cache does, and nothing behind a closed way."""

import graphs
import pytest
from host_prompts import Graph

INSTRUCTIONS = {
    "text_to_image": "Create a picture of a dog.",
    "text_to_video": "Create a video of a dog.",
}


def routed(instruction):
    """A branch for each of two tasks, and one for a third: (prompt, branches, route, preview)."""
    graph = Graph()
    planner = graph.node("UnisonPlanner", instruction=instruction)
    names = ("text_to_image", "text_to_video", "image_editing")
    branches = {name: graph.node("EmptyImage", width=16 * (i + 1), height=16, batch_size=1, color=i)
                for i, name in enumerate(names)}  # fmt: skip
    route = graph.node("UnisonRouteTask", plan=planner, **branches)
    shown = graph.node("PreviewImage", images=route)
    return graph.prompt, branches, route, shown


@pytest.mark.parametrize("arguments", [(), ("--cache-none",), ("--cache-lru", "10")])
def test_only_the_chosen_branch_runs(fresh_host, arguments):
    host = fresh_host(*arguments)
    for _ in range(2):
        for task, instruction in INSTRUCTIONS.items():
            prompt, branches, route, shown = routed(instruction)
            run = graphs.succeeded(host.run(prompt))
            others = {node.id for name, node in branches.items() if name != task}
            assert not others & set(run.reached)
            assert shown.id in run.executed or shown.id in run.cached
            if route.id in run.executed:
                assert run.outputs[route.id]["unison_route"] == [{"chosen": task, "connected": True}]


def test_a_task_without_a_branch_is_silent(host):
    graph = Graph()
    planner = graph.node("UnisonPlanner", instruction="Create a video of a cat and a dog.")
    branch = graph.node("EmptyImage", width=16, height=16, batch_size=1, color=7)
    route = graph.node("UnisonRouteTask", plan=planner, text_to_image=branch)
    shown = graph.node("PreviewImage", images=route)
    run = graphs.succeeded(host.run(graph.prompt))
    assert branch.id not in run.reached
    assert shown.id in run.blocked
    assert not run.errors
    assert run.outputs[route.id]["unison_route"] == [{"chosen": "text_to_video", "connected": False}]


def test_modality_sends_a_value_one_way(host):
    graph = Graph()
    planner = graph.node("UnisonPlanner", instruction="Create a video of a red dog.")
    value = graph.node("EmptyImage", width=16, height=16, batch_size=5, color=8)
    route = graph.node("UnisonRouteModality", plan=planner, value=value)
    ways = [graph.node("PreviewImage", images=route[slot]) for slot in (1, 2)]
    run = graphs.succeeded(host.run(graph.prompt))
    assert ways[0].id in run.blocked
    assert len(run.files(ways[1])) == 5


def test_a_value_that_nobody_wants_is_not_made(host):
    graph = Graph()
    planner = graph.node("UnisonPlanner", instruction="Create a video of a green dog.")
    value = graph.node("EmptyImage", width=16, height=16, batch_size=1, color=9)
    route = graph.node("UnisonRouteModality", plan=planner, value=value)
    shown = graph.node("PreviewImage", images=route[1])
    run = graphs.succeeded(host.run(graph.prompt))
    assert value.id not in run.reached
    assert shown.id in run.blocked


@pytest.mark.parametrize("is_open", [True, False])
def test_a_gate(host, is_open):
    graph = Graph()
    value = graph.node("EmptyImage", width=16, height=16, batch_size=1, color=10 + is_open)
    gate = graph.node("UnisonGate", condition=is_open, value=value)
    shown = graph.node("PreviewImage", images=gate)
    run = graphs.succeeded(host.run(graph.prompt))
    assert (value.id in run.executed) == is_open
    assert (shown.id in run.executed) == is_open
    assert not run.errors


def test_a_blocked_branch_that_is_not_chosen_does_not_block(host):
    """A branch that ran for another node and ended in a blocker must not reach the route."""
    graph = Graph()
    planner = graph.node("UnisonPlanner", instruction="Create a picture of a blue dog.")
    closed = graph.node(
        "UnisonGate", condition=False, value=graph.node("EmptyImage", width=16, height=16, batch_size=1, color=3)
    )
    scaled = graph.node("ImageInvert", image=closed)
    graph.node("PreviewImage", images=scaled)
    good = graph.node("EmptyImage", width=32, height=16, batch_size=1, color=4)
    route = graph.node("UnisonRouteTask", plan=planner, text_to_image=good, text_to_video=scaled)
    shown = graph.node("PreviewImage", images=route)
    for _ in range(2):
        run = graphs.succeeded(host.run(graph.prompt))
        assert len(run.files(shown)) == 1
