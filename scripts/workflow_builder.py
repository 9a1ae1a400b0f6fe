"""Describes a graph once; writes it as ComfyUI's two formats, the UI workflow and the API prompt.

Slots and the order of widgets come from the committed node definitions (tests/host/data), those of the core from the
oldest host that the pack supports. What a newer host has besides stands behind them, so a file suits both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "host" / "data"
OLDEST_HOST = "0.8.0"
WIDGET_TYPES = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
MATCH_TYPE = "COMFY_MATCHTYPE_V3"
NOTE = "MarkdownNote"
# The frontend adds a button behind the widgets of these and saves "image" for it.
UPLOADS = {"LoadImage", "LoadImageMask", "LoadVideo"}
ACTIVE, BYPASSED = 0, 4
OPTIONAL_SHAPE = 7
NESTED: dict[str, Any] = {}
"""Subgraphs by node type, those of their entrances as well (`workflow_subgraph`)."""


@dataclass(frozen=True)
class Input:
    """An input of a node's definition."""

    name: str
    kind: str
    optional: bool
    options: dict[str, Any]
    label: str | None = None

    @property
    def is_widget(self) -> bool:
        return self.kind in WIDGET_TYPES and not self.options.get("forceInput")


@dataclass(frozen=True)
class Definition:
    """A node's inputs, required ones first, and its outputs as (name, type)."""

    inputs: tuple[Input, ...]
    outputs: tuple[tuple[str, str], ...]

    @property
    def slots(self) -> list[Input]:
        """In the order of slots on a node: sockets, then widgets."""
        return [i for i in self.inputs if not i.is_widget] + self.widgets

    @property
    def widgets(self) -> list[Input]:
        return [i for i in self.inputs if i.is_widget]


@cache
def _shapes() -> dict[str, Any]:
    core = json.loads((DATA / "core_nodes.json").read_text(encoding="utf-8"))
    newer = {name: shape for shapes in core.values() for name, shape in shapes.items()}
    return {**newer, **core[OLDEST_HOST], **json.loads((DATA / "nodes.json").read_text(encoding="utf-8"))}


def definition(node_type: str) -> Definition:
    """The definition of a node type; a note has neither inputs nor outputs."""
    if node_type == NOTE:
        return Definition((), ())
    if node_type in NESTED:
        made: Definition = NESTED[node_type].define(node_type)
        return made
    return _of_a_node(node_type)


@cache
def _of_a_node(node_type: str) -> Definition:
    shape = _shapes()[node_type]
    inputs = tuple(
        Input(name, kind, group == "optional", options)
        for group in ("required", "optional")
        for name, (kind, options) in shape["inputs"][group].items()
    )
    return Definition(inputs, tuple((name, kind) for name, kind in shape["outputs"]))


@cache
def first_host(node_type: str) -> str:
    """The oldest of the committed hosts that has a core node."""
    core = json.loads((DATA / "core_nodes.json").read_text(encoding="utf-8"))
    return str(next(host for host, shapes in core.items() if node_type in shapes))


@dataclass(frozen=True)
class Link:
    """One output of a node."""

    node: Node
    slot: int


@dataclass(eq=False)
class Node:
    """A node of a graph: `inputs` holds values and links by name. `node["name"]` is the link to an output.

    room: pixels below for what it shows in this graph, beside what such a node always needs.
    """

    key: str
    id: int
    type: str
    title: str | None
    mode: int
    inputs: dict[str, Any]
    properties: dict[str, Any]
    pos: tuple[int, int] = (0, 0)
    size: tuple[int, int] = (0, 0)
    room: int = 0

    def __getitem__(self, output: str) -> Link:
        names = [name for name, _ in definition(self.type).outputs]
        return Link(self, names.index(output))

    def value(self, widget: Input) -> Any:
        """What a widget holds: as given, else its default; a linked widget keeps its default."""
        given = self.inputs.get(widget.name)
        if given is None or isinstance(given, Link):
            default = widget.options.get("default", "" if widget.kind == "STRING" else None)
            return widget.options.get("options", [None])[0] if default is None else default
        return given

    def links(self) -> Iterator[tuple[int, Input, Link]]:
        """(slot, input, link) of everything connected."""
        for slot, entry in enumerate(definition(self.type).slots):
            if isinstance(link := self.inputs.get(entry.name), Link):
                yield slot, entry, link


