"""Published files made of transformers' models, by the tables read backwards; only names and order come from them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from unison_backend.weights import original

TABLES = Path(original.__file__).parent / "layouts"


def published(hub: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of a folder under their published names."""
    table = json.loads((TABLES / f"{name}.json").read_text(encoding="utf-8"))
    left, made = dict(hub), {}
    for twin in table.get("copy", {}):
        left.pop(twin)
    for target, keys in table.get("join", {}).items():
        parts = left.pop(target).chunk(len(keys))
        made |= {key: part.clone() for key, part in zip(keys, parts, strict=True)}
    for key, targets in table.get("split", {}).items():
        for first in [held for held in left if _pattern(targets[0]).fullmatch(held)]:
            groups = _pattern(targets[0]).fullmatch(first).groupdict()  # type: ignore[union-attr]
            parts = [left.pop(_filled(target, groups)) for target in targets]
            made[_filled(key, groups)] = torch.cat(parts)
    for key, target in table["rename"].items():
        for held in [held for held in left if _pattern(target).fullmatch(held)]:
            made[_filled(key, _pattern(target).fullmatch(held).groupdict())] = left.pop(held)  # type: ignore[union-attr]
    assert not left, sorted(left)[:5]
    return made


def _pattern(name: str) -> re.Pattern[str]:
    return original._pattern(name)


def _filled(name: str, groups: Mapping[str, str]) -> str:
    return original._template(name).format(**groups)
