"""The key and shape sets of Wan's files, as pure arithmetic on names and shapes: no torch here.

Two spellings meet. *Original* is what Wan published and what ComfyUI detects; *diffusers* / *HF* is what the model
classes use. `*_shapes` give the original sets for any size; `*_config` read a model's size back from its shapes, so no
table of known widths is needed. `literal_pieces` edits the one other file, the sentencepiece tokenizer.
The sets were compared with those of ComfyUI 0.33's own model classes (1.3B, 14B, VAE).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

HEAD_DIM = 128  # every Wan transformer: heads = dim / 128
LATENT_CHANNELS = 16  # Wan 2.1 VAE
VACE_CHANNELS = 96  # inactive 16 + reactive 16 + mask 8x8 = 64
PATCH = (1, 2, 2)
BUCKETS = 32  # relative positions in every T5
DIM_MULT = (1, 2, 4, 4)
RESIDUAL_BLOCKS = 2


def _linear(name: str, width_in: int, width_out: int) -> dict[str, Shape]:
    return {f"{name}.weight": (width_out, width_in), f"{name}.bias": (width_out,)}


def _conv(name: str, channels_in: int, channels_out: int, kernel: Sequence[int]) -> dict[str, Shape]:
    return {f"{name}.weight": (channels_out, channels_in, *kernel), f"{name}.bias": (channels_out,)}


def _block(name: str, dim: int, ffn_dim: int) -> dict[str, Shape]:
    """One Wan block: self and cross attention with q and k norms, a normed cross input, a feed-forward, modulation."""
    shapes: dict[str, Shape] = {f"{name}.modulation": (1, 6, dim)}
    for attention in ("self_attn", "cross_attn"):
        for part in "qkvo":
            shapes |= _linear(f"{name}.{attention}.{part}", dim, dim)
        shapes |= {f"{name}.{attention}.norm_{part}.weight": (dim,) for part in "qk"}
    shapes |= {f"{name}.norm3.weight": (dim,), f"{name}.norm3.bias": (dim,)}
    return shapes | _linear(f"{name}.ffn.0", dim, ffn_dim) | _linear(f"{name}.ffn.2", ffn_dim, dim)


def wan_vace_shapes(
    dim: int, ffn_dim: int, num_layers: int, vace_layers: int, text_dim: int = 4096, freq_dim: int = 256,
    channels: int = LATENT_CHANNELS, vace_channels: int = VACE_CHANNELS,
) -> dict[str, Shape]:  # fmt: skip
    """Original keys and shapes of a Wan VACE transformer (1.3B: 1536, 8960, 30, 15 gives 1264 keys)."""
    shapes = _conv("patch_embedding", channels, dim, PATCH) | _conv("vace_patch_embedding", vace_channels, dim, PATCH)
    shapes |= _linear("text_embedding.0", text_dim, dim) | _linear("text_embedding.2", dim, dim)
    shapes |= _linear("time_embedding.0", freq_dim, dim) | _linear("time_embedding.2", dim, dim)
    shapes |= _linear("time_projection.1", dim, 6 * dim)
    for index in range(num_layers):
        shapes |= _block(f"blocks.{index}", dim, ffn_dim)
    for index in range(vace_layers):
        shapes |= _block(f"vace_blocks.{index}", dim, ffn_dim) | _linear(f"vace_blocks.{index}.after_proj", dim, dim)
    shapes |= _linear("vace_blocks.0.before_proj", dim, dim) | {"head.modulation": (1, 2, dim)}
    return shapes | _linear("head.head", dim, channels * PATCH[0] * PATCH[1] * PATCH[2])


def _residual(name: str, channels_in: int, channels_out: int) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {f"{name}.residual.0.gamma": (channels_in, 1, 1, 1)}
    shapes |= _conv(f"{name}.residual.2", channels_in, channels_out, (3, 3, 3))
    shapes |= {f"{name}.residual.3.gamma": (channels_out, 1, 1, 1)}
    shapes |= _conv(f"{name}.residual.6", channels_out, channels_out, (3, 3, 3))
    if channels_in != channels_out:
        shapes |= _conv(f"{name}.shortcut", channels_in, channels_out, (1, 1, 1))
    return shapes


def _middle(name: str, channels: int) -> dict[str, Shape]:
    shapes = _residual(f"{name}.0", channels, channels) | _residual(f"{name}.2", channels, channels)
    shapes |= {f"{name}.1.norm.gamma": (channels, 1, 1)} | _conv(f"{name}.1.to_qkv", channels, 3 * channels, (1, 1))
    return shapes | _conv(f"{name}.1.proj", channels, channels, (1, 1))


def _head(name: str, channels_in: int, channels_out: int) -> dict[str, Shape]:
    return {f"{name}.0.gamma": (channels_in, 1, 1, 1)} | _conv(f"{name}.2", channels_in, channels_out, (3, 3, 3))


def wan_vae_shapes(
    dim: int, z_dim: int = LATENT_CHANNELS, dim_mult: Sequence[int] = DIM_MULT,
    time_downsample: Sequence[bool] = (False, True, True), image_channels: int = 3,
) -> dict[str, Shape]:  # fmt: skip
    """Original keys and shapes of a Wan 2.1 VAE with two residual blocks a level (the real one: dim 96)."""
    return {
        **_encoder(dim, z_dim, dim_mult, time_downsample, image_channels),
        **_conv("conv1", 2 * z_dim, 2 * z_dim, (1, 1, 1)),
        **_conv("conv2", z_dim, z_dim, (1, 1, 1)),
        **_decoder(dim, z_dim, dim_mult, time_downsample, image_channels),
    }


def _encoder(dim: int, z_dim: int, mult: Sequence[int], time: Sequence[bool], channels: int) -> dict[str, Shape]:
    shapes, width, index = _conv("encoder.conv1", channels, dim, (3, 3, 3)), dim, 0
    for level, factor in enumerate(mult):
        for _ in range(RESIDUAL_BLOCKS):
            shapes |= _residual(f"encoder.downsamples.{index}", width, dim * factor)
            width, index = dim * factor, index + 1
        if level < len(mult) - 1:
            shapes |= _conv(f"encoder.downsamples.{index}.resample.1", width, width, (3, 3))
            if time[level]:
                shapes |= _conv(f"encoder.downsamples.{index}.time_conv", width, width, (3, 1, 1))
            index += 1
    return shapes | _middle("encoder.middle", width) | _head("encoder.head", width, 2 * z_dim)


def _decoder(dim: int, z_dim: int, mult: Sequence[int], time: Sequence[bool], channels: int) -> dict[str, Shape]:
    width, index = dim * mult[-1], 0
    shapes = _conv("decoder.conv1", z_dim, width, (3, 3, 3)) | _middle("decoder.middle", width)
    for level, factor in enumerate(reversed(mult)):
        for _ in range(RESIDUAL_BLOCKS + 1):
            shapes |= _residual(f"decoder.upsamples.{index}", width, dim * factor)
            width, index = dim * factor, index + 1
        if level < len(mult) - 1:
            shapes |= _conv(f"decoder.upsamples.{index}.resample.1", width, width // 2, (3, 3))
            if tuple(reversed(time))[level]:
                shapes |= _conv(f"decoder.upsamples.{index}.time_conv", width, 2 * width, (3, 1, 1))
            width, index = width // 2, index + 1
    return shapes | _head("decoder.head", width, channels)


def umt5_shapes(
    vocab: int = 256384, d_model: int = 4096, d_ff: int = 10240, heads: int = 64, d_kv: int = 64, layers: int = 24
) -> dict[str, Shape]:
    """HF keys and shapes of a UMT5 encoder, the spelling in ComfyUI's files; the defaults are UMT5-XXL."""
    shapes: dict[str, Shape] = {"shared.weight": (vocab, d_model), "encoder.final_layer_norm.weight": (d_model,)}
    for index in range(layers):
        attention, feed = f"encoder.block.{index}.layer.0", f"encoder.block.{index}.layer.1"
        shapes |= {f"{attention}.SelfAttention.{part}.weight": (heads * d_kv, d_model) for part in "qkv"}
        shapes |= {
            f"{attention}.SelfAttention.o.weight": (d_model, heads * d_kv),
            f"{attention}.SelfAttention.relative_attention_bias.weight": (BUCKETS, heads),
            f"{attention}.layer_norm.weight": (d_model,),
            f"{feed}.DenseReluDense.wi_0.weight": (d_ff, d_model),
            f"{feed}.DenseReluDense.wi_1.weight": (d_ff, d_model),
            f"{feed}.DenseReluDense.wo.weight": (d_model, d_ff),
            f"{feed}.layer_norm.weight": (d_model,),
        }
    return shapes


