"""A Qwen2.5-VL folder as its small files and headers describe it; what is wrong is found before a weight is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import WeightsError
from ...weights.config_limits import check_config, check_processor
from ...weights.folder import CONFIG, INDEX, PLANNER_TYPE, refuse_code, weight_files, weight_map
from ...weights.small_json import read_json, short_repr
from ...weights.state import load_state_dict
from ...weights.tokenizer_files import check_tokenizer
from ...weights.wan_layouts import count

if TYPE_CHECKING:
    from torch import Tensor

HEAD = "lm_head.weight"
DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}


_WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Folder:
    """A Qwen2.5-VL folder as its small files and headers describe it. tensors: meta, by the file's own keys.

    small: the folder of the tokenizer, where the model is one file (`path`) and no folder.
    """

    path: Path
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    files: tuple[Path, ...]
    small: Path | None = None

    @property
    def beside(self) -> Path:
        """Where tokenizer and processor lie."""
        return self.small or self.path

    @property
    def text_config(self) -> dict[str, Any]:
        """Where width, layers and rows stand: in a part of its own (transformers 5) or in the config itself."""
        text = self.config.get("text_config")
        return text if isinstance(text, dict) else self.config

    @property
    def tied(self) -> bool:
        """Whether the head is the embedding; one that is stored counts, whatever the config says."""
        return bool(self.config.get("tie_word_embeddings", True)) and HEAD not in self.tensors

    @property
    def embedding(self) -> Tensor:
        """The [rows, width] embedding (meta)."""
        return next(tensor for key, tensor in self.tensors.items() if key.endswith("embed_tokens.weight"))

    @property
    def dtype(self) -> str:
        """What the weights compute in, as torch names it: bfloat16, float16 or float32."""
        return str(self.embedding.dtype).removeprefix("torch.")

    @property
    def stored(self) -> str:
        """The same, or fp8 where linear layers of a file are."""
        from ...weights import fp8
        from ...weights.state import load_state_dict

        held = load_state_dict(self.path, device="meta").values() if self.small else ()
        return "fp8" if any(map(fp8.is_fp8, held)) else self.dtype


def read_folder(folder: Path) -> Folder:
    """What is in a Qwen2.5-VL folder, from its config and its weights' headers; WeightsError names what is wrong."""
    path = Path(folder)
    if not path.is_dir():
        raise WeightsError(f"{path} is {'a file' if path.exists() else 'not there'}; give a Qwen2.5-VL folder")
    if (path / "adapter_config.json").is_file():  # transformers would load it unasked
        cure = "give it as the LoRA" if not (path / CONFIG).is_file() else "move that to a folder of its own"
        raise WeightsError(f"{path} holds a LoRA adapter (adapter_config.json); {cure}")
    config = read_json(path / CONFIG)
    if (kind := config.get("model_type")) != PLANNER_TYPE:
        raise WeightsError(
            f"{path} is a model of type {short_repr(kind)}; the planner is a Qwen2.5-VL ({PLANNER_TYPE!r})"
        )
    if isinstance(way := config.get("quantization_config"), dict):
        kind = short_repr(way.get("quant_method", "an unknown way")).strip("'")
        raise WeightsError(f"{path} is quantised ({kind}); get the bf16 folder, which can be loaded in 4 or 8 bit")
    refuse_code(path)
    files = _files(path)
    tensors = {key: tensor for file in files for key, tensor in load_state_dict(file, device="meta").items()}
    _check_tensors(path, tensors)
    check_config(path / CONFIG, config, {key: tuple(tensor.shape) for key, tensor in tensors.items()})
    check_processor(path)
    check_tokenizer(path)
    found = Folder(path, config, tensors, tuple(files))
    _check_sizes(found)
    return found


def _files(folder: Path) -> list[Path]:
    """The safetensors files; of several every one holds what the index says."""
    if not any((folder / name).is_file() for name in (_WEIGHTS, _WEIGHTS + INDEX)):
        pickled = [path.name for path in (*folder.glob("*.bin"), *folder.glob("*.pt*"))]
        found = f"only {pickled[0]}, which could hold code; get" if pickled else "no"
        raise WeightsError(f"{folder} has {found} {_WEIGHTS} (or {_WEIGHTS}{INDEX} and its parts)")
    files = weight_files(folder)
    if files[0].name != _WEIGHTS:
        names = weight_map(folder / (_WEIGHTS + INDEX))
        held = {key for file in files for key in load_state_dict(file, device="meta")}
        if lost := sorted(set(names) - held):
            raise WeightsError(f"{folder}: {names[lost[0]]} does not hold {lost[0]}; download that file again")
    return files


