"""LoRA adapters for the planner: what is in one, whether it fits a Qwen2.5-VL, switching it on, merging it in.

What is unusual: whether adapter and base fit is decided on headers, before either is loaded; peft only warns about
weights that it did not apply, here that is an error; a merged folder keeps the base's own small files, changed only
where they must be, so that whatever reads the base reads the result; and it appears only once it was read back.
"""

from __future__ import annotations

import gc
import json
import re
import secrets
import shutil
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, ResourceError, UnisonError, WeightsError
from ..plan import ADDED_TOKENS
from ..progress import Progress, silent
from ..weights import load_state_dict, seems
from .loading import DTYPES, LOAD_ERRORS, Folder, Qwen, load_qwen, read_folder, read_json, untie

if TYPE_CHECKING:
    from torch import Tensor

_PREFIX = "base_model.model."
_STAGE = "merging"
_SMALL = (".json", ".jinja", ".txt")
_TOKEN_FILES = ("tokenizer.json", "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json")
# Names of before transformers 4.52, which checkpoints and older adapters have, to those in memory.
_RENAMES = ((r"^model\.(?!language_model\.|visual\.)", "model.language_model."), (r"^visual\.", "model.visual."))
_LORA = re.compile(r"^(.+?)\.(lora_(?:embedding_)?[AB]|lora_magnitude_vector|token_adapter)\b")
_WHOLE = re.compile(r"^(.+)\.(weight|bias)$")
_EMBEDDINGS = ("embed_tokens", "lm_head")
# Initialisations that take their part out of the base's own weights (peft, LoraConfig.init_lora_weights).
_CHANGING = ("pissa", "olora", "corda", "loftq", "lora_ga")

PROBE = "Make a 4 second video of a red fox that runs through the snow."
# Largest difference of logits, in units of the largest logit (at least 1). bf16: measured 1.5e-2 on a small model.
TOLERANCES = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 2e-2}


@dataclass(frozen=True)
class Adapter:
    """A LoRA folder of peft or LLaMA-Factory. tensors: meta, by the names in memory. renamed: the file's are older."""

    folder: Path
    file: Path
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    renamed: bool

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
        tied = self.config.get("ensure_weight_tying") or self.config.get("trainable_token_indices")
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
        raise WeightsError(f"{path} is an adapter of type {config.get('peft_type')!r}; the planner takes a LoRA")
    names = ("adapter_model.safetensors", "adapter_model.bin")
    file = next((path / name for name in names if (path / name).is_file()), None)
    if file is None:
        raise WeightsError(f"{path} has no {names[0]}; download the complete folder")
    stored = {key.removeprefix(_PREFIX): tensor for key, tensor in load_state_dict(file, device="meta").items()}
    if not any(_LORA.match(key) for key in stored):
        raise WeightsError(f"{file} holds no LoRA weights.{seems(stored)}")
    tensors = {_in_memory(key): tensor for key, tensor in stored.items()}
    return Adapter(path, file, config, tensors, renamed=tensors.keys() != stored.keys())


def _in_memory(key: str) -> str:
    for old, new in _RENAMES:
        key = re.sub(old, new, key)
    return key


def check_fit(adapter: Adapter, base: Folder, ids: Mapping[str, int], tokens: int) -> None:
    """Raise WeightsError that says why `adapter` cannot go onto `base`: layers, widths, token ids, rows.

    ids: of the 14 tokens in the tokenizer that will be used. tokens: how many that has in all.
    """
    shapes = {_in_memory(key): tuple(tensor.shape) for key, tensor in base.tensors.items()}
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
    own = _added_ids(adapter.folder)
    if not own.keys() >= ids.keys():
        own = {token: min(ids.values()) + number for number, token in enumerate(ADDED_TOKENS)}
    for token in ADDED_TOKENS:
        if own[token] != ids[token]:
            raise WeightsError(
                f"{adapter.folder} expects {token} to be token {own[token]}, the base's tokenizer has it as "
                f"{ids[token]}; use the base and tokenizer that the LoRA was trained with"
            )


def _added_ids(folder: Path) -> dict[str, int]:
    """The added tokens of the tokenizer files in a folder, if it has any, without building the tokenizer."""
    if (folder / "tokenizer.json").is_file():
        return {entry["content"]: entry["id"] for entry in read_json(folder / "tokenizer.json").get("added_tokens", ())}
    if (folder / "added_tokens.json").is_file():
        return read_json(folder / "added_tokens.json")
    return {}