# Wan's own UMT5 spelling -> HF's, after `blocks.N.` became `encoder.block.N.layer.` (0 attends, 1 feeds forward).
_UMT5_BLOCK = {
    "norm1": "0.layer_norm",
    "attn.q": "0.SelfAttention.q",
    "attn.k": "0.SelfAttention.k",
    "attn.v": "0.SelfAttention.v",
    "attn.o": "0.SelfAttention.o",
    "pos_embedding.embedding": "0.SelfAttention.relative_attention_bias",
    "norm2": "1.layer_norm",
    "ffn.gate.0": "1.DenseReluDense.wi_0",
    "ffn.fc1": "1.DenseReluDense.wi_1",
    "ffn.fc2": "1.DenseReluDense.wo",
}
# llama.cpp's spelling, behind `enc.blk.N.`.
_UMT5_GGUF_BLOCK = {
    "attn_norm": "0.layer_norm",
    "attn_q": "0.SelfAttention.q",
    "attn_k": "0.SelfAttention.k",
    "attn_v": "0.SelfAttention.v",
    "attn_o": "0.SelfAttention.o",
    "attn_rel_b": "0.SelfAttention.relative_attention_bias",
    "ffn_norm": "1.layer_norm",
    "ffn_gate": "1.DenseReluDense.wi_0",
    "ffn_up": "1.DenseReluDense.wi_1",
    "ffn_down": "1.DenseReluDense.wo",
}
_UMT5_TOP = {
    "token_embedding": "shared",
    "norm": "encoder.final_layer_norm",
    "token_embd": "shared",
    "enc.output_norm": "encoder.final_layer_norm",
}


