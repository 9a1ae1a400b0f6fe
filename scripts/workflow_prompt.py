"""The API prompt of a graph: what the frontend queues, with subgraphs laid flat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workflow_builder import ACTIVE, NESTED, NOTE, Link, Node, Workflow, definition, link_type

# Where an inner node's input comes from: a link's [id, slot], or a value.
Found = tuple[bool, Any]


def api_prompt(workflow: Workflow) -> dict[str, Any]:
    """The graph as the frontend queues it: without notes and bypassed nodes."""
    active = [node for node in workflow.ordered if node.type != NOTE and node.mode == ACTIVE]
    prompt: dict[str, Any] = {}
    for node in active:
        if node.type in NESTED:
            prompt |= _flat(node, active)
        else:
            prompt[str(node.id)] = _entry(node, {}, lambda link: _address(link, active))
    return prompt


def roles_of(workflow: Workflow) -> dict[str, str]:
    """Node ids by key, the way a prompt names them; inside a subgraph "100:10", by their own key."""
    inner = {
        key: f"{node.id}:{inside.id}"
        for node in workflow.ordered
        if node.type in NESTED
        for key, inside in NESTED[node.type].inner.nodes.items()
    }
    return {**workflow.roles(), **inner}


def _flat(host: Node, active: list[Node]) -> dict[str, Any]:
    """The nodes of a subgraph as those of the graph around it."""
    nested = NESTED[host.type]

    def address(link: Link) -> list[Any] | None:
        if link.node is not nested.entrance:
            return [f"{host.id}:{link.node.id}", link.slot]
        given = host.inputs.get(nested.inputs[link.slot].name)
        return _address(given, active) if isinstance(given, Link) else None

    made = {}
    for node in nested.inner.ordered:
        promoted = {
            entry.name: host.value(widget)
            for _, entry, link in node.links()
            if link.node is nested.entrance and entry.is_widget
            for widget in definition(host.type).widgets
            if widget.name == nested.inputs[link.slot].name
        }
        made[f"{host.id}:{node.id}"] = _entry(node, promoted, address)
    return made


def _entry(node: Node, values: dict[str, Any], address: Callable[[Link], list[Any] | None]) -> dict[str, Any]:
    """A node of a prompt. values: of widgets that are not as the node says."""
    inputs: dict[str, Any] = {}
    for entry in definition(node.type).inputs:
        given = node.inputs.get(entry.name)
        if entry.name in values:
            inputs[entry.name] = values[entry.name]
        elif isinstance(given, Link):
            if (found := address(given)) is not None:
                inputs[entry.name] = found
        elif entry.is_widget:
            inputs[entry.name] = node.value(entry)
    return {"class_type": node.type, "inputs": inputs, "_meta": {"title": node.title or node.type}}


def _address(link: Link, active: list[Node]) -> list[Any] | None:
    """[id, slot] of what a link comes from; None when that is off and hands nothing on."""
    through = _through_bypassed(link, active)
    if through is None:
        return None
    if through.node.type in NESTED:
        inner = NESTED[through.node.type].outputs[through.slot].source
        return [f"{through.node.id}:{inner.node.id}", inner.slot]
    return [str(through.node.id), through.slot]


def _through_bypassed(link: Link, active: list[Node]) -> Link | None:
    """Where a link comes from when a bypassed node hands on its first input of the same type, if it has one."""
    if link.node in active:
        return link
    kind = link_type(link)
    inner = next((inner for _, entry, inner in link.node.links() if entry.kind == kind), None)
    return None if inner is None else _through_bypassed(inner, active)