@dataclass(frozen=True)
class Group:
    """A titled rectangle: x, y, width, height."""

    title: str
    color: str
    bounding: tuple[int, int, int, int]


@dataclass
class Workflow:
    """A graph under construction. `ids` gives every key its node id."""

    name: str
    title: str
    ids: dict[str, int]
    nodes: dict[str, Node] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    """What the file says besides the graph, such as the inputs and outputs of app mode."""

    def node(
        self, key: str, node_type: str, *, title: str | None = None, bypassed: bool = False,
        models: list[dict[str, str]] | None = None, **inputs: Any,
    ) -> Node:  # fmt: skip
        """Add a node; inputs are values or links. An unknown input is a KeyError."""
        known = {entry.name for entry in definition(node_type).inputs}
        if unknown := set(inputs) - known - ({"text"} if node_type == NOTE else set()):
            raise KeyError(f"{self.name}: {node_type} has no {', '.join(sorted(unknown))}")
        properties = {} if models is None else {"models": models}
        mode = BYPASSED if bypassed else ACTIVE
        self.nodes[key] = Node(key, self.ids[key], node_type, title, mode, inputs, properties)
        return self.nodes[key]

    def note(self, key: str, title: str, text: str) -> Node:
        """Add a note in Markdown."""
        return self.node(key, NOTE, title=title, text=text)

    @property
    def ordered(self) -> list[Node]:
        """By id."""
        return sorted(self.nodes.values(), key=lambda node: node.id)

    def roles(self) -> dict[str, str]:
        """Node ids by key, as strings, the way a prompt names them."""
        return {node.key: str(node.id) for node in self.ordered}


def ui_workflow(workflow: Workflow, packs: dict[str, tuple[str, str]]) -> dict[str, Any]:
    """The graph as the frontend saves it. `packs` holds (registry id, version) for "core" and "ours"."""
    links = numbered_links(workflow)
    order = {node.key: index for index, node in enumerate(_sorted_by_links(workflow))}
    types = dict.fromkeys(node.type for node in workflow.ordered if node.type in NESTED)
    nested = [NESTED[node_type].as_json(packs) for node_type in types]
    return {
        "last_node_id": max(workflow.ids[key] for key in workflow.nodes),
        "last_link_id": len(links),
        "nodes": [ui_node(node, order[node.key], links, packs) for node in workflow.ordered],
        "links": [
            [number, link.node.id, link.slot, node.id, slot, link_type(link)]
            for number, (node, slot, link) in enumerate(links, start=1)
            if node is not None
        ],
        "groups": ui_groups(workflow),
        **({"definitions": {"subgraphs": nested}} if nested else {}),
        "config": {},
        "extra": {"ds": _view(workflow), "info": {"name": workflow.title}, **workflow.extra},
        "version": 0.4,
    }


def ui_groups(workflow: Workflow) -> list[dict[str, Any]]:
    """The rectangles as the frontend saves them."""
    return [
        {"id": number, "title": group.title, "bounding": list(group.bounding), "color": group.color,
         "font_size": 24, "flags": {}}
        for number, group in enumerate(workflow.groups, start=1)
    ]  # fmt: skip


# (target, its slot, what comes there); no target is the way out of a subgraph.
Links = list[tuple[Node | None, int, Link]]


def numbered_links(workflow: Workflow) -> Links:
    return [(node, slot, link) for node in workflow.ordered for slot, _, link in node.links()]


