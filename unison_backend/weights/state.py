"""Weights files: read a state dict safely, undo fp8, put it into a model strictly.

What is unusual here: nothing is read before it is needed. A safetensors file (or a zip .pth) is memory-mapped and
its tensors point into the file, so an 11 GB file opens at once and only the pages that a model touches are read.
Pickles are opened with `weights_only=True`: a file that holds code is refused before any of it runs.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import ResourceError, UnisonError, WeightsError, one_line
from .fit import is_packed, on_meta
from .small_json import parse_json

Value = TypeVar("Value")

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    Device = torch.device | str

SAFETENSORS = (".safetensors", ".sft")
PICKLES = (".pth", ".pt", ".bin", ".ckpt")
GGUF = ".gguf"
_GGUF_HEAD = b"GGUF"

# What the first bytes of a wrong file, in lower case, say it is, and what to do about it.
_HEADS = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the weights themselves: run `git lfs pull` or download it"),
    (b"<!doctype", "is a web page, not weights: download the file itself"),
)

_PROGRAM = "is a TorchScript program and not weights alone: get the .safetensors or .pth form"
# Networks that bring their own program, by the ends of their names.
_PROGRAMS = {
    ".torchscript.pt": _PROGRAM,
    ".torchscript": _PROGRAM,
    ".onnx": "is an ONNX network, which takes a runtime of its own: get the .safetensors or .pth form",
    ".engine": "is a TensorRT engine, made for one card: get the .safetensors or .pth form",
    ".trt": "is a TensorRT engine, made for one card: get the .safetensors or .pth form",
}

# safetensors' names of the types that torch has (its format.md).
_DTYPES = {
    **{"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "BOOL": "bool", "U8": "uint8"},
    **{"I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U16": "uint16", "U32": "uint32"},
    **{"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu"},
}

# Keys that belong to a file as a whole: they carry no model prefix.
SPIECE_KEY = "spiece_model"  # where ComfyUI keeps the sentencepiece file inside a text encoder's safetensors
FILE_KEYS = ("scaled_fp8", SPIECE_KEY)

# How ComfyUI marks fp8 layers: `X.scale_weight` / `X.scale_input` with one `scaled_fp8` tensor a file (first form),
# `X.weight_scale` / `X.input_scale` with `X.comfy_quant`, a JSON text as bytes (second form).
_SCALES = ("scale_weight", "weight_scale")
_MARKERS = (*_SCALES, "scale_input", "input_scale", "comfy_quant", "scaled_fp8")
_FP8_FORMATS = ("float8_e4m3fn", "float8_e5m2")

# Last parts of keys that only other quantised formats have.
_OTHER_FORMATS = {
    "weight_scale_2": "nvfp4",
    "pre_quant_scale": "nvfp4",
    "weight_s_rel": "asym_w4a8_int8",
    "weight_codebook": "asym_w4a8_int8",
    "absmax": "bitsandbytes",
    "SCB": "bitsandbytes int8",
    "qweight": "GPTQ or AWQ",
    "qzeros": "GPTQ or AWQ",
}


def load_state_dict(
    path: Path | str, *, device: Device = "cpu", prefixes: Sequence[str] = (), packed: bool = False
) -> dict[str, Tensor]:
    """The tensors of one weights file by key, in their stored shapes and dtypes.

    path: .safetensors / .sft (memory-mapped, zero-copy) or .pth / .pt / .bin / .ckpt (memory-mapped where it is a zip;
    one level of `{"state_dict": ...}` or `{"model": ...}` is unwrapped). device: where the tensors go; "meta" gives
    shapes and dtypes and reads no data. prefixes: each that every key carries is taken off, in this order.
    packed: whether a GGUF file will do, whose blocks come as they are (`gguf.read_gguf`).
    Raises WeightsError, which names the file and the cure, for anything that is not a readable, plain state dict, and
    ResourceError for a file that the machine cannot map (some systems refuse one that is larger than the memory).
    """
    path = Path(path)
    kind = _check(path, packed=packed)
    if kind == GGUF:
        from .gguf import read_gguf

        state = read_gguf(path)
        state = {key: on_meta(tensor) if str(device) == "meta" else tensor.to(device) for key, tensor in state.items()}
        return without_prefixes(state, prefixes)
    state = _read_safetensors(path, device) if kind in SAFETENSORS else _read_pickle(path, device)
    return without_prefixes(state, prefixes)


def without_prefixes(state: dict[str, Value], prefixes: Sequence[str]) -> dict[str, Value]:
    """`state` without each of `prefixes` that every key but those of the file as a whole carries, in this order."""
    for prefix in prefixes:
        if all(key.startswith(prefix) for key in state if key not in FILE_KEYS):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _check(path: Path, *, packed: bool) -> str:
    """The file's suffix in lower case, once its existence, size and first bytes are those of a weights file."""
    if path.is_dir():
        raise WeightsError(f"{path} is a folder; give the weights file inside it")
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except FileNotFoundError:
        raise WeightsError(f"{path} does not exist; check the name, or download it there") from None
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror or error}); check its permissions") from error
    if not head:
        raise WeightsError(f"{path} is empty (0 bytes); download it again")
    for magic, message in _HEADS:
        if head.lstrip().lower().startswith(magic):
            raise WeightsError(f"{path} {message}")
    if told := program(path):
        raise WeightsError(f"{path} {told}")
    return _kind(path, head, packed=packed)


