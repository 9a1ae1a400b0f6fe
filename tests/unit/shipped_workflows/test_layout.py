"""How workflows look: nothing overlaps, groups, notes."""

import itertools
import re

from .shipped import OWN, TITLES, WIRED, notes_of, rectangle


def test_nothing_overlaps(graph):
    for one, other in itertools.combinations(graph["nodes"], 2):
        left, right = rectangle(one), rectangle(other)
        apart = left[2] <= right[0] or right[2] <= left[0] or left[3] <= right[1] or right[3] <= left[1]
        assert apart, (one["type"], other["type"])


def test_every_node_lies_in_one_group_and_groups_are_apart(graph):
    groups = []
    for group in graph["groups"]:
        x, y, width, height = group["bounding"]
        groups.append((x, y, x + width, y + height))
        assert group["title"] and re.fullmatch(r"#[0-9a-fA-F]{3,6}", group["color"])
    for one, other in itertools.combinations(groups, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    for node in graph["nodes"]:
        left, top, right, bottom = rectangle(node)
        inside = [g for g in groups if g[0] <= left and g[1] <= top and right <= g[2] and bottom <= g[3]]
        assert len(inside) == 1, node["type"]


def test_links_lead_to_the_right(workflow):
    """In the workflow with routes two groups stand below those that feed them; there links lead back to the next row."""
    nodes = {node["id"]: node for node in workflow["nodes"]}
    back = {
        (nodes[link[1]]["type"], nodes[link[3]]["type"])
        for link in workflow["links"]
        if nodes[link[1]]["pos"][0] > nodes[link[3]]["pos"][0]
    }
    below = {("UnisonPlanner", "UnisonProjector"), ("UnisonPlanner", "UnisonTextContext")}
    below |= {("UnisonComposite", "UnisonRouteModality")}
    assert back == (below if workflow["name"] == "unison_route" else set())


def test_groups_and_notes_are_there(workflow):
    titles = [group["title"] for group in workflow["groups"]]
    assert titles[0] == "Start here" and titles[-1] in ("Result", "Results")
    note = notes_of(workflow)[TITLES[workflow["name"]]]
    assert "coloured shapes" in note and TITLES["unison_your_models"] in note
    assert len(re.findall("[\u4e00-\u9fff]", note)) > 40  # in Chinese as well
    assert len(note) < 2600


def test_workflows_around_unison_are_small_and_open_large(workflow):
    if workflow["name"] in WIRED:
        return
    limit, scale = (14, 0.55) if workflow["name"] in OWN else (8, 0.7)
    assert len(workflow["nodes"]) <= limit
    assert workflow["extra"]["ds"]["scale"] >= scale
