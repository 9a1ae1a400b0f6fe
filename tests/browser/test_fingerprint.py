"""js/unison_fingerprint.js, which needs no frontend: which saved graphs a node's result is true for."""

from copy import deepcopy

import pytest
from js_module import called

SUBGRAPH = "11111111-2222-4333-8444-555555555555"
PICTURE = {"id": 1, "type": "LoadImage", "widgets_values": ["a.png"], "outputs": [{"links": [1]}]}
SEED = {"id": 2, "type": "SeedMaker", "widgets_values": [7], "outputs": [{"links": [2]}]}
PLANNER = {
    "id": 10,
    "type": "UnisonPlanner",
    "widgets_values": [""],
    "inputs": [{"name": "image1", "link": 1}, {"name": "instruction", "widget": {"name": "instruction"}, "link": 3}],
}
SAMPLER = {
    "id": 11,
    "type": "UnisonVACESampler",
    "inputs": [{"name": "seed", "widget": {"name": "seed"}, "link": 2}],
}
# Socket 0 is a medium, 1 and 2 are widgets: the seed's widget stands before the instruction's.
HOST = {
    "id": 12,
    "type": SUBGRAPH,
    "inputs": [
        {"name": "image1", "link": 1},
        {"name": "seed", "widget": {"name": "seed"}, "link": None},
        {"name": "instruction", "widget": {"name": "instruction"}, "link": None},
    ],
    "widgets_values": [7, "a circle"],
}
DEFINITION = {
    "id": SUBGRAPH,
    "inputs": [{"name": "image1"}, {"name": "seed"}, {"name": "instruction"}],
    "nodes": [PLANNER, SAMPLER],
    "links": [
        {"id": 1, "origin_id": -10, "origin_slot": 0, "target_id": 10, "target_slot": 0},
        {"id": 2, "origin_id": -10, "origin_slot": 1, "target_id": 11, "target_slot": 0},
        {"id": 3, "origin_id": -10, "origin_slot": 2, "target_id": 10, "target_slot": 1},
    ],
}
NESTED = {
    "nodes": [PICTURE, HOST],
    "links": [[1, 1, 0, 12, 0, "IMAGE"]],
    "definitions": {"subgraphs": [DEFINITION]},
}
FLAT = {
    "nodes": [PICTURE, SEED, PLANNER, SAMPLER],
    "links": [[1, 1, 0, 10, 0, "IMAGE"], [2, 2, 0, 11, 0, "INT"]],
}


def fingerprints(*asked):
    """The texts for (workflow, execution id) pairs."""
    return called("unison_fingerprint.js", "fingerprint", asked)


def changed(workflow, *path):
    """The workflow with another last value at a path of keys."""
    made = deepcopy(workflow)
    *way, key, value = path
    place = made
    for step in way:
        place = place[step]
    place[key] = value
    return made


SAME = [
    ("another node's value", FLAT, "10", ["nodes", 1, "widgets_values", [8]]),
    ("where it stands", FLAT, "10", ["nodes", 2, "pos", [1, 2]]),
    ("an empty list of values", FLAT, "11", ["nodes", 3, "widgets_values", []]),
    (
        "a widget of the subgraph that another node takes",
        NESTED,
        "12:10",
        ["nodes", 1, "widgets_values", [8, "a circle"]],
    ),
]
OTHER = [
    ("its own value", FLAT, "10", ["nodes", 2, "widgets_values", ["x"]]),
    ("a value in front of it", FLAT, "10", ["nodes", 0, "widgets_values", ["b.png"]]),
    ("a node in front of it is bypassed", FLAT, "10", ["nodes", 0, "mode", 4]),
    ("a link less", FLAT, "10", ["links", []]),
    ("its widget on the subgraph", NESTED, "12:10", ["nodes", 1, "widgets_values", [7, "a star"]]),
    ("a value in front of the subgraph", NESTED, "12:10", ["nodes", 0, "widgets_values", ["b.png"]]),
]


@pytest.mark.parametrize(
    ("node", "graph", "path"), [case[2:0:-1] + case[3:] for case in SAME], ids=[c[0] for c in SAME]
)
def test_a_result_stays_true(node, graph, path):
    before, after = fingerprints((graph, node), (changed(graph, *path), node))
    assert before and before == after


@pytest.mark.parametrize(
    ("node", "graph", "path"), [case[2:0:-1] + case[3:] for case in OTHER], ids=[c[0] for c in OTHER]
)
def test_a_result_is_old(node, graph, path):
    before, after = fingerprints((graph, node), (changed(graph, *path), node))
    assert before and after and before != after


@pytest.mark.parametrize("left", [["image1"], ["image1", "instruction"], ["instruction", "image1"]])
def test_inputs_of_widgets_that_a_queued_workflow_lacks_change_nothing(left):
    """Frontends leave the unconnected ones out of what they queue, those with a label of their own excepted."""
    inputs = {entry["name"]: entry for entry in HOST["inputs"]}
    queued = changed(NESTED, "nodes", 1, "inputs", [inputs[name] for name in left])
    before, after = fingerprints((NESTED, "12:10"), (queued, "12:10"))
    assert before == after and "a circle" in after
    for value in ([7, "a star"], [8, "a circle"]):
        (other,) = fingerprints((changed(queued, "nodes", 1, "widgets_values", value), "12:10"))
        assert (other == before) is (value[1] == "a circle")


def test_a_node_that_is_not_there_has_none():
    assert fingerprints((FLAT, "99"), (NESTED, "12:99"), (NESTED, "13:10"), ({}, "1")) == ["", "", "", ""]


def test_a_circle_of_links_ends():
    circle = {
        "nodes": [
            {"id": 1, "type": "A", "inputs": [{"name": "in", "link": 2}]},
            {"id": 2, "type": "B", "inputs": [{"name": "in", "link": 1}]},
        ],
        "links": [[1, 1, 0, 2, 0, "X"], [2, 2, 0, 1, 0, "X"]],
    }
    assert fingerprints((circle, "1"))[0]
