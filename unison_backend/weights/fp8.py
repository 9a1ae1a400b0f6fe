"""Linear layers whose weights stay in fp8: half the memory of 16 bits, and the numbers that 16 bits would have.

A weight is computed where it is used, as `stored * scale` in float32, rounded once to what the layer computes in: what
`state.dequantize` does when a file is read. Layers of other kinds, and those that compute in float32 whatever the
others do, are given their weights at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .lora import delta

SCALE = "_scale"  # behind the key of a weight: one float32 value, or one for each row


def is_fp8(tensor: Tensor) -> bool:
    """Whether each value takes one byte and is a floating number."""
    return tensor.is_floating_point() and tensor.element_size() == 1


def unscaled(stored: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """`stored * scale` computed in float32, as `dtype`. scale: one value, or one for each row of `stored`."""
    return _product(stored, scale).to(dtype)


def _product(stored: Tensor, scale: Tensor) -> Tensor:
    factor = scale.to(stored.device, torch.float32).reshape(-1, *(1 for _ in stored.shape[1:]))
    return stored.to(torch.float32, copy=True).mul_(factor if stored.ndim else factor.reshape(()))


class HeldLinear(nn.Module):
    """`nn.Linear` over a weight that is stored smaller. `weight` is computed at each access, in `dtype`.

    stored: what the file holds. shape: [out, in] of the weight. bias: [out] or None.
    """

    def __init__(self, stored: Tensor, shape: tuple[int, int], bias: nn.Parameter | None, dtype: torch.dtype) -> None:
        super().__init__()
        self.out_features, self.in_features = shape
        self.dtype = dtype
        self.stored = nn.Parameter(stored, requires_grad=False)
        self.bias = bias
        self._strengths: list[float] = []

    def full(self) -> Tensor:
        """The stored weight [out, in], float32, in memory of its own."""
        raise NotImplementedError

    def change(self, parts: tuple[Tensor, ...], strength: float) -> None:
        """Add `strength` times `parts` to the weight: a LoRA's (up [out, r], down [r, in]), or one whole difference.

        They are kept beside the weight, which does not grow, and cost no rounding of their own.
        """
        for place, part in enumerate(parts):
            name = f"change{len(self._strengths)}_{place}"
            self.register_buffer(name, part.to(self.stored.device), persistent=False)
        self._strengths.append(strength)

    @property
    def weight(self) -> Tensor:
        """[out, in] in `dtype`."""
        weight = self.full()
        for number, strength in enumerate(self._strengths):
            parts = tuple(part for name, part in self.named_buffers() if name.startswith(f"change{number}_"))
            weight += strength * delta(parts, weight)
        return weight.to(self.dtype)

    @property
    def outline(self) -> Tensor:
        """[out, in] on meta."""
        return torch.empty(self.out_features, self.in_features, device="meta")

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight, self.bias)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> HeldLinear:
        """Moves everything; of another dtype become the bias and what the layer computes in, not what is stored."""

        def moved(tensor: Tensor) -> Tensor:
            made = fn(tensor)
            return made if tensor is self.bias else made.to(tensor.dtype)

        self.dtype = fn(torch.empty(0, dtype=self.dtype, device=self.stored.device)).dtype
        super()._apply(moved, recurse)
        return self

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, stored={self.stored.dtype}"


class Fp8Linear(HeldLinear):
    """stored: [out, in] float8. scale: float32, [] or [out]."""

    def __init__(self, stored: Tensor, scale: Tensor, bias: nn.Parameter | None, dtype: torch.dtype) -> None:
        super().__init__(stored, (stored.shape[0], stored.shape[1]), bias, dtype)
        self.register_buffer("scale", scale.to(stored.device, torch.float32))

    def full(self) -> Tensor:
        """`stored * scale`."""
        return _product(self.stored, self.get_buffer("scale"))


def stays(model: nn.Module, key: str, keep_fp32: Collection[str]) -> bool:
    """Whether the weight `key` of `model` may stay as stored: that of a linear layer which need not be in float32."""
    layer, _, last = key.rpartition(".")
    if last != "weight" or not set(layer.split(".")).isdisjoint(keep_fp32):
        return False
    try:
        return type(model.get_submodule(layer)) is nn.Linear
    except AttributeError:
        return False


def placed(
    model: nn.Module, state: Mapping[str, Tensor], dtype: torch.dtype, keep_fp32: Collection[str] = ()
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """`state` with fp8 only where a layer of `model` holds it, and the scales of those weights by their keys.

    state: of `state.dequantize(keep_fp8=True)`. keep_fp32: parts of names whose layers get their weights in `dtype`.
    """
    scales = {key.removesuffix(SCALE): state[key] for key in state if key.endswith(f".weight{SCALE}")}
    held = {key: scale for key, scale in scales.items() if stays(model, key, keep_fp32)}
    given = {key: tensor for key, tensor in state.items() if key.removesuffix(SCALE) not in scales or key in held}
    rest = {key: unscaled(state[key], scale, dtype) for key, scale in scales.items() if key not in held}
    return given | rest, held


def install(model: nn.Module, scales: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    """Make `Fp8Linear`s of the linear layers of `model` that hold fp8 weights. scales: by the weight's key."""
    for key, scale in scales.items():
        name = key.removesuffix(".weight")
        linear: Any = model.get_submodule(name)
        model.set_submodule(name, Fp8Linear(linear.weight.data, scale, linear.bias, dtype))


def layers(model: nn.Module) -> dict[str, HeldLinear]:
    """The layers of `model` whose weights stay as stored, by the key of these ("blocks.0.attn1.to_q.weight")."""
    return {f"{name}.weight": module for name, module in model.named_modules() if isinstance(module, HeldLinear)}
