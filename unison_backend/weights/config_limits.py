"""A model's config.json held against its weights' headers, before anything is built from it.

A library builds what a configuration says, whatever the weights hold: a million layers, a table of a trillion rows.
What a configuration can rightly say is bounded by the weights: no more layers than tensors, no width above the widest
side of one. Numbers that no tensor shows (picture sizes, positions) have limits of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import WeightsError
from .small_json import read_json

MAX_SIDE = 4096
"""Pixels a side of what a network looks at, and of windows, patches and feature maps."""
MAX_NUMBER = 2**24
"""Of anything else, such as the base of rotary positions (Qwen2.5: 1,000,000)."""
MAX_PIXELS = 2**25
"""Of one picture in a processor's configuration (Qwen2.5-VL: 12,845,056)."""
MAX_PATCH = 256
MAX_VOCABULARY = 2**16
"""Of a network whose weights have no table that long: BEiT's configuration, ZoeDepth's backbone, names one of 8,192."""

_LAYERS = re.compile(r"(layers?|depths?|blocks?|stages?|experts)$|^num_.*_layers|^depth")
_SIZES = re.compile(r"(size|sizes|dim|dims|channels|features|heads|queries|labels|levels|points|width|height|length)$")
_PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")
_PATCHES = re.compile(r"(patch_size|merge_size|size_divisor|size_divisibility|ensure_multiple_of)$")
_LEAST = ("min_pixels", "shortest_edge")

Shapes = Mapping[str, tuple[int, ...]]


def check_config(path: Path, config: Mapping[str, Any], shapes: Shapes) -> None:
    """WeightsError naming the first number in `config` (read from `path`) that weights of `shapes` cannot have."""
    count = len(shapes)
    widest = max((side for shape in shapes.values() for side in shape), default=0)
    held = f"its weights have {count} tensors, the widest of {widest}"
    for name, values in _numbers(config):
        if _LAYERS.search(name) and (total := sum(abs(value) for value in values)) > count:
            raise WeightsError(f"{path}: {name} is {_short(total)}, but {held}; download it again")
        most = max(widest, _most(name))
        if (value := max(values, key=abs)) and abs(value) > most:
            raise WeightsError(f"{path}: {name} is {_short(value)}, but {held}; download it again")
    _refuse_kernels(path, config)


def check_processor(folder: Path) -> None:
    """WeightsError for picture sizes in a folder's processor files that no memory holds."""
    for file in (folder / name for name in _PROCESSOR_FILES if (folder / name).is_file()):
        for name, values in _numbers(read_json(file)):
            value = max(values, key=abs)
            most = MAX_PATCH if _PATCHES.search(name) else MAX_SIDE**2 // 4 if name in _LEAST else MAX_PIXELS
            if not -most <= value <= most:
                raise WeightsError(f"{file}: {name} is {_short(value)}, at most {most} is possible; download it again")


def _numbers(content: Any, name: str = "") -> Iterator[tuple[str, list[float]]]:
    """Every key with its number or its list's numbers, wherever it stands; what is a truth value counts as none."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _numbers(value, str(key))
        return
    items = content if isinstance(content, list) else [content]
    if numbers := [item for item in items if isinstance(item, (int, float)) and not isinstance(item, bool)]:
        yield name, numbers
    for item in items if isinstance(content, list) else ():
        if isinstance(item, (Mapping, list)):
            yield from _numbers(item, name)


def _most(name: str) -> int:
    """What a number may be, whatever the weights hold."""
    if name == "vocab_size":
        return MAX_VOCABULARY
    return MAX_SIDE if _SIZES.search(name) else MAX_NUMBER


def _short(value: float) -> str:
    """A number in at most a dozen characters."""
    return str(value) if abs(value) < 1e12 else f"{'-' if value < 0 else ''}more than 10^12"


def _refuse_kernels(path: Path, config: Mapping[str, Any]) -> None:
    """transformers fetches and runs an attention that is named like a repository."""
    for name, value in config.items():
        if name.lstrip("_").startswith("attn_implementation") and "/" in str(value):
            raise WeightsError(f"{path} names an attention from elsewhere ({str(value)[:40]!r}), which is refused")
        if isinstance(value, Mapping):
            _refuse_kernels(path, value)
