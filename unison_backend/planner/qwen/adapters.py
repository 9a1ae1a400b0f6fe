"""LoRA adapters for the planner: what is in one, whether it fits a Qwen2.5-VL, switching it on.

What is unusual: whether adapter and base fit is decided on headers, before either is loaded; peft only warns about
weights that it did not apply, here that is an error.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import UnisonError, WeightsError
from ...plan.tokens import ADDED_TOKENS
from ...weights.fit import seems
from ...weights.folder import LOAD_ERRORS, first_line
from ...weights.small_json import read_json, short_repr
from ...weights.state import load_state_dict
from ...weights.tokenizer_files import TOKENIZER
from .adapter_config import check_adapter_config, without_patterns
from .checkpoint import Folder, untie

if TYPE_CHECKING:
    from torch import Tensor

_PREFIX = "base_model.model."


# Names of before transformers 4.52, which checkpoints and older adapters have, to those in memory.
_RENAMES = ((r"^model\.(?!language_model\.|visual\.)", "model.language_model."), (r"^visual\.", "model.visual."))


_LORA = re.compile(r"^(.+?)\.(lora_(?:embedding_)?[AB]|lora_magnitude_vector|token_adapter)\b")


_WHOLE = re.compile(r"^(.+)\.(weight|bias)$")


_EMBEDDINGS = ("embed_tokens", "lm_head")


# Initialisations that take their part out of the base's own weights (peft, LoraConfig.init_lora_weights).
_CHANGING = ("pissa", "olora", "corda", "loftq", "lora_ga")


@dataclass(frozen=True)
class Adapter:
    """A LoRA folder of peft or LLaMA-Factory.

    tensors: meta, by the names in memory. stored: the same ones' names in the file, which an older transformers wrote.
    """

    folder: Path
    file: Path
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    stored: tuple[str, ...]

    def _of(self, layer: str) -> dict[str, Tensor]:
        """What the file has for the embedding or the head, by the rest of the key."""
        parts = ((key.partition(f"{layer}."), tensor) for key, tensor in self.tensors.items())
        return {rest: tensor for (_, found, rest), tensor in parts if found}

    @property
    def rows(self) -> int | None:
        """Rows of the embedding and head that this was trained with; None where it does not say."""
        axes = {"weight": 0, "base_layer.weight": 0, "lora_embedding_A": 1, "lora_B.weight": 0}
        found = (item for layer in _EMBEDDINGS for item in self._of(layer).items() if item[0] in axes)
        return next((int(tensor.shape[axes[rest]]) for rest, tensor in found), None)

    @property
    def writes_base(self) -> bool:
        """Whether whole matrices go straight into the base (save_embedding_layers), not beside it."""
        saved = _EMBEDDINGS if self.config.get("ensure_weight_tying") else self.config.get("modules_to_save") or ()
        whole = (layer for layer in _EMBEDDINGS if {"weight", "base_layer.weight"} & self._of(layer).keys())
        return any(layer not in saved for layer in whole)

    @property
    def removable(self) -> bool:
        """Whether switching it off gives the base back."""
        initial = str(self.config.get("init_lora_weights")).lower()
        return not (self.writes_base or self.config.get("bias", "none") != "none" or initial.startswith(_CHANGING))

    @property
    def needs_tie(self) -> bool:
        """Whether it was trained for a head that is the embedding, so that untying before it would split the two."""
        indices = self.config.get("trainable_token_indices")
        own_head = isinstance(indices, dict) and "lm_head" in indices
        tied = self.config.get("ensure_weight_tying") or (indices and not own_head)
        return bool(tied) or (self.writes_base and not self._of("lm_head"))

    def trains(self, ids: Collection[int]) -> bool:
        """Whether it brings rows for `ids`, to read and to write."""
        indices = self.config.get("trainable_token_indices") or ()
        if indices:
            lists = indices.values() if isinstance(indices, dict) else [indices]
            return any(set(ids) <= set(some) for some in lists)
        return bool(self._of("embed_tokens")) and (bool(self._of("lm_head")) or self.needs_tie)


def read_adapter(folder: Path) -> Adapter:
    """What is in an adapter folder, from its config and header; WeightsError names what is wrong."""
    path = Path(folder)
    if not path.is_dir():
        raise WeightsError(f"{path} is {'a file' if path.exists() else 'not there'}; give the LoRA's folder")
    config = read_json(path / "adapter_config.json")
    if config.get("peft_type") != "LORA":
        raise WeightsError(
            f"{path} is an adapter of type {short_repr(config.get('peft_type'))}; the planner takes a LoRA"
        )
    check_adapter_config(path / "adapter_config.json", config)
    names = ("adapter_model.safetensors", "adapter_model.bin")
    file = next((path / name for name in names if (path / name).is_file()), None)
    if file is None:
        raise WeightsError(f"{path} has no {names[0]}; download the complete folder")
    stored = {key.removeprefix(_PREFIX): tensor for key, tensor in load_state_dict(file, device="meta").items()}
    if not any(_LORA.match(key) for key in stored):
        raise WeightsError(f"{file} holds no LoRA weights.{seems(stored)}")
    tensors = {in_memory(key): tensor for key, tensor in stored.items()}
    if len(tensors) != len(stored):
        raise WeightsError(f"{file} holds a weight under an older and a newer name; download it again")
    return Adapter(path, file, config, tensors, tuple(stored))


def in_memory(key: str) -> str:
    """A checkpoint's name of a weight as transformers has had it in memory since 4.52."""
    for old, new in _RENAMES:
        key = re.sub(old, new, key)
    return key


