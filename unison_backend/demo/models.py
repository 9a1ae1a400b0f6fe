"""The demo set's weights: small Wan VACE, Wan VAE, UMT5, Qwen2.5-VL and projector, seeded and untrained.

They have the real models' key sets, layouts and text width, so that every loader, here and in the host, takes them for
the real ones. What they make is noise. Norms are 1, biases 0, everything else is normal and scaled by its fan-in, which
keeps activations of order one through every model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import wan_layouts as layouts
from . import tokens

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# Wan: width, feed-forward, blocks, VACE blocks; text width 4096 as the real one, since projectors write that.
WAN = {"dim": 256, "ffn_dim": 512, "num_layers": 4, "vace_layers": 2}
VAE_DIM = 16
TEXT = {"vocab": tokens.SPIECE_PIECES, "d_model": 4096, "d_ff": 32, "heads": 2, "d_kv": 16, "layers": 2}

HIDDEN, FEED, LAYERS, HEADS, KV_HEADS = 64, 128, 2, 4, 2  # Qwen text model
V_HIDDEN, V_FEED, V_LAYERS, V_HEADS, PATCH, MERGE = 32, 64, 2, 2, 14, 2  # Qwen vision tower
ROWS = math.ceil((tokens.TOKENS + 1) / 64) * 64  # embedding rows: more than tokens, as Qwen's are
PROJECTOR_HIDDEN, PROJECTOR_OUT, PROJECTOR_ROWS, PROJECTOR_TOKENS = 128, 4096, 56, 4

MIN_PIXELS, MAX_PIXELS = 56 * 56, 28 * 28 * 64


def write_wan(path: Path) -> None:
    """Wan VACE in Wan's own keys, fp16."""
    _save(path, _random(layouts.wan_vace_shapes(**WAN), seed=1), "float16")


def write_vae(path: Path) -> None:
    """Wan 2.1 VAE in Wan's own keys, fp16."""
    _save(path, _random(layouts.wan_vae_shapes(VAE_DIM), seed=2), "float16")


def write_text_encoder(path: Path) -> None:
    """UMT5 in HF keys with its sentencepiece file as the uint8 tensor `spiece_model`, fp16."""
    import torch

    weights = _random(layouts.umt5_shapes(**TEXT), seed=3)
    spiece = torch.frombuffer(bytearray(tokens.train_sentencepiece()), dtype=torch.uint8)
    _save(path, weights, "float16", extra={"spiece_model": spiece})


def write_projector(path: Path) -> None:
    """The projector from Qwen's hidden rows to 4 rows of text width, fp16."""
    shapes = {
        **_layer("ln_in", (HIDDEN,)),
        **_layer("net.0", (PROJECTOR_HIDDEN, HIDDEN)),
        **_layer("net.3", (PROJECTOR_OUT, PROJECTOR_HIDDEN)),
        **_layer("ln_out", (PROJECTOR_OUT,)),
        **_layer("seq_adjust", (PROJECTOR_TOKENS, PROJECTOR_ROWS)),
    }
    _save(path, _random(shapes, seed=4), "float16")


def write_planner(folder: Path) -> None:
    """A Qwen2.5-VL folder as the hub has them: flat config, hub keys, bf16, tokenizer and processors."""
    folder.mkdir()
    tokens.write_qwen_tokenizer(folder)
    _save(folder / "model.safetensors", _random(_qwen_shapes(), seed=5), "bfloat16")
    tokens.write_json(folder / "config.json", _qwen_config())
    ends = [tokens.token_id("<|im_end|>"), tokens.token_id("<|endoftext|>")]
    generation = {"bos_token_id": ends[1], "pad_token_id": ends[1], "eos_token_id": ends, "do_sample": False}
    tokens.write_json(folder / "generation_config.json", generation)
    image = {"image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor"}
    video = {"video_processor_type": "Qwen2VLVideoProcessor", "processor_class": "Qwen2_5_VLProcessor"}
    tokens.write_json(folder / "preprocessor_config.json", _pixels() | image)
    tokens.write_json(folder / "video_preprocessor_config.json", _pixels() | video)


def _pixels() -> dict[str, Any]:
    """Qwen2.5-VL's preprocessing; the mean and deviation are CLIP's."""
    return {
        "min_pixels": MIN_PIXELS,
        "max_pixels": MAX_PIXELS,
        "patch_size": PATCH,
        "temporal_patch_size": 2,
        "merge_size": MERGE,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }


