"""Node definitions as saved graphs depend on them: ids, inputs, outputs, types, defaults; no texts, no machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parent / "data"
OURS = DATA / "nodes.json"
CORE = DATA / "core_nodes.json"

# What an input's options may say that a saved graph or an API client depends on.
_KEPT = (
    "default",
    "min",
    "max",
    "step",
    "lazy",
    "rawLink",
    "forceInput",
    "multiline",
    "control_after_generate",
    "template",
)
# These list what is installed, and what lies in the input folder.
_INSTALLED = (
    "LoadImage.image",
    "LoadImageMask.image",
    "LoadVideo.file",
    "UnisonLoadPlanner.planner",
    "UnisonLoadPlanner.lora",
    "UnisonLoadProjector.projector",
    "UnisonServerPlanner.key",
    "UnisonLoadDetector.detector",
    "UnisonLoadSegmenter.segmenter",
    "UnisonLoadControlModel.control",
)


def shape(info: dict[str, Any]) -> dict[str, Any]:
    """One node of /object_info, reduced."""
    groups = {kind: info["input"].get(kind, {}) for kind in ("required", "optional")}
    return {
        "inputs": {
            kind: {name: _input(info["name"], name, spec) for name, spec in group.items()}
            for kind, group in groups.items()
        },
        "outputs": [list(pair) for pair in zip(info["output_name"], map(_type, info["output"]), strict=True)],
        "output_node": info["output_node"],
    }


def _type(kind: Any) -> Any:
    return "COMBO" if isinstance(kind, list) else kind


def _input(node: str, name: str, spec: list[Any]) -> list[Any]:
    options = spec[1] if len(spec) > 1 else {}
    kept: dict[str, Any] = {key: options[key] for key in _KEPT if key in options}
    choices = spec[0] if isinstance(spec[0], list) else options.get("options")
    if f"{node}.{name}" in _INSTALLED:
        kept.pop("default", None)
    elif choices and all(isinstance(choice, str) for choice in choices):
        kept["options"] = choices
    return [_type(spec[0]), kept]


def load(path: Path) -> Any:
    """A committed file."""
    return json.loads(path.read_text(encoding="utf-8"))


def store(path: Path, data: Any) -> None:
    """Write a committed file."""
    path.write_text(json.dumps(data, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
