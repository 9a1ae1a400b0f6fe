"""Control models from local files: what lies there is looked at before a weight is read, and nothing is fetched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import WeightsError
from ...plan.controls import weighted_kinds
from ...weights.folder import model_type
from ...weights.needs import describe, need_of
from ...weights.state import program
from . import flow, pose
from .kinds import weighted

if TYPE_CHECKING:
    import torch

    Device = torch.device | str


def _fitting(path: Path) -> str:
    """What is read instead of a file in another form, by its name."""
    kinds = [kind for kind in ("flow", "depth") if {"flow": flow.NAME}.get(kind, kind) in path.name.lower()]
    kind = "pose" if pose.is_other_form(path) else next(iter(kinds), "")
    return f". What fits for {kind} maps: {describe(need_of(kind))}" if kind else ""


def control_kind(path: Path) -> str:
    """The kind of map that a model makes, as names and config files tell; "" for none of them. Never raises."""
    return next((kind for kind in weighted_kinds() if weighted(kind).is_model(path)), "")


def load_control_model(path: Path, *, device: Device = "cpu") -> Any:
    """The control model in a folder or file, as a `kinds.MapMaker` with `kind` and `model`."""
    path = Path(path)
    if kind := control_kind(path):
        return weighted(kind).load(path, device=device)
    for kind in weighted_kinds():
        if weighted(kind).is_meant(path):
            return weighted(kind).load(path, device=device)  # which says what lacks
    if path.is_file() and ((told := program(path)) or pose.is_other_form(path)):
        raise WeightsError(f"{path} {told or 'is a pose network by its name'}{_fitting(path)}")
    found = (
        f"a model of type {named!r}" if (named := model_type(path)) else "no model" if path.exists() else "not there"
    )
    raise WeightsError(
        f"{path} is {found}; a control model is {', or '.join(weighted(kind).WHAT for kind in weighted_kinds())}"
    )