def _qwen_config() -> dict[str, Any]:
    return {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "hidden_size": HIDDEN,
        "intermediate_size": FEED,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "hidden_act": "silu",
        "max_position_embeddings": 32768,
        "max_window_layers": LAYERS,
        "use_sliding_window": False,
        "sliding_window": 32768,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},  # their sum is half a head
        "vocab_size": ROWS,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "bos_token_id": tokens.token_id("<|endoftext|>"),
        "eos_token_id": tokens.token_id("<|im_end|>"),
        "pad_token_id": tokens.token_id("<|endoftext|>"),
        "vision_start_token_id": tokens.token_id("<|vision_start|>"),
        "vision_end_token_id": tokens.token_id("<|vision_end|>"),
        "vision_token_id": tokens.token_id("<|vision_pad|>"),
        "image_token_id": tokens.token_id("<|image_pad|>"),
        "video_token_id": tokens.token_id("<|video_pad|>"),
        "vision_config": {
            "model_type": "qwen2_5_vl",
            "depth": V_LAYERS,
            "hidden_act": "silu",
            "hidden_size": V_HIDDEN,
            "intermediate_size": V_FEED,
            "num_heads": V_HEADS,
            "in_chans": 3,
            "out_hidden_size": HIDDEN,
            "patch_size": PATCH,
            "spatial_patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "tokens_per_second": 2,
            "window_size": 112,
            "fullatt_block_indexes": [V_LAYERS - 1],
        },
    }


def _layer(name: str, weight: layouts.Shape) -> dict[str, layouts.Shape]:
    return {f"{name}.weight": weight, f"{name}.bias": weight[:1]}


def _qwen_shapes() -> dict[str, layouts.Shape]:
    """Hub keys of Qwen2.5-VL."""
    shapes: dict[str, layouts.Shape] = {f"{name}.weight": (ROWS, HIDDEN) for name in ("model.embed_tokens", "lm_head")}
    shapes["model.norm.weight"] = (HIDDEN,)
    kv_width = HIDDEN * KV_HEADS // HEADS
    for index in range(LAYERS):
        block = f"model.layers.{index}"
        shapes |= {f"{block}.{name}_layernorm.weight": (HIDDEN,) for name in ("input", "post_attention")}
        for part, width in (("q", HIDDEN), ("k", kv_width), ("v", kv_width)):
            shapes |= _layer(f"{block}.self_attn.{part}_proj", (width, HIDDEN))
        shapes[f"{block}.self_attn.o_proj.weight"] = (HIDDEN, HIDDEN)
        shapes |= {f"{block}.mlp.{name}_proj.weight": (FEED, HIDDEN) for name in ("gate", "up")}
        shapes[f"{block}.mlp.down_proj.weight"] = (HIDDEN, FEED)
    return shapes | _vision_shapes()


def _vision_shapes() -> dict[str, layouts.Shape]:
    shapes: dict[str, layouts.Shape] = {"visual.patch_embed.proj.weight": (V_HIDDEN, 3, 2, PATCH, PATCH)}
    for index in range(V_LAYERS):
        block = f"visual.blocks.{index}"
        shapes |= {f"{block}.norm{number}.weight": (V_HIDDEN,) for number in (1, 2)}
        shapes |= _layer(f"{block}.attn.qkv", (3 * V_HIDDEN, V_HIDDEN)) | _layer(f"{block}.attn.proj", (V_HIDDEN,) * 2)
        for name, shape in (("gate", (V_FEED, V_HIDDEN)), ("up", (V_FEED, V_HIDDEN)), ("down", (V_HIDDEN, V_FEED))):
            shapes |= _layer(f"{block}.mlp.{name}_proj", shape)
    merged = V_HIDDEN * MERGE * MERGE
    shapes |= {"visual.merger.ln_q.weight": (V_HIDDEN,)} | _layer("visual.merger.mlp.0", (merged, merged))
    return shapes | _layer("visual.merger.mlp.2", (HIDDEN, merged))


def _random(shapes: Mapping[str, layouts.Shape], seed: int) -> dict[str, Tensor]:
    """fp32 tensors of these shapes, the same on every call with one torch version."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    return {key: _initial(key, shapes[key], generator) for key in sorted(shapes)}


def _initial(key: str, shape: layouts.Shape, generator: torch.Generator) -> Tensor:
    import torch

    if key.endswith(".bias"):
        return torch.zeros(shape)
    if key.endswith(".gamma") or len(shape) == 1:  # norms
        return torch.ones(shape)
    fan_in = shape[-1] if key.endswith("modulation") else math.prod(shape[1:])
    if key == "shared.weight" or "embed_tokens" in key or "relative_attention_bias" in key:
        fan_in = 1
    return torch.randn(shape, generator=generator) / math.sqrt(fan_in)


def _save(path: Path, weights: Mapping[str, Tensor], dtype: str, extra: Mapping[str, Tensor] | None = None) -> None:
    import torch
    from safetensors.torch import save_file

    tensors = {key: tensor.to(getattr(torch, dtype)) for key, tensor in weights.items()}
    save_file(tensors | dict(extra or {}), path, metadata={"format": "pt"})
