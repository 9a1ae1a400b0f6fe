"""An adapter's configuration, held against its weights: types, ranks, and patterns, none of which is ever run.

peft runs target_modules, exclude_modules, layers_pattern, rank_pattern, alpha_pattern and modules_to_save as regular
expressions, and one of a few letters can keep it busy for ever. The weights themselves say which modules have which
rank, so that they are put in the patterns' place; alpha_pattern, which no weight shows, is compared literally.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import WeightsError
from ...weights.small_json import short_repr

if TYPE_CHECKING:
    from torch import Tensor

_NAME = re.compile(r"[\w.-]{1,300}")
_PISSA = re.compile(r"pissa_niter_[0-9]{1,2}")
_LORA_A = re.compile(r"(.+?)\.lora_(?:embedding_)?A\b")
MAX_RANK = 65536
MAX_ALPHA = 1e6

# What a field may be besides absent or null, and how messages call it.
_LISTS = ("modules_to_save",)
_NUMBERS = {"r": (1, MAX_RANK), "lora_alpha": (0, MAX_ALPHA), "lora_dropout": (0, 1)}
# Fields that make layers or run steps of their own, which no planning LoRA has.
_REFUSED = ("layer_replication", "auto_map", "arrow_config", "monteclora_config", "velora_config", "use_bdlora")


def check_adapter_config(path: Path, config: Mapping[str, Any]) -> None:
    """WeightsError for a field of an adapter_config.json (at `path`) that is of another type or beyond its limits."""
    for name, allowed in (*_odd_numbers(config), *_odd_others(config)):
        raise WeightsError(f"{path}: {name} is {short_repr(config[name])}; it is {allowed}. Download it again")


def _odd_numbers(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Numbers that are none or too large: the field, and what it is."""
    for name, (low, high) in _NUMBERS.items():
        value = config.get(name)
        if value is not None and not (_is_number(value) and low <= value <= high):
            yield name, f"a number from {low} to {high:g}"
    for name, like in (("rank_pattern", "r"), ("alpha_pattern", "lora_alpha")):
        if not _are_numbers(config.get(name), _NUMBERS[like][1]):
            yield name, "an object of numbers by module"


def _odd_others(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The same of lists, words and what is not taken."""
    for name in _LISTS:
        if config.get(name) is not None and not _are_names(config[name]):
            yield name, "a list of module names"
    if not _are_token_indices(config.get("trainable_token_indices")):
        yield "trainable_token_indices", "a list of token ids, or such lists by module"
    initial = config.get("init_lora_weights")
    if isinstance(initial, str) and initial.startswith("pissa_niter_") and not _PISSA.fullmatch(initial):
        yield "init_lora_weights", "pissa_niter_ and at most 99"
    for name in _REFUSED:
        if config.get(name):
            yield name, "not taken here"


def _are_numbers(value: object, high: float) -> bool:
    """Whether a value is absent or an object of numbers from 0 to `high`."""
    return value is None or (
        isinstance(value, dict) and all(_is_number(number) and 0 <= number <= high for number in value.values())
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and _NAME.fullmatch(name) for name in value)


def _are_token_indices(value: object) -> bool:
    if isinstance(value, dict):
        return _are_names(list(value)) and all(isinstance(v, list) and _are_token_indices(v) for v in value.values())
    return value is None or (
        isinstance(value, list) and all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in value)
    )


def without_patterns(settings: Any, folder: Path, tensors: Mapping[str, Tensor], stored: Iterable[str]) -> None:
    """Put plain names in the place of every pattern in peft's `settings`, by the adapter's own weights.

    tensors: by the names in memory. stored: the same names as the file has them. Raises WeightsError for ranks that
    the settings do not speak of, and for an alpha_pattern that is more than names.
    """
    named = [(match[1], tensor.shape[0]) for key, tensor in tensors.items() if (match := _LORA_A.match(key))]
    ranks = {module: int(rank) for module, rank in named}
    if _has_patterns(settings):
        settings.target_modules = set(ranks)
        settings.exclude_modules = settings.layers_pattern = settings.layers_to_transform = None
    _check_ranks(settings, folder, ranks)
    settings.rank_pattern = {re.escape(module): rank for module, rank in ranks.items() if rank != settings.r}
    older = {new: old for (new, old) in zip(tensors, stored, strict=True)}
    aliases = {module: {module} for module in ranks}
    for key, old in older.items():
        if (match := _LORA_A.match(key)) and (old_match := _LORA_A.match(old)):
            aliases[match[1]].add(old_match[1])
    settings.alpha_pattern = _literal_alphas(folder, settings.alpha_pattern or {}, aliases)


def _has_patterns(settings: Any) -> bool:
    """Whether anything that says where the LoRA goes is more than names."""
    given = [getattr(settings, name, None) for name in ("target_modules", "exclude_modules", "layers_pattern")]
    return any(isinstance(value, str) or not all(_NAME.fullmatch(str(name)) for name in value or ()) for value in given)


def _check_ranks(settings: Any, folder: Path, ranks: Mapping[str, int]) -> None:
    said = {settings.r, *(settings.rank_pattern or {}).values()}
    for module, rank in ranks.items():
        if rank not in said:
            raise WeightsError(
                f"{folder / 'adapter_config.json'} speaks of rank {settings.r}, but {module} has {rank} in the "
                "weights; download both files again"
            )


def _literal_alphas(
    folder: Path, pattern: Mapping[str, float], aliases: Mapping[str, Collection[str]]
) -> dict[str, float]:
    """`alpha_pattern` by whole names. A name ends where a module's does, as peft has it; the first one counts."""
    found: dict[str, float] = {}
    for key, alpha in pattern.items():
        name = key.removeprefix("^").removesuffix("$").replace("\\.", ".")
        if not _NAME.fullmatch(name):
            raise WeightsError(
                f"{folder / 'adapter_config.json'}: alpha_pattern has {short_repr(key)}, a pattern, which is not run; "
                "write the names of modules"
            )
        for module, names in aliases.items():
            if any(known == name or known.endswith(f".{name}") for known in names):
                found.setdefault(re.escape(module), alpha)
    return found
