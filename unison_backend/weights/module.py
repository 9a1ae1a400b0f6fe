"""VACE as two files: its blocks alone (a module, as kijai's packs take it) and the Wan text-to-video model under them.

Either is in Wan's own or in diffusers' spelling, fp8 or not. Joined they are a whole VACE, key by key: a module holds
`vace_blocks` and `vace_patch_embedding`, the other everything else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import WeightsError
from .experts import side_of

if TYPE_CHECKING:
    from torch import Tensor

OWN = ("vace_blocks.", "vace_patch_embedding.")
_FIRST = "vace_blocks.0."
_SIZE = re.compile(r"(?<![a-z0-9])a?(\d+)(?:[._-](\d+))?[ _-]?b(?![a-z0-9])", re.IGNORECASE)


def is_module(name: str) -> bool:
    """Whether a file's name says that it holds VACE's blocks alone ("Wan2_1-VACE_module_14B_bf16")."""
    lower = name.lower()
    return "vace" in lower and "module" in lower


def fits_under(name: str, module: str) -> bool:
    """Whether a file is, by its name, the text-to-video model that a module's blocks belong to."""
    lower = name.lower()
    return (
        "t2v" in lower
        and "vace" not in lower
        and "lora" not in lower
        and (_size(name), side_of(name)) == (_size(module), side_of(module))
    )


def _size(name: str) -> tuple[str, str]:
    """The parameters that a name says, in thousand millions: ("1", "3") for 1.3B, ("14", "") for A14B."""
    found = _SIZE.search(name)
    return (found[1], found[2] or "") if found else ("", "")


def joined(module: Mapping[str, Tensor], base: Mapping[str, Tensor], path: Path, under: Path) -> dict[str, Tensor]:
    """The whole model's tensors; all of them by diffusers' names. path, under: their files.

    Raises WeightsError where one of the two is something else, or they are of different models.
    """
    foreign = [key for key in module if not key.startswith(OWN)]
    if any(key.startswith("blocks.0.") for key in foreign):
        raise WeightsError(f"--vace {path} is no module but a whole model: leave --vace-base away")
    if not any(key.startswith(_FIRST) for key in module):
        raise WeightsError(f"--vace {path} holds no VACE blocks; with --vace-base goes a VACE module")
    if foreign:
        raise WeightsError(f"--vace {path} holds {foreign[0]} beside its VACE blocks, which no VACE module has")
    if twice := next((key for key in base if key.startswith(OWN)), None):
        raise WeightsError(f"--vace-base {under} has VACE blocks of its own ({twice}); a Wan text-to-video model fits")
    blocks, below = _width(module, _FIRST), _width(base, "blocks.0.")
    if None not in (blocks, below) and blocks != below:
        raise WeightsError(
            f"--vace {path} is for a model of width {blocks}, --vace-base {under} has {below}: they are of different "
            "sizes (1.3B has 1536, 14B has 5120)"
        )
    sides = side_of(path.name), side_of(under.name)
    if "" not in sides and sides[0] != sides[1]:
        raise WeightsError(f"--vace {path.name} is for {sides[0]} noise, --vace-base {under.name} for {sides[1]} noise")
    return {**base, **module}


def _width(state: Mapping[str, Tensor], block: str) -> int | None:
    norm = state.get(f"{block}attn1.norm_q.weight")
    return None if norm is None else int(norm.shape[0])
