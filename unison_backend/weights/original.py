"""Weights as a model's authors published them, renamed to those of its folder on the hub.

The tables lie in `layouts/<name>.json`, each key once: `rename` (from, to), `split` (one tensor into equal parts),
`join` (several into one), `copy` (a result under a second name) and `drop` (what the library computes itself). In a
name `{n}` is a number and a trailing `*` the rest; `marks` are keys that only this kind of file has. The target is the
hub's naming and not that of one transformers: `from_pretrained` goes on from there by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UnisonError, WeightsError
from ..memory import memory_errors
from .fit import seems
from .folder import LOAD_ERRORS, first_line
from .small_json import read_json
from .state import load_state_dict

if TYPE_CHECKING:
    from torch import Tensor

SAM2, DEPTH_ANYTHING, GROUNDING_DINO = "sam2", "depth_anything", "grounding_dino"

_NUMBER = re.compile(r"\\\{(\w+)\\\}")


@dataclass(frozen=True)
class Layout:
    """A table, compiled: what each key becomes (nothing for one that is dropped)."""

    role: str
    prefixes: tuple[str, ...]
    marks: tuple[str, ...]
    rows: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]
    join: Mapping[str, Sequence[str]]
    copy: Mapping[str, str]

    def targets(self, key: str) -> tuple[str, ...] | None:
        """The names that a tensor gets, in equal parts of it; None where the table does not know the key."""
        for pattern, templates in self.rows:
            if found := pattern.fullmatch(key):
                return tuple(template.format(**found.groupdict()) for template in templates)
        return None


@cache
def layout(name: str) -> Layout:
    """The table of a kind of file."""
    table = read_json(Path(__file__).parent / "layouts" / f"{name}.json")
    named = {key: (target,) for key, target in table["rename"].items()}
    rows = named | table.get("split", {}) | dict.fromkeys(table.get("drop", ()), ())
    return Layout(
        table["role"],
        tuple(table["prefixes"]),
        tuple(table["marks"]),
        tuple((_pattern(key), tuple(map(_template, targets))) for key, targets in rows.items()),
        table.get("join", {}),
        table.get("copy", {}),
    )


def _pattern(key: str) -> re.Pattern[str]:
    stem, rest = (key[:-1], r"(?P<rest>.+)") if key.endswith("*") else (key, "")
    return re.compile(_NUMBER.sub(r"(?P<\1>\\d+)", re.escape(stem)) + rest)


def _template(name: str) -> str:
    return f"{name[:-1]}{{rest}}" if name.endswith("*") else name


def read_original(file: Path, name: str, *, device: str = "cpu") -> dict[str, Tensor]:
    """The tensors of a published file by their published keys; WeightsError for a file of another kind.

    device: "meta" reads shapes only.
    """
    table = layout(name)
    state = load_state_dict(file, prefixes=table.prefixes, device=device)
    if not all(mark in state for mark in table.marks):
        raise WeightsError(f"{file} is no {table.role} as its authors published it.{seems(state)}")
    return state


def to_hub(state: Mapping[str, Tensor], name: str, file: Path) -> dict[str, Tensor]:
    """The same tensors (nothing copied but what is joined) under the hub's names.

    Raises WeightsError for a key that the table does not know, and for one that is missing of those that are joined.
    """
    import torch

    table = layout(name)
    parts = {key: target for target, keys in table.join.items() for key in keys}
    made: dict[str, Tensor] = {}
    for key, tensor in state.items():
        if key in parts:
            continue
        targets = table.targets(key)
        if targets is None:
            raise WeightsError(f"{file} holds {key}, which no {table.role} has; get the file again, or its folder")
        pieces = tensor.chunk(len(targets)) if len(targets) > 1 else (tensor,)
        made |= dict(zip(targets, pieces, strict=bool(targets) and len(pieces) == len(targets)))
    for target, keys in table.join.items():
        if absent := [key for key in keys if key not in state]:
            raise WeightsError(f"{file} lacks {absent[0]}; get the file again")
        made[target] = torch.cat([state[key] for key in keys])
    return made | {twin: made[source] for twin, source in table.copy.items() if source in made}


def fill(kind: Any, config: Any, state: Mapping[str, Tensor], file: Path, *, dtype: str, computed: Iterable[str] = (),
         **options: Any) -> Any:  # fmt: skip
    """A model of transformers' class `kind` with exactly these weights, in eval mode and without gradients.

    config: that class's configuration. computed: parts of names that the class computes itself where they are missing.
    Raises WeightsError that names the first key that is missing, too many or of another shape.
    """
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    wanted = getattr(torch, dtype)
    try:
        with memory_errors(f"loading {file}", "close other programs"):
            # mismatches are refused below, by name: the library's own error only points at its log
            options |= {"output_loading_info": True, "ignore_mismatched_sizes": True}
            model, info = kind.from_pretrained(None, config=config, state_dict=dict(state), dtype=wanted, **options)
    except UnisonError:
        raise
    except LOAD_ERRORS as error:
        raise WeightsError(f"{file} cannot be loaded as a {kind.__name__}: {first_line(error)}") from error
    misshapen = [key if isinstance(key, str) else key[0] for key in info["mismatched_keys"]]
    missing = [key for key in info["missing_keys"] if not any(part in key for part in computed)]
    found = {"missing": missing, "too many": info["unexpected_keys"], "of another shape": misshapen}
    if wrong := [f"{len(keys)} {how} ({sorted(map(str, keys))[0]})" for how, keys in found.items() if keys]:
        raise WeightsError(f"{file} does not fit a {kind.__name__}: {'; '.join(wrong)}; get the file again")
    return model.eval().requires_grad_(False)
