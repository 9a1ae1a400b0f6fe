"""Places nodes: groups hold columns of nodes, rows and columns hold groups. Nothing overlaps by construction."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest

from workflow_builder import NESTED, NOTE, Group, Node, Workflow, definition

TITLE = 30
# Room that both ways of drawing need, the canvas and "Nodes 2.0" (which puts the pack's name below our nodes).
ROW, WIDGET, NODE_MARGIN, OWN_MARGIN = 20, 24, 36, 20
TEXT_WIDGET = 140
NODE_GAP, COLUMN_GAP = 30, 60
GROUP_GAP, GROUP_PADDING, GROUP_TITLE = 40, 20, 45
WIDTH = 300
PREVIEW = 240
# A subgraph, with the card that its planner shows on it.
NESTED_WIDTH, NESTED_ROOM = 460, 240
NOTE_CHARACTER, NOTE_LINE, NOTE_MARGIN = 5.5, 21, 60

# Room for what a node shows: its picture, video or text.
EXTRA_HEIGHT = {
    "LoadImage": PREVIEW,
    "LoadVideo": 320,
    "LoadImageMask": PREVIEW,
    "PreviewImage": 330,
    "SaveImage": 300,
    "SaveVideo": 330,
    "PreviewAny": 280,
    "UnisonAnswer": 120,
    # The line below a loader whose file is missing, as Nodes 2.0 draws it.
    "VAELoader": 20,
    "UnisonLoadControlModel": 20,
    # Two outputs that 0.33 has besides.
    "GetVideoComponents": 40,
    # Room for what our own nodes find out: the plan, the branch, notices.
    "UnisonDemoModels": 70,
    "UnisonPlanner": 300,
    "UnisonEditPlan": 200,
    "UnisonProjector": 70,
    "UnisonPrepareSources": PREVIEW,
    "UnisonRouteTask": 50,
    "UnisonRouteModality": 50,
    # The second widget that 0.33 has.
    "CreateVideo": 30,
}
WIDTHS = {
    "UNETLoader": 360,
    "CLIPLoader": 360,
    "VAELoader": 360,
    "UnisonLoadPlanner": 360,
    "UnisonLoadProjector": 360,
    "UnisonLoadDetector": 320,
    "UnisonLoadSegmenter": 320,
    "UnisonLoadControlModel": 320,
    "CheckpointLoaderSimple": 320,
    "UnisonPlanner": 420,
    "UnisonAnswer": 360,
    "UnisonTextContext": 400,
    "UnisonPrepareSources": 320,
    "PreviewImage": 360,
    "SaveImage": 360,
    "SaveVideo": 360,
    "PreviewAny": 400,
    NOTE: 440,
}


@dataclass(frozen=True)
class Box:
    """A group: columns of node keys, left to right.

    align: "top"; "middle" centres shorter columns; "rows" lines up the first nodes of all columns, the second, ...
    """

    title: str
    color: str
    columns: tuple[tuple[str, ...], ...]
    align: str = "top"


@dataclass(frozen=True)
class Stack:
    """Things side by side (align: "top" or "middle") or one above the other; those are made equally wide."""

    parts: tuple[Stack | Box, ...]
    downwards: bool
    align: str = "top"


def box(title: str, color: str, *columns: list[str], align: str = "top") -> Box:
    """A group of columns of nodes."""
    return Box(title, color, tuple(tuple(column) for column in columns), align)


def row(*parts: Stack | Box, align: str = "top") -> Stack:
    """Side by side."""
    return Stack(parts, False, align)


def column(*parts: Stack | Box) -> Stack:
    """One above the other."""
    return Stack(parts, True)


def arrange(workflow: Workflow, layout: Stack | Box) -> None:
    """Give every node its place and size, and the workflow its groups."""
    if unplaced := set(workflow.nodes) - set(_keys(layout)):
        raise KeyError(f"{workflow.name}: not in the layout: {', '.join(sorted(unplaced))}")
    for node in workflow.nodes.values():
        node.size = _node_size(node)
    _widen_notes(workflow, layout)
    _place(workflow, layout, 0, 0, 0)


def _keys(part: Stack | Box) -> list[str]:
    if isinstance(part, Box):
        return [key for column in part.columns for key in column]
    return [key for inner in part.parts for key in _keys(inner)]


# ---------------------------------------------------------------------------------------------- sizes


def _node_size(node: Node) -> tuple[int, int]:
    width = WIDTHS.get(node.type, WIDTH)
    if node.type == NOTE:
        return width, _note_height(node.inputs["text"], width)
    known = definition(node.type)
    rows = max(len(known.slots) - len(known.widgets), len(known.outputs))
    texts = sum(bool(widget.options.get("multiline")) for widget in known.widgets)
    controls = sum(bool(widget.options.get("control_after_generate")) for widget in known.widgets)
    widgets = (len(known.widgets) - texts + controls) * WIDGET + texts * TEXT_WIDGET
    nested = node.type in NESTED
    own = NESTED_ROOM if nested else OWN_MARGIN if node.type.startswith("Unison") else 0
    width = NESTED_WIDTH if nested else width
    return width, rows * ROW + widgets + NODE_MARGIN + own + EXTRA_HEIGHT.get(node.type, 0) + node.room


def _note_height(text: str, width: int) -> int:
    """Room for the text as it wraps at worst."""
    per_line = int((width - 40) / NOTE_CHARACTER)
    lines = sum(max(1, -(-_columns(line) // per_line)) for line in text.split("\n"))
    return NOTE_MARGIN + lines * NOTE_LINE


def _columns(line: str) -> int:
    """Characters as shown: no link addresses, Chinese twice as wide."""
    shown = re.sub(r"\]\([^)]*\)", "]", line)
    return sum(1 if character.isascii() else 2 for character in shown)


def _widen_notes(workflow: Workflow, part: Stack | Box) -> None:
    """Notes that stand alone in a group become as wide as the column that the group is in."""
    if isinstance(part, Box):
        return
    for inner in part.parts:
        _widen_notes(workflow, inner)
    if not part.downwards:
        return
    width = _measure(workflow, part)[0] - 2 * GROUP_PADDING
    for inner in part.parts:
        for key in _keys(inner) if isinstance(inner, Box) and len(inner.columns) == 1 else ():
            node = workflow.nodes[key]
            if node.type == NOTE:
                node.size = width, _note_height(node.inputs["text"], width)


def _rows(workflow: Workflow, part: Box) -> list[list[int]]:
    """The height that every node of every column takes up, its title included."""
    heights = [[workflow.nodes[key].size[1] + TITLE for key in column] for column in part.columns]
    if part.align != "rows":
        return heights
    rows = [max(row) for row in zip_longest(*heights, fillvalue=0)]
    return [rows[: len(column)] for column in heights]


def _column_width(workflow: Workflow, keys: tuple[str, ...]) -> int:
    return max(workflow.nodes[key].size[0] for key in keys)


def _column_height(heights: list[int]) -> int:
    return sum(heights) + NODE_GAP * (len(heights) - 1)


def _measure(workflow: Workflow, part: Stack | Box) -> tuple[int, int]:
    if isinstance(part, Box):
        widths = [_column_width(workflow, keys) for keys in part.columns]
        width = sum(widths) + COLUMN_GAP * (len(widths) - 1)
        height = max(map(_column_height, _rows(workflow, part)))
        return width + 2 * GROUP_PADDING, height + GROUP_PADDING + GROUP_TITLE
    sizes = [_measure(workflow, inner) for inner in part.parts]
    along, across = (1, 0) if part.downwards else (0, 1)
    total = sum(size[along] for size in sizes) + GROUP_GAP * (len(sizes) - 1)
    most = max(size[across] for size in sizes)
    return (most, total) if part.downwards else (total, most)


# ---------------------------------------------------------------------------------------------- places


def _place(workflow: Workflow, part: Stack | Box, x: int, y: int, least_width: int) -> None:
    if isinstance(part, Box):
        _place_box(workflow, part, x, y, least_width)
        return
    own_width, own_height = _measure(workflow, part)
    widest = max(least_width, own_width) if part.downwards else 0
    for inner in part.parts:
        width, height = _measure(workflow, inner)
        lower = (own_height - height) // 2 if part.align == "middle" else 0
        _place(workflow, inner, x, y + lower, widest)
        if part.downwards:
            y += height + GROUP_GAP
        else:
            x += width + GROUP_GAP


def _place_box(workflow: Workflow, part: Box, x: int, y: int, least_width: int) -> None:
    width, height = _measure(workflow, part)
    workflow.groups.append(Group(part.title, part.color, (x, y, max(width, least_width), height)))
    left, room = x + GROUP_PADDING, height - GROUP_PADDING - GROUP_TITLE
    for keys, heights in zip(part.columns, _rows(workflow, part), strict=True):
        top = y + GROUP_TITLE
        if part.align == "middle":
            top += (room - _column_height(heights)) // 2
        for key, taken in zip(keys, heights, strict=True):
            workflow.nodes[key].pos = (left, top + TITLE)
            top += taken + NODE_GAP
        left += _column_width(workflow, keys) + COLUMN_GAP