def check_fit(adapter: Adapter, base: Folder, ids: Mapping[str, int], tokens: int) -> None:
    """Raise WeightsError that says why `adapter` cannot go onto `base`: layers, widths, token ids, rows.

    ids: of the 14 tokens in the tokenizer that will be used. tokens: how many that has in all.
    """
    shapes = {in_memory(key): tuple(tensor.shape) for key, tensor in base.tensors.items()}
    width = base.embedding.shape[1]
    rows = adapter.rows or max(base.embedding.shape[0], tokens)
    shapes |= {"lm_head.weight": (rows, width), "model.language_model.embed_tokens.weight": (rows, width)}
    for key, tensor in adapter.tensors.items():
        _check_layer(f"{adapter.folder} does not fit {base.path}: {key}", key, tuple(tensor.shape), shapes)
    _check_ids(adapter, ids)
    if rows < tokens or rows <= max(ids.values()):
        raise WeightsError(
            f"{adapter.folder} was trained with {rows} embedding rows, but the tokenizer of {base.path} has {tokens} "
            f"tokens, up to id {max(ids.values())}; use the base that the LoRA was trained on"
        )


def _check_layer(what: str, key: str, shape: tuple[int, ...], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """`shape` of the adapter's `key` against the base's weight in that place."""
    lora, whole = _LORA.match(key), _WHOLE.match(key.replace(".base_layer.", "."))
    layer, kind = (lora[1], lora[2]) if lora else (whole[1], whole[2]) if whole else (key, "weight")
    place = f"{layer}.{kind if kind == 'bias' else 'weight'}"
    if place not in shapes:
        raise WeightsError(f"{what} has no counterpart there, so it is for another architecture")
    weight = shapes[place]
    fits = {
        "lora_A": shape[1:] == weight[1:],
        "lora_B": shape[:1] == weight[:1],
        "lora_embedding_A": shape[1:] == weight[:1],
        "lora_embedding_B": shape[:1] == weight[1:],
        "lora_magnitude_vector": shape[:1] in (weight[:1], weight[1:]),
        "token_adapter": shape[1:] == weight[1:],
    }
    if not fits.get(kind, shape == weight):
        raise WeightsError(f"{what} is {list(shape)}, the base's weight there is {list(weight)}")


def _check_ids(adapter: Adapter, ids: Mapping[str, int]) -> None:
    """The tokens have the ids that the adapter was trained with: its own tokenizer's, else the canonical order."""
    own = added_ids(adapter.folder)
    if not own.keys() >= ids.keys():
        own = {token: min(ids.values()) + number for number, token in enumerate(ADDED_TOKENS)}
    for token in ADDED_TOKENS:
        if own[token] != ids[token]:
            raise WeightsError(
                f"{adapter.folder} expects {token} to be token {own[token]}, the base's tokenizer has it as "
                f"{ids[token]}; use the base and tokenizer that the LoRA was trained with"
            )


def added_ids(folder: Path) -> dict[str, int]:
    """The added tokens of the tokenizer files in a folder, if it has any, without building the tokenizer."""
    if (folder / TOKENIZER).is_file():
        listed = read_json(folder / TOKENIZER).get("added_tokens") or []
        if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
            raise WeightsError(f"{folder / TOKENIZER} has no list of added tokens; download it again")
        found = {entry.get("content"): entry.get("id") for entry in listed}
    elif (folder / "added_tokens.json").is_file():
        found = dict(read_json(folder / "added_tokens.json"))
    else:
        return {}
    if any(not isinstance(token, str) or not isinstance(number, int) for token, number in found.items()):
        raise WeightsError(f"{folder} has an added token without a text or a number; download its tokenizer again")
    return found  # type: ignore[return-value]


def attach(model: Any, adapter: Adapter) -> Any:
    """`model` inside a PeftModel with the adapter on; WeightsError when a single weight of it was not applied."""
    from peft import PeftConfig, PeftModel, set_peft_model_state_dict

    state = load_state_dict(adapter.file, prefixes=(_PREFIX,))
    state = {_PREFIX + in_memory(key): tensor for key, tensor in state.items()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on tying and on weights left out, both of which are looked at here
            config = PeftConfig.from_pretrained(str(adapter.folder))
            config.inference_mode = True
            config.megatron_config = None  # with it, peft imports a module that the file names
            if tuple(adapter.tensors) != adapter.stored:
                config.target_modules = sorted({match[1] for key in adapter.tensors if (match := _LORA.match(key))})
            without_patterns(config, adapter.folder, adapter.tensors, adapter.stored)
            wrapped = PeftModel(model, config)
            result: Any = set_peft_model_state_dict(wrapped, state)
    except UnisonError:
        raise
    except LOAD_ERRORS as error:
        raise WeightsError(f"{adapter.folder} cannot be put onto the planner: {first_line(error)}") from error
    absent = [key for key in result.missing_keys if "lora_" in key or ".modules_to_save." in key]
    if left := [*result.unexpected_keys, *absent]:
        raise WeightsError(f"{adapter.folder}: {len(left)} LoRA weights were not applied, such as {left[0]}")
    if adapter.writes_base and adapter.needs_tie:
        untie(model)
    return wrapped
