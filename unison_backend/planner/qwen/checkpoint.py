"""A Qwen2.5-VL folder as its small files and headers describe it; what is wrong is found before a weight is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import WeightsError
from ...weights.folder import CONFIG, INDEX, PLANNER_TYPE, read_json, refuse_code, weight_files, weight_map
from ...weights.state import load_state_dict

if TYPE_CHECKING:
    from torch import Tensor

DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}


_WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Folder:
    """A Qwen2.5-VL folder as its small files and headers describe it. tensors: meta, by the file's own keys."""

    path: Path
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    files: tuple[Path, ...]

    @property
    def text_config(self) -> dict[str, Any]:
        """Where width, layers and rows stand: in a part of its own (transformers 5) or in the config itself."""
        text = self.config.get("text_config")
        return text if isinstance(text, dict) else self.config

    @property
    def tied(self) -> bool:
        """Whether the head is the embedding; one that is stored counts, whatever the config says."""
        return bool(self.config.get("tie_word_embeddings", True)) and "lm_head.weight" not in self.tensors

    @property
    def embedding(self) -> Tensor:
        """The [rows, width] embedding (meta)."""
        return next(tensor for key, tensor in self.tensors.items() if key.endswith("embed_tokens.weight"))

    @property
    def dtype(self) -> str:
        """How the weights are stored, as torch names it: bfloat16, float16 or float32."""
        return str(self.embedding.dtype).removeprefix("torch.")


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
        raise WeightsError(f"{path} is a model of type {kind!r}; the planner is a Qwen2.5-VL ({PLANNER_TYPE!r})")
    if isinstance(way := config.get("quantization_config"), dict):
        kind = way.get("quant_method", "an unknown way")
        raise WeightsError(f"{path} is quantised ({kind}); get the bf16 folder, which can be loaded in 4 or 8 bit")
    refuse_code(path)
    files = _files(path)
    tensors = {key: tensor for file in files for key, tensor in load_state_dict(file, device="meta").items()}
    _check_tensors(path, tensors)
    return Folder(path, config, tensors, tuple(files))


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
