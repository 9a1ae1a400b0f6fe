"""Workflows against the nodes of both hosts: slots, links, widgets."""

import pytest

from .shipped import (
    API,
    CORE,
    DYNAMIC,
    HOSTS,
    INSTALLED,
    MATCH,
    NEWER,
    OURS,
    inputs_of,
    is_widget,
    own,
    read,
    skip_where_it_cannot_be,
    widgets_of,
)


@pytest.mark.parametrize("host", HOSTS)
def test_slots_are_those_of_the_host(graph, host):
    skip_where_it_cannot_be(graph["name"], host)
    for node in own(graph):
        known = inputs_of(host, node["type"])
        slots = [name for name, kind, options, _ in known if not is_widget(kind, options)]
        widgets = [name for name, kind, options, _ in known if is_widget(kind, options)]
        names = [entry["name"] for entry in node["inputs"]]
        linkable = [entry["name"] for entry in node["inputs"] if "widget" in entry]
        # Links name a slot by number: sockets first, in order; what one host has besides comes behind.
        assert names == slots + linkable, node["type"]
        assert linkable == widgets[: len(linkable)], node["type"]
        kinds = {name: kind for name, kind, *_ in known}
        for entry in node["inputs"]:
            assert "widget" not in entry or entry["widget"] == {"name": entry["name"]}
            wanted = {MATCH: "*", DYNAMIC: "COMBO"}.get(kinds[entry["name"]], kinds[entry["name"]])
            assert entry["type"] == wanted
        outputs = [tuple(pair) for pair in (CORE[host] | OURS)[node["type"]]["outputs"]]
        here = [(entry["name"], entry["type"]) for entry in node["outputs"]]
        assert [name for name, _ in here] == [name for name, _ in outputs[: len(here)]]
        for (_, found), (_, kind) in zip(here, outputs, strict=False):
            assert kind == MATCH or found == kind


def fits(kind, wanted):
    """Whether a link of this type may go into an input of that one."""
    return wanted in ("*", MATCH) or bool(set(kind.split(",")) & set(wanted.split(",")))


@pytest.mark.parametrize("host", HOSTS)
def test_links_fit(workflow, host):
    skip_where_it_cannot_be(workflow["name"], host)
    nodes = {node["id"]: node for node in workflow["nodes"]}
    numbers = [link[0] for link in workflow["links"]]
    assert len(set(numbers)) == len(numbers) and workflow["last_link_id"] == max(numbers)
    assert workflow["last_node_id"] == max(nodes)
    for number, origin, out, target, slot, kind in workflow["links"]:
        socket = nodes[target]["inputs"][slot]
        assert socket["link"] == number
        assert number in nodes[origin]["outputs"][out]["links"]
        assert nodes[origin]["outputs"][out]["type"] == kind
        wanted = {name: kind for name, kind, *_ in inputs_of(host, nodes[target]["type"])}[socket["name"]]
        assert fits(kind, wanted), (nodes[origin]["type"], nodes[target]["type"], socket["name"])
    ends = [entry["link"] for node in nodes.values() for entry in node["inputs"] if entry["link"] is not None]
    starts = [number for node in nodes.values() for entry in node["outputs"] for number in entry["links"] or []]
    assert sorted(ends) == sorted(starts) == sorted(numbers)


@pytest.mark.parametrize("host", HOSTS)
def test_widget_values_are_allowed(graph, host):
    skip_where_it_cannot_be(graph["name"], host)
    for node in own(graph):
        for name, kind, options, value in widgets_of(node, host):
            key = f"{node['type']}.{name}"
            if key in INSTALLED:
                assert value in INSTALLED[key]
            elif kind == "COMBO":
                assert value in options["options"], key
            elif kind == DYNAMIC:
                assert value == "auto"
            else:
                kinds = {"INT": int, "FLOAT": (int, float), "STRING": str, "BOOLEAN": bool}
                assert isinstance(value, kinds[kind]) and isinstance(value, bool) == (kind == "BOOLEAN"), key
            if kind in ("INT", "FLOAT"):
                assert options.get("min", value) <= value <= options.get("max", value), key


def test_every_widget_of_the_oldest_host_has_a_value(graph):
    host = HOSTS[-1] if graph["name"] in NEWER else HOSTS[0]
    assert all(None not in node["widgets_values"] for node in graph["nodes"])
    for node in own(graph):
        known = inputs_of(host, node["type"])
        wanted = [name for name, kind, options, _ in known if is_widget(kind, options)]
        if graph["name"] in NEWER and node["type"] in CORE[HOSTS[0]]:
            wanted = wanted[: len(list(widgets_of(node, host)))]
        assert [name for name, *_ in widgets_of(node, host)] == wanted, node["type"]


@pytest.mark.parametrize("host", HOSTS)
def test_required_inputs_are_given(workflow, host):
    skip_where_it_cannot_be(workflow["name"], host)
    for node in own(workflow):
        linked = {entry["name"] for entry in node["inputs"] if entry["link"] is not None}
        valued = {name for name, *_ in widgets_of(node, host)}
        required = {name for name, _, _, required in inputs_of(host, node["type"]) if required}
        assert required <= linked | valued, node["type"]


@pytest.mark.parametrize("path", sorted(API.glob("unison_*.json")), ids=lambda path: path.stem)
@pytest.mark.parametrize("host", HOSTS)
def test_prompts_are_complete_on_the_host(path, host):
    skip_where_it_cannot_be(path.stem, host)
    prompt = read(path)
    for node, entry in prompt.items():
        known = inputs_of(host, entry["class_type"])
        assert set(entry["inputs"]) <= {name for name, *_ in known}
        assert {name for name, _, _, required in known if required} <= set(entry["inputs"]), (node, entry["class_type"])
        for value in entry["inputs"].values():
            if isinstance(value, list):
                assert value[0] in prompt
                assert value[1] < len((CORE[host] | OURS)[prompt[value[0]]["class_type"]]["outputs"])