def umt5_hf_key(key: str) -> str:
    """A key of `models_t5_umt5-xxl-enc-*.pth`, or of a GGUF file, in HF's spelling; any other key unchanged."""
    stem, _, last = key.rpartition(".")
    if stem in _UMT5_TOP:
        return f"{_UMT5_TOP[stem]}.{last}"
    match = re.fullmatch(r"enc\.blk\.(\d+)\.(.+)", stem)
    if match and match[2] in _UMT5_GGUF_BLOCK:
        return f"encoder.block.{match[1]}.layer.{_UMT5_GGUF_BLOCK[match[2]]}.{last}"
    match = re.fullmatch(r"blocks\.(\d+)\.(.+)", stem)
    if match and match[2] in _UMT5_BLOCK:
        return f"encoder.block.{match[1]}.layer.{_UMT5_BLOCK[match[2]]}.{last}"
    return key


def count(keys: Iterable[str], prefix: str) -> int:
    """How many consecutive indices from 0 follow `prefix` (as "blocks.") in `keys`."""
    found = {match[1] for key in keys if (match := re.match(re.escape(prefix) + r"(\d+)\.", key))}
    return next(index for index in range(len(found) + 1) if str(index) not in found)


def vace_config(shapes: Shapes) -> dict[str, Any]:
    """WanVACETransformer3DModel's arguments from diffusers keys and shapes; KeyError where it is no such model.

    VACE blocks go to main blocks 0, s, 2s, ... with s = layers // VACE layers, as the host maps them.
    """
    dim, channels = shapes["patch_embedding.weight"][:2]
    layers, vace_layers = count(shapes, "blocks."), count(shapes, "vace_blocks.")
    if dim % HEAD_DIM or not layers or not 0 < vace_layers <= layers:
        raise KeyError(f"width {dim}, {layers} blocks, {vace_layers} VACE blocks")
    return {
        "patch_size": shapes["patch_embedding.weight"][2:],
        "num_attention_heads": dim // HEAD_DIM,
        "attention_head_dim": HEAD_DIM,
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0] // (PATCH[0] * PATCH[1] * PATCH[2]),
        "text_dim": shapes["condition_embedder.text_embedder.linear_1.weight"][1],
        "freq_dim": shapes["condition_embedder.time_embedder.linear_1.weight"][1],
        "ffn_dim": shapes["blocks.0.ffn.net.0.proj.weight"][0],
        "num_layers": layers,
        "vace_layers": [index * (layers // vace_layers) for index in range(vace_layers)],
        "vace_in_channels": shapes["vace_patch_embedding.weight"][1],
        "cross_attn_norm": "blocks.0.norm2.weight" in shapes,
    }


def vae_config(shapes: Shapes) -> dict[str, Any]:
    """AutoencoderKLWan's arguments from diffusers keys and shapes; KeyError where it is no Wan 2.1 VAE."""
    base = shapes["encoder.conv_in.weight"][0]
    if shapes["post_quant_conv.weight"][0] != LATENT_CHANNELS:
        raise KeyError("latent channels")
    starts = range(0, len(DIM_MULT) * (RESIDUAL_BLOCKS + 1), RESIDUAL_BLOCKS + 1)
    return {
        "base_dim": base,
        "decoder_base_dim": shapes["decoder.norm_out.gamma"][0],
        "z_dim": LATENT_CHANNELS,
        "dim_mult": [shapes[f"encoder.down_blocks.{index}.conv2.weight"][0] // base for index in starts],
        "num_res_blocks": RESIDUAL_BLOCKS,
        "temperal_downsample": [f"encoder.down_blocks.{index - 1}.time_conv.weight" in shapes for index in starts[1:]],
        "in_channels": shapes["encoder.conv_in.weight"][1],
        "out_channels": shapes["decoder.conv_out.weight"][0],
    }


def umt5_config(shapes: Shapes) -> dict[str, Any]:
    """UMT5Config's arguments from HF keys and shapes; KeyError where it is no UMT5 encoder."""
    first = "encoder.block.0.layer"
    buckets, heads = shapes[f"{first}.0.SelfAttention.relative_attention_bias.weight"]
    layers = count(shapes, "encoder.block.")
    if f"encoder.block.{layers - 1}.layer.0.SelfAttention.relative_attention_bias.weight" not in shapes:
        raise KeyError("relative_attention_bias in every block")
    return {
        "vocab_size": shapes["shared.weight"][0],
        "d_model": shapes["shared.weight"][1],
        "d_kv": shapes[f"{first}.0.SelfAttention.q.weight"][0] // heads,
        "d_ff": shapes[f"{first}.1.DenseReluDense.wi_0.weight"][0],
        "num_heads": heads,
        "num_layers": layers,
        "relative_attention_num_buckets": buckets,
        "feed_forward_proj": "gated-gelu",
    }
