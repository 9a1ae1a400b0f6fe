"""Untrained vision-language models of the real configurations, tiny, with the embedded tokenizer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from unison_backend.plan.tokens import ADDED_TOKENS
from unison_backend.planner.qwen import single_file

NAME = "qwen_2.5_vl_7b_fp8_scaled.safetensors"
SMALL = ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", "chat_template.json")
WIDTH = 256
# The hub's config.json of the 7B, with the embedded tokenizer's ids and tiny sizes.
CONFIG = {
    **{"architectures": ["Qwen2_5_VLForConditionalGeneration"], "model_type": "qwen2_5_vl", "hidden_act": "silu"},
    **{"hidden_size": WIDTH, "intermediate_size": 96, "num_hidden_layers": 2, "max_position_embeddings": 128000},
    **{"num_attention_heads": 2, "num_key_value_heads": 1, "rms_norm_eps": 1e-6, "vocab_size": 1088},
    **{"rope_theta": 1000000.0, "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}},
    **{
        "use_sliding_window": False,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "bos_token_id": 1024,
        "eos_token_id": 1026,
    },
    **{"vision_start_token_id": 1033, "vision_end_token_id": 1034, "image_token_id": 1036, "video_token_id": 1037},
    "vision_config": {
        **{"model_type": "qwen2_5_vl", "depth": 2, "hidden_act": "silu", "hidden_size": 64, "intermediate_size": 96},
        **{"num_heads": 16, "in_chans": 3, "out_hidden_size": WIDTH, "patch_size": 14, "spatial_merge_size": 2},
        **{"temporal_patch_size": 2, "tokens_per_second": 2, "window_size": 112},
        "fullatt_block_indexes": [7, 15, 23, 31],
    },
}


def plain(source: Path, folder: Path) -> Path:
    """The embedded Qwen2.5-VL without planning weights: its head is its embedding."""
    shutil.copytree(source, folder)
    weights = load_file(folder / "model.safetensors")
    weights.pop("lm_head.weight", None)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = folder / "config.json"
    told = json.loads(config.read_text(encoding="utf-8")) | {"tie_word_embeddings": True}
    config.write_text(json.dumps(told), encoding="utf-8")
    return folder


def as_the_hub(source: Path, folder: Path) -> Path:
    """A random Qwen2.5-VL folder, of the released configuration in all that no shape tells, in bf16."""
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    (folder / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    torch.manual_seed(0)
    model = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig.from_pretrained(folder))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            spread = 0.3 if parameter.ndim == 1 else parameter[0].numel() ** -0.5
            parameter.normal_(float("norm" in name and parameter.ndim == 1), spread)
    state = {_as_hub(key): tensor.bfloat16().contiguous() for key, tensor in model.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _as_hub(key: str) -> str:
    return key.replace("model.language_model.", "model.").replace("model.visual.", "visual.")


def in_one_file(folder: Path, place: Path, weights: dict[str, Tensor]) -> Path:
    """The weights as a file in a models folder, and the tokenizer where a download puts it."""
    small = place / single_file.TOKENIZER_FOLDER
    small.mkdir(parents=True)
    for name in SMALL:
        if (folder / name).is_file():
            shutil.copy(folder / name, small / name)
    (place / "text_encoders").mkdir()
    save_file(weights, place / "text_encoders" / NAME)
    return place / "text_encoders" / NAME


def forget_signals(folder: Path) -> None:
    """Take the plan's tokens out of a tokenizer, as a published one has none."""
    told = {name: json.loads((folder / name).read_text(encoding="utf-8")) for name in SMALL[:2]}
    words, config = told.values()
    words["added_tokens"] = [entry for entry in words["added_tokens"] if entry["content"] not in ADDED_TOKENS]
    kept = {
        number: entry
        for number, entry in config["added_tokens_decoder"].items()
        if entry["content"] not in ADDED_TOKENS
    }
    config["added_tokens_decoder"] = kept
    others = config["additional_special_tokens"]
    config["additional_special_tokens"] = [token for token in others if token not in ADDED_TOKENS]
    for name, values in told.items():
        (folder / name).write_text(json.dumps(values), encoding="utf-8")


def qwen3(source: Path, folder: Path) -> Path:
    """A random Qwen3-VL with the tokenizer of `source`, a Qwen2.5-VL."""
    import torch
    from transformers import (
        AutoTokenizer,
        Qwen2VLImageProcessor,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    tokenizer = AutoTokenizer.from_pretrained(source)
    ids = {f"{name}_token_id": tokenizer.convert_tokens_to_ids(f"<|{name}_pad|>") for name in ("image", "video")}
    ids |= {f"vision_{end}_token_id": tokenizer.convert_tokens_to_ids(f"<|vision_{end}|>") for end in ("start", "end")}
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "mrope_interleaved": True}
    text = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "rope_scaling": rope,
    }  # fmt: skip
    vision = {
        "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 32, "patch_size": 16,
        "deepstack_visual_indexes": [0], "num_position_embeddings": 64,
    }  # fmt: skip
    config = Qwen3VLConfig(text_config=text, vision_config=vision, **ids)
    torch.manual_seed(0)
    model = Qwen3VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    pictures = Qwen2VLImageProcessor(patch_size=16, size={"shortest_edge": 1024, "longest_edge": 65536})
    Qwen3VLProcessor(pictures, tokenizer, Qwen3VLVideoProcessor(), tokenizer.chat_template).save_pretrained(folder)
    return folder
