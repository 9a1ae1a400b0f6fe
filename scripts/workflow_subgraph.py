"""Subgraphs: a graph that stands in others as one node, as the frontend saves it (format 0.4).

A widget is promoted by an input of the subgraph that is linked to the inner node's widget; nothing else says so.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from workflow_builder import (
    NESTED,
    Definition,
    Input,
    Link,
    Links,
    Node,
    Workflow,
    definition,
    link_type,
    numbered_links,
    ui_groups,
    ui_node,
)

# Definitions keep their id as long as they keep their name: files differ only where the graph does.
_NAMESPACE = uuid.UUID("5f6f4c52-6d7a-5a0e-9d8f-2f0f0d3b8a61")
ENTRANCE, EXIT = -10, -20
PORT_WIDTH, PORT_ROW, PORT_GAP = 140, 20, 80


@dataclass(frozen=True)
class Port:
    """An input of a subgraph, which an inner node's input of that kind takes; `label` is what the node shows."""

    name: str
    kind: str
    label: str | None = None
    optional: bool = True
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Way:
    """An output of a subgraph: what an inner node gives."""

    name: str
    source: Link


@dataclass(eq=False)
class Subgraph:
    """A graph that is one node elsewhere. `inner` links to `port(name)` where something comes from outside."""

    name: str
    description: str
    category: str
    inner: Workflow
    inputs: list[Port]
    outputs: list[Way] = field(default_factory=list)
    entrance: Node = field(init=False)

    def __post_init__(self) -> None:
        self.entrance = Node("entrance", ENTRANCE, f"{self.id}:inputs", None, 0, {}, {})
        entries = tuple(Input(port.name, port.kind, port.optional, port.options, port.label) for port in self.inputs)
        NESTED[self.entrance.type] = self
        NESTED[self.id] = self
        self._entries = entries

    @property
    def id(self) -> str:
        return str(uuid.uuid5(_NAMESPACE, self.name))

    def port(self, name: str) -> Link:
        """What comes in by that name."""
        return Link(self.entrance, [port.name for port in self.inputs].index(name))

    def define(self, node_type: str) -> Definition:
        """The subgraph as a node, or its entrance, whose outputs are what comes in."""
        if node_type == self.entrance.type:
            return Definition((), tuple((port.name, port.kind) for port in self.inputs))
        return Definition(self._entries, tuple((way.name, link_type(way.source)) for way in self.outputs))

    def as_json(self, packs: dict[str, tuple[str, str]]) -> dict[str, Any]:
        """The definition, as a workflow file holds it."""
        links = numbered_links(self.inner)
        leaving = [(way, len(links) + number) for number, way in enumerate(self.outputs, start=1)]
        left, right, top = self._bounds()
        rows = {"in": len(self.inputs), "out": len(self.outputs)}
        inner_links = [*links, *((None, slot, way.source) for slot, (way, _) in enumerate(leaving))]
        return {
            "id": self.id,
            "version": 1,
            "state": {"lastGroupId": len(self.inner.groups), "lastNodeId": max(n.id for n in self.inner.ordered),
                      "lastLinkId": len(inner_links), "lastRerouteId": 0},
            "revision": 0,
            "config": {},
            "name": self.name,
            "inputNode": {"id": ENTRANCE, "bounding": [left, top, PORT_WIDTH, PORT_ROW * (rows["in"] + 2)]},
            "outputNode": {"id": EXIT, "bounding": [right, top, PORT_WIDTH, PORT_ROW * (rows["out"] + 2)]},
            "inputs": [self._input(slot, port, links, left, top) for slot, port in enumerate(self.inputs)],
            "outputs": [
                {"id": self._port_id("out", way.name), "name": way.name, "type": link_type(way.source),
                 "linkIds": [number], "pos": [right + PORT_ROW, top + PORT_ROW * (slot + 1)]}
                for slot, (way, number) in enumerate(leaving)
            ],
            "widgets": [],
            "nodes": [ui_node(node, order, inner_links, packs) for order, node in enumerate(self.inner.ordered)],
            "groups": ui_groups(self.inner),
            "links": [
                {"id": number, "origin_id": link.node.id, "origin_slot": link.slot,
                 "target_id": EXIT if node is None else node.id, "target_slot": slot, "type": link_type(link)}
                for number, (node, slot, link) in enumerate(inner_links, start=1)
            ],
            "extra": {},
            "category": self.category,
            "description": self.description,
        }  # fmt: skip

    def _input(self, slot: int, port: Port, links: Links, left: int, top: int) -> dict[str, Any]:
        taken = [n for n, (_, _, link) in enumerate(links, 1) if link.node is self.entrance and link.slot == slot]
        made: dict[str, Any] = {"id": self._port_id("in", port.name), "name": port.name, "type": port.kind,
                                "linkIds": taken}  # fmt: skip
        if port.label is not None:
            made["label"] = port.label
        return {**made, "pos": [left + PORT_WIDTH - PORT_ROW, top + PORT_ROW * (slot + 1)]}

    def _port_id(self, way: str, name: str) -> str:
        return str(uuid.uuid5(_NAMESPACE, f"{self.name}/{way}/{name}"))

    def _bounds(self) -> tuple[int, int, int]:
        """Where entrance and exit stand: x of both, and y."""
        boxes = [group.bounding for group in self.inner.groups]
        top = min(box[1] for box in boxes)
        return (
            min(box[0] for box in boxes) - PORT_WIDTH - PORT_GAP,
            max(box[0] + box[2] for box in boxes) + PORT_GAP,
            top,
        )


def promoted(
    node_type: str, name: str, *, as_name: str | None = None, label: str | None = None, **options: Any
) -> Port:
    """A port for an input of a node: the same kind and options, `options` in their place."""
    entry = next(entry for entry in definition(node_type).inputs if entry.name == name)
    kept = {key: value for key, value in entry.options.items() if key != "control_after_generate"}
    return Port(as_name or name, entry.kind, label, True, kept | options)
