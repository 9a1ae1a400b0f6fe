"""A Qwen2.5-VL folder, with or without a planning LoRA, as one module in memory.

What is unusual: everything that can be wrong with the files is found in their headers, before a weight is read; the
plan's 14 tokens are added when the tokenizer lacks them; and the head is untied, so that the tokens' rows for reading
and for writing are two matrices, as in the reference's merged checkpoint. Nothing is asked of the network.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, ResourceError, UnsupportedError, WeightsError
from ..models import PLANNER_TYPE
from ..plan import ADDED_TOKENS
from ..progress import Progress, silent
from ..weights import load_state_dict
from .chat import pad_id

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    Device = torch.device | str

DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
ATTENTIONS = ("auto", "sdpa", "eager", "flash_attention_2")
QUANTIZATIONS = ("4bit", "8bit")

_INDEX = "model.safetensors.index.json"
_STAGE = "loading the planner"
# Everything that transformers and peft were seen to raise on a folder that is not what it says.
LOAD_ERRORS = (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError, ImportError)


@dataclass
class Qwen:
    """A loaded Qwen2.5-VL, in eval mode and without gradients.

    model: Qwen2_5_VLForConditionalGeneration, inside a PeftModel when there is a LoRA. processor: for pictures and
    videos; None when it cannot be had, and `processor_problem` says why. token_ids: of the 14 added tokens.
    has_planning: the folder or the LoRA brings trained rows for them; without, they must never be decoded.
    adapter_removable: switching the LoRA off gives the base model back.
    """

    model: Any
    tokenizer: Any
    processor: Any | None
    token_ids: dict[str, int]
    has_planning: bool
    adapter_removable: bool = True
    processor_problem: str = ""
    has_adapter: bool = field(init=False)

    def __post_init__(self) -> None:
        self.has_adapter = hasattr(self.model, "peft_config")

    @property
    def base(self) -> Any:
        """The Qwen2_5_VLForConditionalGeneration; a LoRA's layers are inside it and at work."""
        return self.model.get_base_model() if self.has_adapter else self.model

    @property
    def language_model(self) -> Any:
        """Decoder layers and final norm, without the head."""
        return self.base.model.language_model

    @cached_property
    def module(self) -> nn.Module:
        """All weights as one plain module that takes attributes (transformers' own has a read-only `device`)."""
        from torch import nn

        return nn.ModuleDict({"qwen": self.model})

    @property
    def device(self) -> torch.device:
        """Where the weights are now."""
        device: torch.device = next(self.base.parameters()).device
        return device

    def to(self, device: Device) -> Qwen:
        """Move all weights. Raises UnsupportedError for 4 or 8 bit, ResourceError when the memory is too small."""
        import torch

        if getattr(self.base, "is_quantized", False):
            raise UnsupportedError("a 4-bit or 8-bit planner stays on the device it was loaded to; load it there")
        try:
            self.module.to(device)
        except torch.OutOfMemoryError as error:
            raise ResourceError(f"the planner does not fit into {device}'s memory; use bf16, 4bit or cpu") from error
        return self

    @contextmanager
    def without_adapter(self) -> Iterator[None]:
        """The base model's own weights inside the block, where the LoRA's kind allows it; else nothing changes."""
        if not (self.has_adapter and self.adapter_removable):
            yield
            return
        import torch

        self.model.base_model.disable_adapter_layers()
        try:
            yield
        finally:
            with torch.inference_mode():  # peft turns gradients on, which weights loaded in that mode refuse elsewhere
                self.model.base_model.enable_adapter_layers()
            self.model.requires_grad_(False)


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