def attach(model: Any, adapter: Adapter) -> Any:
    """`model` inside a PeftModel with the adapter on; WeightsError when a single weight of it was not applied."""
    from peft import PeftConfig, PeftModel, set_peft_model_state_dict

    state = load_state_dict(adapter.file, prefixes=(_PREFIX,))
    state = {_PREFIX + _in_memory(key): tensor for key, tensor in state.items()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on tying and on weights left out, both of which are looked at here
            config = PeftConfig.from_pretrained(str(adapter.folder))
            config.inference_mode = True
            config.megatron_config = None  # with it, peft imports a module that the file names
            if adapter.renamed:
                config.target_modules = sorted({match[1] for key in adapter.tensors if (match := _LORA.match(key))})
            wrapped = PeftModel(model, config)
            result: Any = set_peft_model_state_dict(wrapped, state)
    except LOAD_ERRORS as error:
        raise WeightsError(f"{adapter.folder} cannot be put onto the planner: {error}") from error
    absent = [key for key in result.missing_keys if "lora_" in key or ".modules_to_save." in key]
    if left := [*result.unexpected_keys, *absent]:
        raise WeightsError(f"{adapter.folder}: {len(left)} LoRA weights were not applied, such as {left[0]}")
    if adapter.writes_base and adapter.needs_tie:
        untie(model)
    return wrapped


def merge(base: Path, lora: Path, out: Path, *, dtype: str = "auto", progress: Progress = silent) -> None:
    """Write the Qwen2.5-VL folder `out`: `base` with the LoRA in `lora` added to its weights, for good.

    Safetensors shards, head untied, the plan's tokens in the tokenizer when the LoRA brings rows for them (else the
    result must not pass for a planner), all other small files as in `base`. The result is read back and its logits
    are compared with the adapter's before it gets its name; whatever fails, nothing is left behind.
    Raises InputError for `out`, WeightsError as `load_qwen` and for a result that differs, ResourceError (disk).
    """
    base, out = Path(base), Path(out)
    _check_out(base, out)
    progress(_STAGE, 0, 4)
    qwen = load_qwen(base, lora, dtype=dtype, attention="sdpa")
    temporary = out.with_name(f".{out.name}-{secrets.token_hex(4)}")
    try:
        expected = _probe(qwen)
        progress(_STAGE, 1, 4)
        _write(qwen, base, temporary)
        progress(_STAGE, 2, 4)
        _verify(temporary, qwen, expected)
        progress(_STAGE, 3, 4)
        gc.collect()  # Windows does not rename a folder whose files are mapped
        if out.is_dir():
            out.rmdir()
        temporary.rename(out)
    except OSError as error:
        raise ResourceError(f"{out} cannot be written ({error}); make room or choose another folder") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    progress(_STAGE, 4, 4)


def _check_out(base: Path, out: Path) -> None:
    if out.resolve() == base.resolve():
        raise InputError(f"{out} is the base itself; choose a new folder")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise InputError(f"{out} exists already; choose a new or empty folder")


def _probe(qwen: Qwen) -> Tensor:
    """Logits [1, S, rows] of a fixed text and the 14 tokens, fp32 on the CPU."""
    import torch

    ids = [*qwen.tokenizer(PROBE, add_special_tokens=False).input_ids, *qwen.token_ids.values()]
    with torch.no_grad():
        logits: Tensor = qwen.base(input_ids=torch.tensor([ids])).logits.float()
    return logits


def _write(qwen: Qwen, base: Path, folder: Path) -> None:
    """The merged folder; `qwen` holds the merged model afterwards."""
    from safetensors import SafetensorError
    from transformers import GenerationConfig

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on the head, which is untied below
            model = qwen.model.merge_and_unload(safe_merge=True)
    except ValueError as error:  # peft found a NaN
        raise WeightsError(f"the LoRA cannot be merged: {error}") from error
    untie(model)
    qwen.model, qwen.has_adapter = model, False
    size = sum(tensor.numel() * tensor.element_size() for tensor in model.parameters())
    folder.mkdir(parents=True)
    if shutil.disk_usage(folder).free < 1.02 * size:
        raise ResourceError(f"{folder.parent} has no room for the merged planner; free {size / 1e9:.1f} GB")
    model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]  # the base's is copied, valid or not
    try:
        model.save_pretrained(folder, max_shard_size="4GB")
    except SafetensorError as error:
        raise ResourceError(f"{folder.parent}: the merged weights cannot be written ({error})") from error
    _write_small_files(qwen, base, folder)