def _kind(path: Path, head: bytes, *, packed: bool) -> str:
    """The suffix in lower case, once it goes with the file's first bytes."""
    kind, is_gguf = path.suffix.lower(), head.startswith(_GGUF_HEAD)
    if is_gguf and not packed:
        raise WeightsError(f"{path} is a GGUF file, which is not read for this model: get the .safetensors form")
    if is_gguf and kind != GGUF:
        raise WeightsError(f"{path} is a GGUF file; rename it to {path.stem}{GGUF}")
    if kind == GGUF and packed:
        return kind
    if kind not in SAFETENSORS + PICKLES:
        raise WeightsError(f"{path} has an unknown suffix; weights are {', '.join(SAFETENSORS + PICKLES)}")
    if kind in SAFETENSORS and head.startswith(b"PK"):
        raise WeightsError(f"{path} is a PyTorch file, not safetensors; rename it to {path.stem}.pth")
    return kind


def program(path: Path) -> str:
    """What a file is that brings its own program, by its name, and what to get; "" for any other."""
    return next((told for end, told in _PROGRAMS.items() if path.name.lower().endswith(end)), "")


def _read_safetensors(path: Path, device: Device) -> dict[str, Tensor]:
    """Views into the mapped file. safetensors checks the header, but its own reader touches a page of every tensor."""
    import torch
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"), path.open("rb") as file:
            start = 8 + int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(start - 8))
        size = 0 if str(device) == "meta" else path.stat().st_size
        mapped: Any = torch.UntypedStorage.from_file(str(path), False, size) if size else None
    except (SafetensorError, OSError, ValueError, RuntimeError, MemoryError) as error:
        raise _failure(path, error) from error
    header.pop("__metadata__", None)
    if not header:
        raise WeightsError(f"{path} holds no tensors; download it again")
    return {key: _view(entry, mapped, start, f"{path}: {key}").to(device) for key, entry in header.items()}


def _view(entry: Mapping[str, Any], mapped: Any, start: int, what: str) -> Tensor:
    """The tensor of one header entry: a part of the mapped storage, whose data begin at `start`; meta without one."""
    import torch

    dtype = getattr(torch, _DTYPES.get(entry["dtype"], ""), None)
    if dtype is None:
        raise WeightsError(f"{what} is of type {entry['dtype']}; get the fp16, bf16 or fp8 scaled file")
    shape, (begin, end) = entry["shape"], entry["data_offsets"]
    if mapped is None or begin == end:
        return torch.empty(shape, dtype=dtype, device="meta" if mapped is None else "cpu")
    return torch.empty(0, dtype=dtype).set_(mapped[start + begin : start + end]).reshape(shape)


def _read_pickle(path: Path, device: Device) -> dict[str, Tensor]:
    import torch

    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"  # the old format cannot be memory-mapped
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except Exception as error:  # torch's unpickler lets through whatever it meets in a damaged file
        raise _failure(path, error) from error
    for wrapper in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    tensors = content.items() if isinstance(content, Mapping) else ()
    held = {str(key): value.detach() for key, value in tensors if isinstance(value, torch.Tensor)}
    for key, value in held.items():
        if odd := _odd(value):
            raise WeightsError(f"{path}: {key} {odd}, which no model's weights are; get a .safetensors file")
    state = {key: value.to(device) for key, value in held.items()}
    if not state:
        raise WeightsError(f"{path} holds no state dict (tensors by name) but {type(content).__name__}")
    return state


