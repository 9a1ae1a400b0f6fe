"""Wan2.2's two experts: one model for the first, noisy steps and one for the rest. Told apart by names alone.

Each is a whole Wan VACE by its keys and shapes, so a run with one of them would go through and make a wrong picture.
Forms: a diffusers pipeline with `transformer` (high noise) and `transformer_2` (low noise), Wan's own download with
`high_noise_model` and `low_noise_model`, and two files whose names differ in high and low.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError, WeightsError
from .small_json import read_json, short_repr

BOUNDARY = 0.875
"""The share of the training timesteps above which the high noise expert works: Wan2.2 A14B's, Fun-VACE's."""
HIGH, LOW = "high", "low"

_SUFFIXES = (".safetensors", ".gguf")
_PIPELINE = "model_index.json"
_SECOND = "transformer_2"  # diffusers' name of the expert for low noise
_COMPONENTS = ("transformer", _SECOND)
_ORIGINAL = ("high_noise_model", "low_noise_model")  # Wan's own download
_NOISE = re.compile(r"(?<![a-z0-9])(high|low)(?=[ _-]?noise(?![a-z]))", re.IGNORECASE)
_SIDE = re.compile(r"(?<![a-z0-9])(high|low)(?![a-z0-9])", re.IGNORECASE)
_WAN_2_2 = re.compile(r"wan[ _.-]?2[ _.-]2|(?<![a-z0-9])a14b(?![a-z0-9])", re.IGNORECASE)
_FOLDER = re.compile(r"(?<![a-z0-9])(high|low)(?=[ _-]?noise(?![a-z])|$)", re.IGNORECASE)
_OTHER = {"high": "low", "low": "high"}
CURE = (
    "of which one alone makes wrong pictures. The command line runs both: put the other half beside it under the same "
    "name but for high and low, or name it with --vace-low. In ComfyUI the template Two Experts has both, one after "
    "the other, each with a KSampler (Advanced), behind VACE Conditioning. A whole model that is only called so takes "
    "another name"
)


class Pair(NamedTuple):
    """Both experts, files or folders, and the share of the training timesteps at which they change (None: not said)."""

    high: Path
    low: Path
    boundary: float | None = None


def side_of(name: str) -> str:
    """Which of two experts a file's name says that it is for ("high", "low"), or "" where it says nothing."""
    found = _NOISE.search(name) or (_SIDE.search(name) if _WAN_2_2.search(name) else None)
    return found[1].lower() if found else ""


def is_expert(name: str) -> bool:
    """Whether a file's name says that it is one of two experts ("wan2.2_fun_vace_high_noise_14B_fp8_scaled")."""
    return bool(side_of(name))


def pair_of(path: Path) -> Pair | None:
    """Both experts where `path` is a folder of both, or one of two that lie together; None for any other.

    Raises WeightsError for a pipeline whose boundary is none.
    """
    if path.is_dir():
        if found := _both(path) or (_both(path.parent) if path.name in (*_COMPONENTS, *_ORIGINAL) else None):
            return found
        files = [file for file in _weights(path) if side_of(file.name) == HIGH]
        pairs = [found for file in files if (found := pair_of(file))]
        return pairs[0] if len(pairs) == 1 else None
    if path.parent.name in (*_COMPONENTS, *_ORIGINAL) and (found := _both(path.parent.parent)):
        return found
    side, other = side_of(path.name), _other_half(path)
    if not side or other is None:
        return None
    return Pair(path, other) if side == HIGH else Pair(other, path)


def _weights(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.iterdir()) if file.suffix.lower() in _SUFFIXES]


def _other_half(path: Path) -> Path | None:
    """The file that is called like `path` but for high and low, beside it or in a folder called so."""
    pattern = _NOISE if _NOISE.search(path.name) else _SIDE
    name, folder = pattern.sub(_swapped, path.name), path.parent
    places = [folder]
    if _FOLDER.search(folder.name):
        places.append(folder.with_name(_FOLDER.sub(_swapped, folder.name)))
    return next((place / name for place in places if name != path.name and (place / name).is_file()), None)


def _swapped(found: re.Match[str]) -> str:
    """high for low and low for high, in the same case."""
    given = found[1]
    other = _OTHER[given.lower()]
    return other.upper() if given.isupper() else other.capitalize() if given[0].isupper() else other


def refusal(path: Path) -> str:
    """Why a transformer's file or folder is not run by itself: it is one expert, or both; "" for any other."""
    if path.is_dir():
        both = _is_two(path) or (path.name in _COMPONENTS and _is_two(path.parent))
        one = path.name in _ORIGINAL or any(is_expert(file.name) for file in _weights(path))
    else:
        both = path.parent.name in _COMPONENTS and _is_two(path.parent.parent)
        one = is_expert(path.name) or path.parent.name in _ORIGINAL
    if both:
        return f"{path} belongs to a model of two experts (Wan2.2), {CURE}"
    return f"{path} is one of two experts by its name (Wan2.2 high noise and low noise), {CURE}" if one else ""


def refuse_expert(path: Path) -> None:
    """Raise WeightsError for what `refusal` names."""
    if told := refusal(path):
        raise WeightsError(told)


def check_sides(high: Path, low: Path) -> None:
    """Raise InputError where two that were named one by one are the same, are both in one, or stand the wrong way."""
    for option, path in (("--vace", high), ("--vace-low", low)):
        if path.is_dir() and _both(path):
            raise InputError(f"{option} {path} holds both experts: leave --vace-low away, or name the two one by one")
    if high.resolve() == low.resolve():
        raise InputError(f"--vace and --vace-low are both {low}; the second is the low noise expert")
    if side_of(high.name) == LOW or side_of(low.name) == HIGH:
        raise InputError(
            f"--vace {high.name} and --vace-low {low.name}: by their names they stand the wrong way; "
            "--vace is the high noise expert, --vace-low the low noise one"
        )


def pairs_in(files: Iterable[Path]) -> Iterator[Pair]:
    """The pairs of VACE experts among weights files of a models folder, each once."""
    for file in vace_experts(files):
        if side_of(file.name) == HIGH and (found := pair_of(file)):
            yield found


def vace_experts(files: Iterable[Path]) -> list[Path]:
    """The VACE experts among weights files of a models folder, by their names."""
    return [file for file in files if "vace" in file.name.lower() and is_expert(file.name)]


def _both(folder: Path) -> Pair | None:
    """The experts of a pipeline that has both: as diffusers has it, or as Wan published it."""
    for names in (_COMPONENTS, _ORIGINAL):
        high, low = (folder / name for name in names)
        if high.is_dir() and low.is_dir():
            return Pair(high, low, _boundary(folder))
    return None


def _boundary(folder: Path) -> float | None:
    """What a pipeline's `model_index.json` says; None where there is none, or it says nothing."""
    file = folder / _PIPELINE
    value = read_json(file).get("boundary_ratio") if file.is_file() else None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
        raise WeightsError(f"{file}: boundary_ratio is {short_repr(value)}; it is above 0 and below 1")
    return float(value)


def _is_two(folder: Path) -> bool:
    """Whether a folder is a pipeline of two experts, or says that it is."""
    if any((folder / name).is_dir() for name in (_SECOND, *_ORIGINAL)):
        return True
    try:
        named = read_json(folder / _PIPELINE).get(_SECOND)
    except WeightsError:
        return False
    # a pipeline of one model writes [null, null]
    return isinstance(named, list) and any(part is not None for part in named)