def load_qwen(
    folder: Path,
    lora: Path | None = None,
    *,
    dtype: str = "auto",
    attention: str = "auto",
    device: Device = "cpu",
    quantize: str | None = None,
    progress: Progress = silent,
) -> Qwen:
    """The Qwen2.5-VL in `folder` (plain or merged), with the adapter in the folder `lora` switched on.

    dtype: auto (as stored), bf16, fp16, fp32. attention: auto (flash-attn on CUDA where installed, else sdpa), sdpa,
    eager, flash_attention_2. quantize: 4bit or 8bit, with bitsandbytes only.
    Raises WeightsError naming what is wrong with the files or why the two do not fit, InputError for an unknown
    option, UnsupportedError for a library that is missing, ResourceError when the memory is too small.
    """
    from .merging import attach, check_fit, read_adapter  # which itself stands on this module

    progress(_STAGE, 0, 4)
    files = read_folder(folder)
    adapter = None if lora is None else read_adapter(lora)
    options = _options(files, dtype, attention, device, quantize)
    tokenizer, known = _load_tokenizer(files.path)
    ids = {token: pad_id(tokenizer, token) for token in ADDED_TOKENS}
    if adapter:
        check_fit(adapter, files, ids, len(tokenizer))
    progress(_STAGE, 1, 4)
    model = _load_model(files, options)
    rows = files.embedding.shape[0]
    _resize(model, (adapter.rows if adapter else None) or max(rows, len(tokenizer)))
    if not (adapter and adapter.needs_tie):
        untie(model)
    progress(_STAGE, 2, 4)
    if adapter:
        model = attach(model, adapter)
    progress(_STAGE, 3, 4)
    processor, problem = _load_processor(files.path, tokenizer)
    trained = known and not files.tied and max(ids.values()) < rows
    qwen = Qwen(
        model=model.eval().requires_grad_(False),
        tokenizer=tokenizer,
        processor=processor,
        token_ids=ids,
        has_planning=trained or bool(adapter and adapter.trains(ids.values())),
        adapter_removable=adapter is None or adapter.removable,
        processor_problem=problem,
    )
    if quantize is None:
        qwen.to(device)
    progress(_STAGE, 4, 4)
    return qwen


def read_folder(folder: Path) -> Folder:
    """What is in a Qwen2.5-VL folder, from its config and its weights' headers; WeightsError names what is wrong."""
    path = Path(folder)
    if not path.is_dir():
        raise WeightsError(f"{path} is {'a file' if path.exists() else 'not there'}; give a Qwen2.5-VL folder")
    if (path / "adapter_config.json").is_file():  # transformers would load it unasked
        cure = "give it as the LoRA" if not (path / "config.json").is_file() else "move that to a folder of its own"
        raise WeightsError(f"{path} holds a LoRA adapter (adapter_config.json); {cure}")
    config = read_json(path / "config.json")
    if (kind := config.get("model_type")) != PLANNER_TYPE:
        raise WeightsError(f"{path} is a model of type {kind!r}; the planner is a Qwen2.5-VL ({PLANNER_TYPE!r})")
    if isinstance(way := config.get("quantization_config"), dict):
        kind = way.get("quant_method", "an unknown way")
        raise WeightsError(f"{path} is quantised ({kind}); get the bf16 folder, which can be loaded in 4 or 8 bit")
    _refuse_code(path)
    files = _weight_files(path)
    tensors = {key: tensor for file in files for key, tensor in load_state_dict(file, device="meta").items()}
    _check_tensors(path, tensors)
    return Folder(path, config, tensors, tuple(files))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; raises WeightsError when the file is missing or anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(f"{path.parent} has no {path.name}; download the complete folder") from None
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} is damaged ({error}); download it again") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path} is no JSON object; download it again")
    return content


def _refuse_code(folder: Path) -> None:
    """Python that a checkpoint brings along is never run, and never asked about."""
    for path in sorted(folder.glob("*config.json")):
        if "auto_map" in read_json(path):
            raise WeightsError(f"{path} asks to run code from the folder (auto_map), which is refused; remove auto_map")


def _weight_files(folder: Path) -> list[Path]:
    """The shards, all of which exist; one file goes before an index, as in transformers."""
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    if not (folder / _INDEX).is_file():
        pickled = [path.name for path in (*folder.glob("*.bin"), *folder.glob("*.pt*"))]
        found = f"only {pickled[0]}, which could hold code; get" if pickled else "no"
        raise WeightsError(f"{folder} has {found} model.safetensors (or {_INDEX} and its parts)")
    names = read_json(folder / _INDEX).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise WeightsError(f"{folder / _INDEX} lists no weights; download it again")
    files = [folder / Path(str(name)).name for name in sorted(set(names.values()))]
    if absent := [path.name for path in files if not path.is_file()]:
        raise WeightsError(f"{folder} lacks {len(absent)} of {len(files)} weight files: {', '.join(absent[:3])}")
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


