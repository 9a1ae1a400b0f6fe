"""Which annotators lie in a models folder, by names and config files alone: no weight is read, no torch imported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, cast

from ..errors import UnisonError
from ..plan.controls import weighted_kinds
from ..weights.find import files_below
from ..weights.needs import ANNOTATOR_NEEDS
from ..weights.roots import roots
from . import detector, segmenter
from .maps.kinds import weighted


class _Annotator(Protocol):
    """A file about one kind of annotator."""

    def find(self, files: Sequence[Path]) -> Iterator[Path]:
        """The models of the kind among files of a models folder, the best first."""

    def check(self, path: Path) -> None:
        """Raise WeightsError unless the model's files are whole, by small files and weight headers."""


def _annotator(key: str) -> _Annotator:
    """The file about what `Need.key` names."""
    if key in weighted_kinds():
        return weighted(key)
    return cast(_Annotator, {"detector": detector, "segmenter": segmenter}[key])


def find_annotators(models: Path) -> dict[str, Path]:
    """The first of each kind in a models folder as ComfyUI's, by `Need.key`; a kind that is not there has no entry.

    detector, segmenter (one that follows videos goes before one for pictures) and depth are folders, flow is a file,
    pose is the folder that holds both of its folders.
    """
    found = {}
    for need in ANNOTATOR_NEEDS:
        files = [file for root in roots(models, need.folders) for file in sorted(files_below(root))]
        if (path := next(_annotator(need.key).find(files), None)) is not None:
            found[need.key] = path
    return found


def damage(key: str, path: Path) -> str:
    """What is wrong with the files of a found annotator (small files and weight headers; takes torch), or ""."""
    try:
        _annotator(key).check(path)
    except UnisonError as error:
        return str(error)
    return ""