def _odd(tensor: Tensor) -> str:
    """What a pickled tensor is that plain weights are not, in words; "" for plain ones.

    One of a few bytes can claim any size by strides of 0, and one on meta has no data at all.
    """
    import torch

    if tensor.is_meta:
        return "has a shape but no data"
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_nested:
        return f"is stored as {tensor.layout}" if tensor.layout is not torch.strided else "is quantised or nested"
    if tensor.is_complex():
        return "is complex"
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return f"claims {tensor.numel()} values, but the file holds fewer"
    return ""


def _failure(path: Path, error: Exception) -> UnisonError:
    """What a library's error on reading `path` means: no memory, objects that are not tensors, or damage."""
    text = str(error)
    if isinstance(error, MemoryError) or "Cannot allocate memory" in text:
        size = f"{path.stat().st_size / 1e9:.1f} GB"
        return ResourceError(f"{path} ({size}) is larger than the memory; use its fp16 or fp8 form, or add swap space")
    if "TorchScript" in text:
        return WeightsError(f"{path} {_PROGRAM}")
    if isinstance(error, pickle.UnpicklingError):
        if "global" in text.lower():  # torch names the class or function that it will not import
            refused = "holds Python objects besides tensors and was refused (nothing in it ran)"
            return WeightsError(f"{path} {refused}; get a .safetensors file")
        text = "not a PyTorch pickle"
    reason = text.splitlines()[0][:120] if text else type(error).__name__
    return WeightsError(f"{path} is damaged, cut short or not a weights file ({reason}); download it again")


def dequantize(
    state: Mapping[str, Tensor], dtype: torch.dtype, *, device: Device | None = None, what: str = "weights",
    keep_fp8: bool = False,
) -> dict[str, Tensor]:  # fmt: skip
    """The same weights without fp8: every float8 or scaled `X.weight` becomes `weight * scale` in `dtype`.

    Reads both of ComfyUI's scaled forms and plain float8; scale, input-scale and marker keys are left out, all other
    tensors are passed on as they are (moved to `device` if given). Meta tensors give meta tensors.
    keep_fp8: matrices in fp8 stay, each with its scale (float32, 1 where there is none) as `X.weight_scale`.
    Raises WeightsError naming the format for any other quantisation (nvfp4, mxfp8, int8, bitsandbytes, ...).
    """
    from .fp8 import SCALE, is_fp8, unscaled

    _refuse_other_formats(state, what)
    result = {}
    for key, tensor in state.items():
        layer, _, last = key.rpartition(".")
        if last in _MARKERS:
            continue
        names = [f"{layer}.{name}" for name in _SCALES if last == "weight" and f"{layer}.{name}" in state]
        scale = state[names[0]] if names else None
        tensor = tensor if device is None else tensor.to(device)
        if scale is not None or is_fp8(tensor):
            factor = _scale_of(tensor, scale, f"{what}: {key}")
            if keep_fp8 and last == "weight" and is_fp8(tensor) and tensor.ndim == 2:
                result[f"{key}{SCALE}"] = factor
            else:
                tensor = unscaled(tensor, factor, dtype)
        result[key] = tensor
    return result


def _scale_of(tensor: Tensor, scale: Tensor | None, what: str) -> Tensor:
    """`scale` as float32 beside `tensor`: one value, or one for each row; 1 where there is none."""
    import torch

    if scale is None:
        return torch.ones((), device=tensor.device)
    if not (tensor.is_floating_point() and scale.is_floating_point()) or scale.numel() not in (1, *tensor.shape[:1]):
        message = f"is quantised in blocks ({tensor.dtype}, scale {scale.dtype} {list(scale.shape)})"
        raise WeightsError(f"{what} {message}; get the fp16, bf16 or fp8 scaled file")
    return scale.to(tensor.device, torch.float32)


def _refuse_other_formats(state: Mapping[str, Tensor], what: str) -> None:
    for key, tensor in state.items():
        last = key.rpartition(".")[2]
        name = _OTHER_FORMATS.get(last)
        if last == "comfy_quant" and not tensor.is_meta:
            name = _format_name(tensor)
        elif last == "weight" and tensor.ndim > 1 and not tensor.is_floating_point() and not is_packed(tensor):
            name = str(tensor.dtype).removeprefix("torch.")
        if name is not None:
            raise WeightsError(f"{what} is quantised as {name} ({key}); get the fp16, bf16 or fp8 scaled file")


def _format_name(marker: Tensor) -> str | None:
    """The format in a `comfy_quant` tensor ([n] uint8, JSON), or None where it is one of the fp8 formats."""
    try:
        name = parse_json(bytes(marker.cpu().tolist()))["format"]
    except (ValueError, LookupError, TypeError):
        return "an unreadable comfy_quant note"
    return None if name in _FP8_FORMATS else one_line(str(name))[:40]
