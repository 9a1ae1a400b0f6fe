"""Weights into a model, strictly, and what a file seems to be when they do not fit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from ..errors import WeightsError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    Device = torch.device | str


def assign(
    model: nn.Module,
    state: Mapping[str, Tensor],
    what: str,
    *,
    dtype: torch.dtype | None = None,
    device: Device | None = None,
    keep_fp32: Collection[str] = (),
    as_stored: Collection[str] = (),
    apart: Collection[str] = (),
) -> None:
    """Put `state` into `model` (usually built on meta) strictly and without a copy where dtype and device stay.

    what: the file and its role, for messages. dtype: what floating tensors are cast to; None leaves them as stored.
    keep_fp32: with a half dtype, tensors whose name has one of these parts become float32 instead.
    as_stored: keys of tensors that keep their dtype (fp8). apart: keys that have to fit and are not put there: blocks,
    which the caller gives a layer of their own.
    Raises WeightsError that lists the first missing, unexpected and misshapen keys and says what the file seems to be.
    """
    expected = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    given = {key: shape_of(tensor) for key, tensor in state.items()}
    if expected != given:
        raise WeightsError(_misfit(expected, given, what))
    put = {key: tensor for key, tensor in state.items() if key not in apart}
    cast = {k: _cast(k, t, None if k in as_stored else dtype, device, keep_fp32) for k, t in put.items()}
    model.load_state_dict(cast, assign=True, strict=not apart)


def is_packed(tensor: Tensor) -> bool:
    """Whether a tensor is a GGUF file's blocks (diffusers' `GGUFParameter`), which stand for more values than bytes."""
    return hasattr(tensor, "quant_type")


def shape_of(tensor: Tensor) -> tuple[int, ...]:
    """The shape of the weights that a tensor is, or stands for."""
    return tuple(getattr(tensor, "quant_shape", tensor.shape))


def on_meta(tensor: Tensor) -> Tensor:
    """A tensor without its data, in the shape of `shape_of`."""
    import torch

    if is_packed(tensor):
        return torch.empty(shape_of(tensor), dtype=torch.float16, device="meta")
    return tensor.to("meta")


def _cast(
    key: str, tensor: Tensor, dtype: torch.dtype | None, device: Device | None, keep_fp32: Collection[str]
) -> Tensor:
    import torch

    target = dtype if tensor.is_floating_point() else None
    if target is not None and not set(key.split(".")).isdisjoint(keep_fp32):
        target = torch.float32
    return tensor.to(device=device or tensor.device, dtype=target or tensor.dtype)


def _misfit(expected: Mapping[str, tuple[int, ...]], given: Mapping[str, tuple[int, ...]], what: str) -> str:
    wrong = [key for key in expected if key in given and expected[key] != given[key]]
    parts = {
        "missing": [key for key in expected if key not in given],
        "unexpected": [key for key in given if key not in expected],
        "of another shape": [f"{key} is {list(given[key])}, not {list(expected[key])}" for key in wrong],
    }
    first = {name: ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "") for name, keys in parts.items()}
    found = [f"{len(keys)} {name} ({first[name]})" for name, keys in parts.items() if keys]
    return f"{what} does not fit: {'; '.join(found)}.{seems(given)}"


def seems(keys: Iterable[str]) -> str:
    """A sentence, with a leading space, on what kind of file this is; empty where `recognise` does not know."""
    kind = recognise(keys)
    return f" This seems to be {kind}." if kind else ""


# First match wins: (all of these key parts occur, none of these), what the file is.
_KINDS: tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...] = (
    (("lora_",), (), "a LoRA, which is applied to a model and is not one"),
    (("vace_blocks.0.", "patch_embedding."), (), "a Wan VACE transformer"),
    (("blocks.0.self_attn.q.", "img_emb."), (), "Wan I2V (image to video), not VACE"),
    (("blocks.0.self_attn.q.",), (), "Wan T2V (text to video), not VACE"),
    (("condition_embedder.image_embedder.",), (), "Wan I2V (image to video), not VACE"),
    (("condition_embedder.text_embedder.",), (), "Wan T2V (text to video), not VACE"),
    (("decoder.upsamples.0.upsamples.",), (), "the Wan 2.2 VAE; Wan VACE needs the Wan 2.1 VAE"),
    (("decoder.middle.0.residual.",), (), "the Wan 2.1 VAE"),
    (("decoder.up_blocks.", "quant_conv."), (), "a VAE"),
    (("first_stage_model.",), (), "a whole checkpoint of an image model"),
    (
        *(("SelfAttention.relative_attention_bias", "encoder.block.1."), ("block.1.layer.0.SelfAttention.relative",)),
        "T5 (as SD3 and Flux use it), not UMT5",
    ),
    (("SelfAttention.relative_attention_bias",), (), "a T5 or UMT5 text encoder"),
    (("token_embedding.", "blocks.0.attn.q."), (), "a UMT5 text encoder in Wan's own layout"),
    (("text_model.encoder.",), (), "a CLIP text encoder"),
    (("self_attn.q_proj.", "embed_tokens."), (), "a language model"),
    (("ln_in.", "seq_adjust."), (), "a Unison projector"),
    (("image_encoder.trunk.", "sam_mask_decoder."), (), "a SAM2"),
    (("transformer.tgt_embed.", "feat_map."), (), "a GroundingDINO"),
    (("depth_head.scratch.",), (), "a Depth-Anything"),
    (("double_blocks.",), (), "a Flux or Hunyuan model"),
    (("input_blocks.",), (), "a Stable Diffusion model"),
)


def recognise(keys: Iterable[str]) -> str | None:
    """What a file with these keys most likely is ("Wan T2V (text to video), not VACE"), or None."""
    text = "\n".join(keys)
    for present, absent, kind in _KINDS:
        if all(part in text for part in present) and not any(part in text for part in absent):
            return kind
    return None