def _check_tensors(folder: Path, tensors: dict[str, Tensor]) -> None:
    if not any(key.endswith("embed_tokens.weight") for key in tensors):
        raise WeightsError(f"{folder} has no embed_tokens.weight, so its weights are not a language model's")
    for key, tensor in tensors.items():
        if (name := str(tensor.dtype).removeprefix("torch.")) not in DTYPES.values():
            raise WeightsError(f"{folder}: {key} is stored as {name}; get the bf16, fp16 or fp32 folder")


def _check_sizes(files: Folder) -> None:
    """WeightsError for the first size in the config that is not the weights' own."""
    shapes = {_plain(key): tuple(tensor.shape) for key, tensor in files.tensors.items()}
    text, vision = files.text_config, files.config.get("vision_config")
    held = _text_sizes(shapes)
    for config, sizes in ((text, held), (vision if isinstance(vision, dict) else {}, _vision_sizes(shapes))):
        for name, size in sizes.items():
            if config.get(name, size) != size:
                said = short_repr(config[name]) if not isinstance(config[name], int) else f"{config[name]:.6g}"
                raise WeightsError(
                    f"{files.path / CONFIG}: {name} is {said}, but the weights have {size}; "
                    "download config.json again, or give the weights that belong to it"
                )
    if held.get("num_hidden_layers") and "num_hidden_layers" not in text:
        raise WeightsError(f"{files.path / CONFIG} does not say num_hidden_layers; download it again")
    _check_heads(files, shapes)


def _plain(key: str) -> str:
    """A tensor's name without what the several layouts of Qwen2.5-VL put in front."""
    for prefix in ("model.language_model.", "model.visual.", "language_model.model.", "model."):
        if key.startswith(prefix):
            return ("visual." if "visual" in prefix else "") + key.removeprefix(prefix)
    return key


def _text_sizes(shapes: dict[str, tuple[int, ...]]) -> dict[str, int]:
    """What the language model's config has to say."""
    rows, width = next(shape for key, shape in shapes.items() if key.endswith("embed_tokens.weight"))
    sizes = {"num_hidden_layers": count(shapes, "layers."), "hidden_size": width, "vocab_size": rows}
    if gate := shapes.get("layers.0.mlp.gate_proj.weight"):
        sizes["intermediate_size"] = gate[0]
    return sizes


def _vision_sizes(shapes: dict[str, tuple[int, ...]]) -> dict[str, int]:
    """What the vision tower's config has to say; nothing where there is none."""
    patches, out = shapes.get("visual.patch_embed.proj.weight", ()), shapes.get("visual.merger.mlp.2.weight")
    sizes = {}
    if len(patches) == 5:
        width, channels, frames, side, _ = patches
        sizes = {"depth": count(shapes, "visual.blocks."), "hidden_size": width, "in_channels": channels,
                 "in_chans": channels, "temporal_patch_size": frames, "patch_size": side}  # fmt: skip
    if gate := shapes.get("visual.blocks.0.mlp.gate_proj.weight"):
        sizes["intermediate_size"] = gate[0]
    return sizes | ({"out_hidden_size": out[0]} if out else {})


def _check_heads(files: Folder, shapes: dict[str, tuple[int, ...]]) -> None:
    """Heads divide the width, and make up the rows of keys and values."""
    text, width = files.text_config, files.embedding.shape[1]
    heads, groups = text.get("num_attention_heads"), text.get("num_key_value_heads", text.get("num_attention_heads"))
    keys = shapes.get("layers.0.self_attn.k_proj.weight", (0,))[0]
    if not (isinstance(heads, int) and isinstance(groups, int) and heads > 0 and groups > 0 and width % heads == 0
            and heads % groups == 0 and keys in (0, groups * (width // heads))):  # fmt: skip
        raise WeightsError(
            f"{files.path / CONFIG}: num_attention_heads {short_repr(heads)} and num_key_value_heads "
            f"{short_repr(groups)} do not fit weights of width {width} with {keys} rows of keys; download it again"
        )


def untie(model: Any) -> None:
    """Give the head of a plain Qwen2.5-VL a matrix of its own, equal to the embedding where the two were one."""
    from torch import nn

    head = model.get_output_embeddings()
    if head.weight is model.get_input_embeddings().weight:
        head.weight = nn.Parameter(head.weight.detach().clone(), requires_grad=False)
    mark_tied(model.config, False)


def mark_tied(config: Any, tied: bool) -> None:
    """Write the flag where transformers 4 and 5 look for it."""
    config.tie_word_embeddings = config.get_text_config().tie_word_embeddings = tied
