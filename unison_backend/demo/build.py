"""The demo set's weights: small Wan VACE, Wan VAE, UMT5, Qwen2.5-VL and projector, seeded and untrained.

They have the real models' key sets, layouts and text width, so that every loader, here and in the host, takes them for
the real ones. What they make is noise. Norms are 1, biases 0, everything else is normal and scaled by its fan-in, which
keeps activations of order one through every model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..weights import wan_layouts as layouts
from . import tokenizers as tokens

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# Wan: width, feed-forward, blocks, VACE blocks; text width 4096 as the real one, since projectors write that.
WAN = {"dim": 256, "ffn_dim": 512, "num_layers": 4, "vace_layers": 2}
VAE_DIM = 16
TEXT = {"vocab": tokens.SPIECE_PIECES, "d_model": 4096, "d_ff": 32, "heads": 2, "d_kv": 16, "layers": 2}

PATCH, MERGE = 14, 2  # Qwen's vision tower, of any size
ROWS = math.ceil((tokens.TOKENS + 1) / 64) * 64  # embedding rows: more than tokens, as Qwen's are
PROJECTOR_HIDDEN, PROJECTOR_OUT, PROJECTOR_ROWS, PROJECTOR_TOKENS = 128, 4096, 56, 4

MIN_PIXELS, MAX_PIXELS = 56 * 56, 28 * 28 * 64


@dataclass(frozen=True)
class QwenSize:
    """Widths and depths of a Qwen2.5-VL: text model and vision tower. min_pixels: smaller media are enlarged.

    rope_theta: of the text model. Rows and columns get the slow half of its frequencies, too slow for a grid of 4x4.
    """

    hidden: int = 64
    feed: int = 128
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    mrope: tuple[int, int, int] = (2, 3, 3)  # their sum is half a head
    vision_hidden: int = 32
    vision_feed: int = 64
    vision_layers: int = 2
    vision_heads: int = 2
    min_pixels: int = MIN_PIXELS
    rope_theta: float = 1e6


SMALL = QwenSize()


def write_wan(path: Path) -> None:
    """Wan VACE in Wan's own keys, fp16."""
    _save(path, _random(layouts.wan_vace_shapes(**WAN), seed=1), "float16")


def write_vae(path: Path, dim: int = VAE_DIM) -> None:
    """Wan 2.1 VAE of base width `dim` in Wan's own keys, fp16."""
    _save(path, _random(layouts.wan_vae_shapes(dim), seed=2), "float16")


def write_text_encoder(path: Path, sizes: Mapping[str, int] = TEXT, spiece: bytes = b"") -> None:
    """UMT5 in HF keys with its sentencepiece file (default: of the corpus) as the uint8 tensor `spiece_model`, fp16."""
    import torch

    weights = _random(layouts.umt5_shapes(**sizes), seed=3)
    tokenizer = torch.frombuffer(bytearray(spiece or tokens.train_sentencepiece()), dtype=torch.uint8)
    _save(path, weights, "float16", extra={"spiece_model": tokenizer})


def write_projector(path: Path, size: QwenSize = SMALL) -> None:
    """The projector from Qwen's hidden rows to 4 rows of text width, fp16."""
    shapes = {
        **_layer("ln_in", (size.hidden,)),
        **_layer("net.0", (PROJECTOR_HIDDEN, size.hidden)),
        **_layer("net.3", (PROJECTOR_OUT, PROJECTOR_HIDDEN)),
        **_layer("ln_out", (PROJECTOR_OUT,)),
        **_layer("seq_adjust", (PROJECTOR_TOKENS, PROJECTOR_ROWS)),
    }
    _save(path, _random(shapes, seed=4), "float16")


def write_planner(folder: Path, size: QwenSize = SMALL, sentences: Sequence[str] = ()) -> None:
    """A Qwen2.5-VL folder as the hub has them: flat config, hub keys, bf16, tokenizer and processors.

    sentences: what the tokenizer is trained on (default: the corpus).
    """
    folder.mkdir()
    tokens.write_qwen_tokenizer(folder, sentences)
    _save(folder / "model.safetensors", _random(_qwen_shapes(size), seed=5), "bfloat16")
    tokens.write_json(folder / "config.json", _qwen_config(size))
    ends = [tokens.token_id("<|im_end|>"), tokens.token_id("<|endoftext|>")]
    generation = {"bos_token_id": ends[1], "pad_token_id": ends[1], "eos_token_id": ends, "do_sample": False}
    tokens.write_json(folder / "generation_config.json", generation)
    image = {"image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor"}
    video = {"video_processor_type": "Qwen2VLVideoProcessor", "processor_class": "Qwen2_5_VLProcessor"}
    tokens.write_json(folder / "preprocessor_config.json", _pixels(size) | image)
    tokens.write_json(folder / "video_preprocessor_config.json", _pixels(size) | video)


