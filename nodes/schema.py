"""What all schemas share: the pack's own socket types, and schemas that hosts from 0.8.0 on accept."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from comfy_api.latest import io

PlannerSocket = io.Custom("UNISON_PLANNER")
ProjectorSocket = io.Custom("UNISON_PROJECTOR")
PlanSocket = io.Custom("UNISON_PLAN")
FeaturesSocket = io.Custom("UNISON_FEATURES")
SourcesSocket = io.Custom("UNISON_SOURCES")
DetectorSocket = io.Custom("UNISON_DETECTOR")
SegmenterSocket = io.Custom("UNISON_SEGMENTER")
ControlModelSocket = io.Custom("UNISON_CONTROL_MODEL")

# The default of an input that nobody connected; one that is connected but not evaluated yet arrives as None.
ABSENT: Any = object()
# As extra_dict, because `advanced=` is an error before 0.10.
ADVANCED = {"advanced": True}


def schema(node_id: str, folder: str, **options: Any) -> io.Schema:
    """A schema in category `Unison/<folder>` without the options this host does not know.

    One unknown option would be a TypeError, and that would drop every node behind it (`search_aliases` is 0.11).
    Hosts that know `has_intermediate_output` send again what a cached node has to show.
    """
    known = {field.name for field in fields(io.Schema)}
    given = {"node_id": node_id, "category": f"Unison/{folder}", "has_intermediate_output": True, **options}
    return io.Schema(**{name: value for name, value in given.items() if name in known})


def block(count: int) -> list[Any]:
    """`count` outputs that silently keep everything behind them from running."""
    from comfy_execution.graph_utils import ExecutionBlocker

    return [ExecutionBlocker(None)] * count