def _write_small_files(qwen: Qwen, base: Path, folder: Path) -> None:
    """Everything beside the weights as in `base`, but the config's head, rows and dtype, and the added tokens."""
    (folder / "generation_config.json").unlink(missing_ok=True)
    for path in base.iterdir():
        if path.suffix in _SMALL and not path.name.endswith(".index.json"):
            shutil.copyfile(path, folder / path.name)
    config = read_json(base / "config.json")
    rows, dtype = qwen.base.get_input_embeddings().weight.shape[0], str(qwen.base.dtype).removeprefix("torch.")
    values = {"vocab_size": rows, "tie_word_embeddings": False, "dtype": dtype, "torch_dtype": dtype}
    for part in (config, *(part for part in config.values() if isinstance(part, dict))):
        part.update({name: value for name, value in values.items() if name in part})
    _write_json(folder / "config.json", config | {"tie_word_embeddings": False})
    if qwen.has_planning:
        _write_tokens(qwen, folder)


def _write_tokens(qwen: Qwen, folder: Path) -> None:
    """Add the 14 tokens to the tokenizer's files in `folder`, whichever of them there are."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False) | {"special": True}
    entries = [{"id": number, "content": token, **flags} for token, number in qwen.token_ids.items()]
    if not (folder / "tokenizer.json").is_file():
        qwen.tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    for path in (folder / name for name in _TOKEN_FILES if (folder / name).is_file()):
        content = read_json(path)
        if path.name == "added_tokens.json":
            content |= qwen.token_ids
        for name in ("additional_special_tokens", "extra_special_tokens"):
            if isinstance(listed := content.get(name), list):
                listed += [token for token in ADDED_TOKENS if token not in listed]
        if isinstance(listed := content.get("added_tokens"), list):
            listed += [entry for entry in entries if entry["content"] not in {have["content"] for have in listed}]
        if isinstance(known := content.get("added_tokens_decoder"), dict):
            known.update({str(entry["id"]): {k: v for k, v in entry.items() if k != "id"} for entry in entries})
        _write_json(path, content)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_bytes((json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode("utf-8"))


def _verify(folder: Path, merged: Qwen, expected: Tensor) -> None:
    """Read `folder` back: the same weights and token ids as `merged`, and the logits `expected` of base and LoRA."""
    import torch

    name = str(merged.base.dtype).removeprefix("torch.")
    again = load_qwen(folder, dtype=next(short for short, full in DTYPES.items() if full == name), attention="sdpa")
    held = merged.base.state_dict()
    for key, tensor in again.base.state_dict().items():
        if not torch.equal(tensor, held[key]):
            raise WeightsError(f"{folder.parent}: {key} was not written as it was merged; try another disk")
    if again.token_ids != merged.token_ids or again.has_planning != merged.has_planning:
        raise WeightsError(f"{folder.parent}: the merged tokenizer has other ids; use the base's complete folder")
    difference = float((_probe(again) - expected).abs().max())
    limit = TOLERANCES[name] * max(1.0, float(expected.abs().max()))
    if not difference <= limit:
        raise WeightsError(f"merged logits differ from the LoRA's by {difference:.2g} ({name} allows {limit:.2g})")


def check_planner_folder(folder: Path) -> list[str]:
    """Short findings on a planner folder, from its small files and headers: what it is, what it can, what is wrong."""
    try:
        files = read_folder(folder)
        ids = _added_ids(files.path)
    except UnisonError as error:
        return [str(error)]
    text, rows = files.text_config, files.embedding.shape[0]
    size = sum(path.stat().st_size for path in files.files) / 1e9
    count = len(files.files)
    return [
        f"model type {files.config['model_type']}, {text.get('num_hidden_layers')} layers x {files.embedding.shape[1]}",
        f"weights {files.dtype}, {size:.2g} GB in {count} {'file' if count == 1 else 'files'}, complete; {rows} rows",
        f"planning tokens {_tokens_finding(ids, files.tied, rows)}",
        f"head {'tied to the embedding' if files.tied else 'of its own'}",
        f"processor files {_processor_finding(files.path)}",
    ]


def _tokens_finding(ids: Mapping[str, int], tied: bool, rows: int) -> str:
    numbers = [ids[token] for token in ADDED_TOKENS if token in ids]
    if len(numbers) < len(ADDED_TOKENS):
        return "absent: it plans by rules and answers questions" if not numbers else f"{len(numbers)} of 14 only"
    span = f"present, ids {min(numbers)} to {max(numbers)}"
    if max(numbers) >= rows:
        return f"{span}, but the embedding has {rows} rows: untrained"
    return f"{span}, but untrained: the head is tied" if tied else span


def _processor_finding(folder: Path) -> str:
    names = ("preprocessor_config.json", "processor_config.json")
    if not any((folder / name).is_file() for name in names):
        return f"missing ({names[0]}): it plans, but cannot see pictures and videos"
    return "present"
