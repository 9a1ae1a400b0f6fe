"""The files of the kinds of control maps: `<kind>.py` beside this one, for each row of `plan.controls.CONTROLS`.

Every one has `looks_like`. One that takes no weights has `make`; one that does has what `Weighted` lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from ...progress import Cancel, Progress, never, silent

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from .statistics import Pixels

    Device = torch.device | str


class Kind(Protocol):
    """What the file of every kind has."""

    def looks_like(self, frame: Pixels) -> bool:
        """Whether a frame [H, W, 3] (0..1) already is such a map; it leans to no."""


class Free(Kind, Protocol):
    """What the file of a kind has that takes no weights."""

    def make(self, video: Tensor, *, progress: Progress = silent, cancel: Cancel = never) -> Tensor:
        """The map [T, H, W, 3] (float32 0..1, on the CPU) of a video of that shape."""


class MapMaker(Protocol):
    """A loaded model that makes one kind of map."""

    def make_map(self, video: Tensor, progress: Progress = silent, cancel: Cancel = never) -> tuple[Tensor, str]:
        """The map [T, H, W, 3] of a video of that shape (float32 0..1, on the CPU), and what was done in a sentence."""


class Weighted(Kind, Protocol):
    """What the file of a kind has that takes weights. Nothing but `load` and `check` reads a weight.

    WHAT: what its models are, in words.
    """

    WHAT: str

    def is_model(self, path: Path) -> bool:
        """Whether this folder or file is a model of the kind, by its name and config files; never raises."""

    def is_meant(self, path: Path) -> bool:
        """Whether it may be one of which something lacks, so that `load` can say what; never raises."""

    def find(self, files: Sequence[Path]) -> Iterator[Path]:
        """The models of the kind among files of a models folder, the best first."""

    def check(self, path: Path) -> None:
        """Raise WeightsError unless the files are whole, by small files and weight headers."""

    def load(self, path: Path, *, device: Device = "cpu") -> Any:
        """The model as a `MapMaker`; raises WeightsError, UnsupportedError, ResourceError."""


def kind_file(kind: str) -> Kind:
    """The file of a kind."""
    return cast(Kind, import_module(f".{kind}", __package__))


def free(kind: str) -> Free:
    """The file of a kind that takes no weights."""
    return cast(Free, kind_file(kind))


def weighted(kind: str) -> Weighted:
    """The file of a kind that takes weights."""
    return cast(Weighted, kind_file(kind))