def _options(files: Folder, dtype: str, attention: str, device: Device, quantize: str | None) -> dict[str, Any]:
    """What `from_pretrained` is told, once every option is known to be possible here."""
    import torch

    if dtype != "auto" and dtype not in DTYPES:
        raise InputError(f"dtype is {dtype!r}; it is one of auto, {', '.join(DTYPES)}")
    name = files.dtype if dtype == "auto" else DTYPES[dtype]
    is_cuda = torch.device(device).type == "cuda"
    options = {"dtype": getattr(torch, name), "attn_implementation": _attention(attention, name, is_cuda)}
    if quantize is None:
        return options
    if quantize not in QUANTIZATIONS:
        raise InputError(f"quantize is {quantize!r}; it is one of {', '.join(QUANTIZATIONS)}")
    if not _imports("bitsandbytes"):
        raise UnsupportedError(f"{quantize} takes bitsandbytes, which is not installed: pip install bitsandbytes")
    from transformers import BitsAndBytesConfig

    bits = {f"load_in_{quantize}": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": options["dtype"]}
    way = BitsAndBytesConfig(**bits)  # type: ignore[no-untyped-call]
    return options | {"quantization_config": way, "device_map": {"": str(device)}}


def _attention(name: str, dtype: str, is_cuda: bool) -> str:
    if name not in ATTENTIONS:
        raise InputError(f"attention is {name!r}; it is one of {', '.join(ATTENTIONS)}")
    if name not in ("auto", "flash_attention_2"):
        return name
    problems = {
        "takes a CUDA device": not is_cuda,
        "takes bf16 or fp16": dtype == "float32",
        "takes flash-attn, which cannot be imported: pip install flash-attn": is_cuda and not _imports("flash_attn"),
    }
    problem = next((text for text, applies in problems.items() if applies), None)
    if problem and name != "auto":
        raise UnsupportedError(f"attention flash_attention_2 {problem}; or use sdpa")
    return "sdpa" if problem else "flash_attention_2"


def _imports(module: str) -> bool:
    """Whether a compiled library is installed and fits this torch."""
    import importlib

    try:
        importlib.import_module(module)
    except (ImportError, OSError, RuntimeError):
        return False
    return True


def _load_tokenizer(folder: Path) -> tuple[Any, bool]:
    """The folder's tokenizer with all 14 tokens, and whether it knew them before."""
    from transformers import AutoTokenizer

    if not (folder / "tokenizer.json").is_file() and not (folder / "merges.txt").is_file():
        raise WeightsError(f"{folder} has no tokenizer.json; download the complete folder")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the tokenizers library raises plain Exception
        raise WeightsError(f"{folder}: its tokenizer cannot be read ({_first_line(error)})") from error
    known = set(ADDED_TOKENS) <= set(tokenizer.get_vocab())
    tokenizer.add_tokens(list(ADDED_TOKENS), special_tokens=True)
    return tokenizer, known


def _load_model(files: Folder, options: dict[str, Any]) -> Any:
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    options = options | {"local_files_only": True, "use_safetensors": True, "output_loading_info": True}
    try:
        config = Qwen2_5_VLConfig.from_pretrained(files.path, local_files_only=True)
        _mark_tied(config, files.tied)
        loaded: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(files.path, config=config, **options)
    except torch.OutOfMemoryError as error:
        raise ResourceError("the planner does not fit into the device's memory; use 4bit or cpu") from error
    except LOAD_ERRORS as error:
        raise WeightsError(f"{files.path} cannot be loaded as a Qwen2.5-VL folder: {_first_line(error)}") from error
    model, info = loaded
    for fault in ("missing", "unexpected"):
        if keys := sorted(info[f"{fault}_keys"]):
            raise WeightsError(f"{files.path}: {len(keys)} weights are {fault} ({', '.join(keys[:3])})")
    return model


def _mark_tied(config: Any, tied: bool) -> None:
    """Write the flag where transformers 4 and 5 look for it."""
    config.tie_word_embeddings = config.get_text_config().tie_word_embeddings = tied


def _resize(model: Any, rows: int) -> None:
    """Give embedding and head `rows` rows; new ones are the mean of the old, so that they neither shine nor vary."""
    import torch

    old = model.get_input_embeddings().weight.shape[0]
    if rows == old:
        return
    model.resize_token_embeddings(rows, mean_resizing=False)
    with torch.no_grad():
        for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
            layer.weight[old:] = layer.weight[:old].float().mean(0).to(layer.weight.dtype)


def untie(model: Any) -> None:
    """Give the head of a plain Qwen2.5-VL a matrix of its own, equal to the embedding where the two were one."""
    from torch import nn

    head = model.get_output_embeddings()
    if head.weight is model.get_input_embeddings().weight:
        head.weight = nn.Parameter(head.weight.detach().clone(), requires_grad=False)
    _mark_tied(model.config, False)


def _load_processor(folder: Path, tokenizer: Any) -> tuple[Any | None, str]:
    """The processor with `tokenizer` in it, or None and why."""
    from transformers import AutoProcessor

    try:
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True)  # type: ignore[no-untyped-call]
    except LOAD_ERRORS as error:
        cure = "install torchvision" if not _imports("torchvision") else "download the complete folder"
        return None, f"pictures and videos cannot be shown ({_first_line(error)}); {cure}"
    if not hasattr(processor, "image_processor"):
        return None, f"{folder} has no preprocessor_config.json; download the complete folder"
    processor.tokenizer = tokenizer
    return processor, ""


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
