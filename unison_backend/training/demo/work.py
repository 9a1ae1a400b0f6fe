"""Where a training of the embedded set keeps what it makes, and how its files are written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from ...demo.set import DemoSet
from ...weights.state import load_state_dict
from ...weights.write import write_tensors
from ..log import LOG_FILE
from ..schedule import Schedule
from . import vace as demo_vace
from . import vae as demo_vae

AnyPhase = TypeVar("AnyPhase", demo_vae.Phase, demo_vace.Phase)


@dataclass(frozen=True)
class Work:
    """The folders of one training: `set` holds finished files, `states` what is resumed and encoded examples.

    begin: a trained set to go on from; with_vae: its VAE learns on too.
    """

    folder: Path
    device: torch.device
    begin: DemoSet | None = None
    with_vae: bool = False

    @property
    def set(self) -> Path:
        """Where the finished files are."""
        return self.folder / "set"

    def state(self, stage: str) -> Path:
        """Where a stage keeps what it resumes from."""
        return self.folder / "states" / stage

    def logs(self, stage: str) -> list[Path]:
        """The folders with a log of a stage's parts, in the order in which they were trained."""
        files = self.state(stage).rglob(LOG_FILE)
        return [file.parent for file in sorted(files, key=lambda file: file.stat().st_mtime)]


def scaled(schedule: Schedule, share: float) -> Schedule:
    """A share of its steps, one at least."""
    return schedule.of_steps(max(1, round(schedule.steps * share)))


def scaled_phase(phase: AnyPhase, share: float) -> AnyPhase:
    """The same of a phase."""
    return dataclasses.replace(phase, schedule=scaled(phase.schedule, share))


def start_file(work: Work, stage: str, write: Callable[[Path], None]) -> Path:
    """The stage's untrained file, written once."""
    path = work.state(stage) / "start.safetensors"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    return path


def save_original(
    state: Mapping[str, Tensor], start: Path, out: Path, names: Callable[[Mapping[str, str]], dict[str, str]]
) -> None:
    """A diffusers state under the original names, which are those in the file `start`.

    diffusers' own conversion is run on the names themselves, which gives the way back.
    """
    to_original = names({key: key for key in load_state_dict(start, device="meta")})
    save({to_original[key]: value for key, value in state.items()}, out)


def save(state: Mapping[str, Tensor], path: Path, dtype: torch.dtype = torch.float16) -> None:
    """Floats as `dtype`, the rest as it is, whole or not at all."""
    tensors = {key: value.to(dtype) if value.is_floating_point() else value for key, value in state.items()}
    write_tensors(tensors, path, {"format": "pt"})