def _pixels(size: QwenSize) -> dict[str, Any]:
    """Qwen2.5-VL's preprocessing; the mean and deviation are CLIP's."""
    return {
        "min_pixels": size.min_pixels,
        "max_pixels": MAX_PIXELS,
        "patch_size": PATCH,
        "temporal_patch_size": 2,
        "merge_size": MERGE,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }


def _qwen_config(size: QwenSize) -> dict[str, Any]:
    return {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "hidden_size": size.hidden,
        "intermediate_size": size.feed,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.kv_heads,
        "hidden_act": "silu",
        "max_position_embeddings": 32768,
        "max_window_layers": size.layers,
        "use_sliding_window": False,
        "sliding_window": 32768,
        "rms_norm_eps": 1e-06,
        "rope_theta": size.rope_theta,
        "rope_scaling": {"type": "mrope", "mrope_section": list(size.mrope)},
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
            "depth": size.vision_layers,
            "hidden_act": "silu",
            "hidden_size": size.vision_hidden,
            "intermediate_size": size.vision_feed,
            "num_heads": size.vision_heads,
            "in_chans": 3,
            "out_hidden_size": size.hidden,
            "patch_size": PATCH,
            "spatial_patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "tokens_per_second": 2,
            "window_size": 112,
            "fullatt_block_indexes": [size.vision_layers - 1],
        },
    }


def _layer(name: str, weight: layouts.Shape) -> dict[str, layouts.Shape]:
    return {f"{name}.weight": weight, f"{name}.bias": weight[:1]}


def _qwen_shapes(size: QwenSize) -> dict[str, layouts.Shape]:
    """Hub keys of Qwen2.5-VL."""
    hidden, feed = size.hidden, size.feed
    shapes: dict[str, layouts.Shape] = {f"{name}.weight": (ROWS, hidden) for name in ("model.embed_tokens", "lm_head")}
    shapes["model.norm.weight"] = (hidden,)
    kv_width = hidden * size.kv_heads // size.heads
    for index in range(size.layers):
        block = f"model.layers.{index}"
        shapes |= {f"{block}.{name}_layernorm.weight": (hidden,) for name in ("input", "post_attention")}
        for part, width in (("q", hidden), ("k", kv_width), ("v", kv_width)):
            shapes |= _layer(f"{block}.self_attn.{part}_proj", (width, hidden))
        shapes[f"{block}.self_attn.o_proj.weight"] = (hidden, hidden)
        shapes |= {f"{block}.mlp.{name}_proj.weight": (feed, hidden) for name in ("gate", "up")}
        shapes[f"{block}.mlp.down_proj.weight"] = (hidden, feed)
    return shapes | _vision_shapes(size)


def _vision_shapes(size: QwenSize) -> dict[str, layouts.Shape]:
    hidden, feed = size.vision_hidden, size.vision_feed
    shapes: dict[str, layouts.Shape] = {"visual.patch_embed.proj.weight": (hidden, 3, 2, PATCH, PATCH)}
    for index in range(size.vision_layers):
        block = f"visual.blocks.{index}"
        shapes |= {f"{block}.norm{number}.weight": (hidden,) for number in (1, 2)}
        shapes |= _layer(f"{block}.attn.qkv", (3 * hidden, hidden)) | _layer(f"{block}.attn.proj", (hidden,) * 2)
        for name, shape in (("gate", (feed, hidden)), ("up", (feed, hidden)), ("down", (hidden, feed))):
            shapes |= _layer(f"{block}.mlp.{name}_proj", shape)
    merged = hidden * MERGE * MERGE
    shapes |= {"visual.merger.ln_q.weight": (hidden,)} | _layer("visual.merger.mlp.0", (merged, merged))
    return shapes | _layer("visual.merger.mlp.2", (size.hidden, merged))


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
