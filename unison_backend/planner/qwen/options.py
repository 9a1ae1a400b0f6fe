"""How a Qwen2.5-VL is loaded: precision, attention and quantization, known to be possible before a weight is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import InputError, UnsupportedError
from .checkpoint import DTYPES, Folder

if TYPE_CHECKING:
    import torch

    Device = torch.device | str

ATTENTIONS = ("auto", "sdpa", "eager", "flash_attention_2")
QUANTIZATIONS = ("4bit", "8bit")


def options_of(files: Folder, dtype: str, attention: str, device: Device, quantize: str | None) -> dict[str, Any]:
    """What `from_pretrained` is told, once every option is known to be possible here."""
    import torch

    if dtype != "auto" and dtype not in DTYPES:
        raise InputError(f"dtype is {dtype!r}; it is one of auto, {', '.join(DTYPES)}")
    name = files.dtype if dtype == "auto" else DTYPES[dtype]
    is_cuda = torch.device(device).type == "cuda"
    options = {"dtype": getattr(torch, name), "attn_implementation": _attention(attention, name, is_cuda)}
    if quantize is None:
        return options
    if files.small:
        raise UnsupportedError(f"{quantize} takes a folder with the bf16 weights, and {files.path} is one file")
    if quantize not in QUANTIZATIONS:
        raise InputError(f"quantize is {quantize!r}; it is one of {', '.join(QUANTIZATIONS)}")
    if not imports("bitsandbytes"):
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
        "takes flash-attn, which cannot be imported: pip install flash-attn": is_cuda and not imports("flash_attn"),
    }
    problem = next((text for text, applies in problems.items() if applies), None)
    if problem and name != "auto":
        raise UnsupportedError(f"attention flash_attention_2 {problem}; or use sdpa")
    return "sdpa" if problem else "flash_attention_2"


def imports(module: str) -> bool:
    """Whether a compiled library is installed and fits this torch."""
    import importlib

    try:
        importlib.import_module(module)
    except (ImportError, OSError, RuntimeError):
        return False
    return True