def _sorted_by_links(workflow: Workflow) -> list[Node]:
    """Every node behind those it needs, else by id."""
    done: list[Node] = []
    waiting = workflow.ordered
    while waiting:
        ready = next(node for node in waiting if all(link.node in done for _, _, link in node.links()))
        waiting.remove(ready)
        done.append(ready)
    return done


def link_type(link: Link) -> str:
    """What flows through a link; an output that takes its type from an input is followed to there."""
    name, kind = definition(link.node.type).outputs[link.slot]
    if kind != MATCH_TYPE:
        return kind
    sources = [inner for _, entry, inner in link.node.links() if entry.kind == MATCH_TYPE]
    return link_type(sources[0]) if sources else name


def ui_node(node: Node, order: int, links: Links, packs: dict[str, tuple[str, str]]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": node.id, "type": node.type, "pos": list(node.pos), "size": list(node.size), "flags": {},
        "order": order, "mode": node.mode, "inputs": [_ui_input(node, entry, links) for entry in _slots(node)],
        "outputs": _ui_outputs(node, links),
    }  # fmt: skip
    if node.title is not None:
        made["title"] = node.title
    if node.type == NOTE:
        return {**made, "properties": {}, "widgets_values": [node.inputs["text"]], "color": "#222", "bgcolor": "#000"}
    nested = node.type in NESTED
    pack, version = packs["ours" if nested or node.type.startswith("Unison") else "core"]
    if pack == packs["core"][0]:
        version = first_host(node.type)
    named = {} if nested else {"Node name for S&R": node.type}
    properties = {"cnr_id": pack, "ver": version, **named, **node.properties}
    return {**made, "properties": properties, "widgets_values": widget_values(node)}


def _slots(node: Node) -> list[Input]:
    return definition(node.type).slots


def _ui_input(node: Node, entry: Input, links: Links) -> dict[str, Any]:
    numbers = (n for n, (target, slot, _) in enumerate(links, 1) if target is node and _slots(node)[slot] is entry)
    made: dict[str, Any] = {"name": entry.name, "type": "*" if entry.kind == MATCH_TYPE else entry.kind}
    if entry.label is not None:
        made["label"] = entry.label
    if entry.optional:
        made["shape"] = OPTIONAL_SHAPE
    if entry.is_widget:
        made["widget"] = {"name": entry.name}
    return {**made, "link": next(numbers, None)}


def _ui_outputs(node: Node, links: Links) -> list[dict[str, Any]]:
    def leaving(slot: int) -> list[int] | None:
        return [n for n, (_, _, link) in enumerate(links, 1) if link.node is node and link.slot == slot] or None

    return [
        {"name": name, "type": link_type(Link(node, slot)) if kind == MATCH_TYPE else kind, "links": leaving(slot)}
        for slot, (name, kind) in enumerate(definition(node.type).outputs)
    ]


def widget_values(node: Node) -> list[Any]:
    """A node's widget values by position, with what the frontend adds of its own."""
    values = []
    for widget in definition(node.type).widgets:
        values.append(node.value(widget))
        if widget.options.get("control_after_generate"):
            values.append("fixed")
    return [*values, "image"] if node.type in UPLOADS else values


def _view(workflow: Workflow) -> dict[str, Any]:
    """Scale and offset that show the whole graph in a common window."""
    width, height, margin = 1600, 850, 60
    boxes = [group.bounding for group in workflow.groups] or [(*n.pos, *n.size) for n in workflow.ordered]
    left, top = min(b[0] for b in boxes), min(b[1] for b in boxes)
    right, bottom = max(b[0] + b[2] for b in boxes), max(b[1] + b[3] for b in boxes)
    scale = round(min(width / (right - left + 2 * margin), height / (bottom - top + 2 * margin), 1.0), 3)
    return {"scale": scale, "offset": [margin - left, 2 * margin - top]}
