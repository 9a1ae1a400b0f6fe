"""GGUF files: weights in blocks of a few bits, read where they lie and unpacked where a layer computes.

A linear layer keeps its blocks (`GgufLinear`); every other tensor is unpacked when the model is built. The arithmetic
is that of diffusers' GGUF quantiser, in float32, which is what the package `gguf` itself computes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UnsupportedError, WeightsError, one_line
from .fit import is_packed, shape_of
from .fp8 import HeldLinear
from .gguf_tokenizer import spiece_of
from .state import SPIECE_KEY

PACKAGE = "gguf"
# Where ComfyUI's converter notes the shape of a tensor that it had to fold.
_FOLDED = "comfy.gguf.orig_shape."
_NOTED_DIMENSIONS = 8


def read_gguf(path: Path) -> dict[str, Tensor]:
    """The tensors of a GGUF file by key: plain ones in 16 and 32 bits, blocks as diffusers' `GGUFParameter`.

    All are views into the mapped file. A T5's tokenizer comes along under the key that core's files have it under.
    Raises UnsupportedError without the package `gguf`, WeightsError for a damaged file and for types that diffusers
    cannot unpack.
    """
    try:
        import gguf
    except ImportError:
        raise UnsupportedError(
            f"{path} is a GGUF file; that takes the package {PACKAGE}, which is not installed: pip install {PACKAGE}"
        ) from None
    try:
        reader = gguf.GGUFReader(path, "c")
        read = {tensor.name: _tensor(tensor, _folded(reader, tensor.name), path) for tensor in reader.tensors}
        spiece = spiece_of(reader)
    except WeightsError:
        raise
    except Exception as error:  # the reader lets through whatever it meets in a damaged file
        reason = one_line(str(error))[:120] or type(error).__name__
        raise WeightsError(f"{path} is damaged, cut short or no GGUF file ({reason}); download it again") from error
    if not read:
        raise WeightsError(f"{path} holds no tensors; download it again")
    if spiece is not None:
        read[SPIECE_KEY] = torch.frombuffer(bytearray(spiece), dtype=torch.uint8)
    return read


def _tensor(tensor: Any, folded: tuple[int, ...], path: Path) -> Tensor:
    """One tensor as torch has it. folded: its own shape, where the file has another; empty where it has that."""
    import gguf
    from diffusers.quantizers.gguf.utils import SUPPORTED_GGUF_QUANT_TYPES, GGUFParameter

    kinds = gguf.GGMLQuantizationType
    kind, stored = tensor.tensor_type, torch.from_numpy(tensor.data)
    if kind == kinds.BF16:
        stored = stored.view(torch.bfloat16)
    elif kind not in (kinds.F32, kinds.F16):
        if kind not in SUPPORTED_GGUF_QUANT_TYPES:
            raise WeightsError(
                f"{path}: {tensor.name} is of GGUF type {kind.name}, which diffusers does not unpack; get a file of "
                "type Q4_K, Q5_K, Q6_K or Q8_0"
            )
        packed: Tensor = GGUFParameter(stored, quant_type=kind)
        return unpacked(packed).reshape(folded) if folded else packed
    return stored.reshape(folded) if folded else stored


def _folded(reader: Any, name: str) -> tuple[int, ...]:
    field = reader.get_field(f"{_FOLDED}{name}")
    if field is None:
        return ()
    if len(field.data) > _NOTED_DIMENSIONS:
        raise ValueError(f"{name} has {len(field.data)} dimensions")
    return tuple(int(field.parts[place][0]) for place in field.data)


def unpacked(tensor: Tensor) -> Tensor:
    """Blocks (a `GGUFParameter`) as float32 weights."""
    packed: Any = tensor
    return _unpacked(packed.as_tensor(), packed.quant_type)


def _unpacked(stored: Tensor, kind: Any) -> Tensor:
    from diffusers.quantizers.gguf.utils import GGML_QUANT_SIZES, dequantize_functions

    block, size = GGML_QUANT_SIZES[kind]
    rows = stored.reshape(-1, size)
    full: Tensor = dequantize_functions[kind](rows, block, size, dtype=torch.float32)
    return full.reshape(*stored.shape[:-1], stored.shape[-1] // size * block)


class GgufLinear(HeldLinear):
    """stored: [out, bytes] uint8, blocks of the GGUF type `kind`."""

    def __init__(self, packed: Tensor, bias: nn.Parameter | None, dtype: torch.dtype) -> None:
        rows, columns = shape_of(packed)
        blocks: Any = packed
        super().__init__(blocks.as_tensor().detach(), (rows, columns), bias, dtype)
        self.kind = blocks.quant_type

    def full(self) -> Tensor:
        """Unpacked."""
        return _unpacked(self.stored.detach(), self.kind)


def placed(
    state: Mapping[str, Tensor], held: Collection[str], dtype: torch.dtype
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """`state` with its blocks unpacked as `dtype`, but for those of `held`, which come apart."""
    apart = {key: tensor for key, tensor in state.items() if key in held and is_packed(tensor)}
    rest = {key: unpacked(tensor).to(dtype) if is_packed(tensor) else tensor for key, tensor in state.items()
            if key not in apart}  # fmt: skip
    return rest, apart


def install(model: nn.Module, packed: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    """Make `GgufLinear`s of the linear layers of `model` whose weights these are, by their keys."""
    for key, tensor in packed.items():
        name = key.removesuffix(".weight")
        linear: Any = model.get_submodule(name)
        model.set_submodule(name, GgufLinear(tensor, linear.bias, dtype))
