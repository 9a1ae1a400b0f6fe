"""A Qwen2.5-VL in one file, as ComfyUI's models come: 16 bit, or scaled fp8, which stays so in the linear layers.

All sizes are read from shapes; what no shape tells is the same in every released size. The file holds no tokenizer: its
small files are looked for beside it, in a models folder, and in the ComfyUI that it lies in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import WeightsError
from ...weights import fp8
from ...weights.config_limits import check_processor
from ...weights.fit import assign, seems
from ...weights.folder import PLANNER_TYPE
from ...weights.needs import TOKENIZER_ITEM
from ...weights.roots import user_folder
from ...weights.state import dequantize, load_state_dict
from ...weights.tokenizer_files import TOKENIZER, check_tokenizer
from ...weights.wan_layouts import count
from .adapters import in_memory
from .checkpoint import HEAD, Folder, mark_tied, read_folder

if TYPE_CHECKING:
    import torch
    from torch import Tensor

TOKENIZER_FOLDER = "unison/qwen2.5-vl-tokenizer"
"""In a models folder: where the small files go that a weights file lacks."""
_HOSTS = "comfy/text_encoders/qwen25_tokenizer"
_WIDTH = 128  # of a head of the language model
_VISION_HEADS = 16
_OWN_HEAD = 3584  # models of this width (7B) or more have a head of their own; the 3B's is its embedding
_TOWER = "visual.patch_embed.proj.weight"
# What the hub's preprocessor_config.json says for every size; the tokenizer that ComfyUI brings has none beside it.
_PICTURES: dict[str, Any] = {
    **{"size": {"shortest_edge": 56 * 56, "longest_edge": 12_845_056}},
    **{"patch_size": 14, "temporal_patch_size": 2, "merge_size": 2},
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}

Shapes = dict[str, tuple[int, ...]]


def read_planner(path: Path, small: Path | None = None) -> Folder:
    """What is in a Qwen2.5-VL folder, or in one file (`small` as in `read_file`). Raises WeightsError."""
    return read_file(path, small) if path.is_file() else read_folder(path)


def read_file(file: Path, small: Path | None = None) -> Folder:
    """What is in a Qwen2.5-VL file, from its header. small: where its tokenizer may lie besides the usual places.

    Raises WeightsError for another model, one without vision tower or head, and where there is no tokenizer.
    """
    import torch

    stored = load_state_dict(file, device="meta")
    tensors = dequantize(stored, torch.bfloat16, what=str(file))
    shapes = {in_memory(key): tuple(tensor.shape) for key, tensor in tensors.items()}
    config = _config(shapes, file, seems(stored))
    beside = small_files(file, small)
    check_processor(beside)
    check_tokenizer(beside)
    return Folder(file, config, tensors, (file,), beside)


def small_files(file: Path, given: Path | None = None) -> Path:
    """The folder of the tokenizer for a weights file: one of its own before one downloaded, `given`, ComfyUI's."""
    for folder in _places(file, given):
        if (folder / TOKENIZER).is_file() or ((folder / "merges.txt").is_file() and (folder / "vocab.json").is_file()):
            return folder
    raise WeightsError(
        f"{file} holds no tokenizer, and none lies beside it: `unison download {TOKENIZER_ITEM}` fetches one (7 MB), "
        f"or put the small files of Qwen2.5-VL-7B-Instruct into models/{TOKENIZER_FOLDER}/"
    )


def _places(file: Path, given: Path | None) -> Iterator[Path]:
    above = file.absolute().parents
    yield from (file.parent, file.with_suffix(""))
    yield from (folder / TOKENIZER_FOLDER for folder in (*above, user_folder()))
    if given is not None:
        yield given
    yield from (folder / _HOSTS for folder in above)


def _config(shapes: Shapes, file: Path, kind: str) -> dict[str, Any]:
    """Config of these shapes (by names in memory). kind: what the file seems to be, for the message."""
    language = {key.removeprefix("model.language_model."): shape for key, shape in shapes.items()}
    if "embed_tokens.weight" not in language or "layers.0.self_attn.k_proj.bias" not in language:
        raise WeightsError(f"{file} is no Qwen2.5-VL.{kind} Get qwen_2.5_vl_7b_fp8_scaled.safetensors, or a folder")
    width = language["embed_tokens.weight"][-1] if language["embed_tokens.weight"] else 0
    if f"model.{_TOWER}" not in shapes:
        raise WeightsError(
            f"{file} is the text part of a Qwen2.5 without its vision tower ({_TOWER}), which sees nothing; get a "
            "whole file (qwen_2.5_vl_7b_fp8_scaled.safetensors), or a folder"
        )
    if HEAD not in shapes and width >= _OWN_HEAD:
        raise WeightsError(
            f"{file} lacks the head ({HEAD}), without which a model of width {width} reads and cannot write; get a "
            "whole file (qwen_2.5_vl_7b_fp8_scaled.safetensors), or a folder"
        )
    try:
        text = _text(language)
        vision = _vision({key.removeprefix("model."): shape for key, shape in shapes.items()})
    except KeyError as error:
        raise WeightsError(f"{file} lacks {error} of a Qwen2.5-VL; get the file again") from error
    except (IndexError, ValueError, ZeroDivisionError) as error:
        raise WeightsError(f"{file} has shapes that no Qwen2.5-VL has ({error}); get the file again") from error
    tied = HEAD not in shapes
    return {"model_type": PLANNER_TYPE, "text_config": text, "vision_config": vision, "tie_word_embeddings": tied}


def _text(shapes: Shapes) -> dict[str, Any]:
    rows, width = shapes["embed_tokens.weight"]
    return {
        **{"model_type": f"{PLANNER_TYPE}_text", "vocab_size": rows, "hidden_size": width},
        "intermediate_size": shapes["layers.0.mlp.gate_proj.weight"][0],
        "num_hidden_layers": count(shapes, "layers."),
        "num_attention_heads": shapes["layers.0.self_attn.q_proj.weight"][0] // _WIDTH,
        "num_key_value_heads": shapes["layers.0.self_attn.k_proj.weight"][0] // _WIDTH,
        **{"hidden_act": "silu", "rms_norm_eps": 1e-6, "max_position_embeddings": 128_000},
        **{"rope_theta": 1e6, "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}},
        **{"use_sliding_window": False, "tie_word_embeddings": False},
        **{"bos_token_id": None, "eos_token_id": None},  # the tokenizer says
    }


def _vision(shapes: Shapes) -> dict[str, Any]:
    width, channels, frames, side, _ = shapes[_TOWER]
    return {
        **{"model_type": PLANNER_TYPE, "depth": count(shapes, "visual.blocks."), "hidden_size": width},
        **{"in_channels": channels, "in_chans": channels, "temporal_patch_size": frames, "patch_size": side},
        "intermediate_size": shapes["visual.blocks.0.mlp.gate_proj.weight"][0],
        "out_hidden_size": shapes["visual.merger.mlp.2.weight"][0],
        "spatial_merge_size": math.isqrt(shapes["visual.merger.mlp.0.weight"][1] // width),
        **{"num_heads": _VISION_HEADS, "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31]},
        **{"hidden_act": "silu", "tokens_per_second": 2},
    }


def load_model(files: Folder, ids: dict[str, int], dtype: torch.dtype, attention: str, *, keep_fp8: bool) -> Any:
    """Qwen2_5_VLForConditionalGeneration with exactly the file's weights, on the CPU.

    ids: of media in the tokenizer, by their names in the config. keep_fp8: linear layers stay in fp8 where they are
    stored so, and give the numbers that `dtype` would have. Raises WeightsError for a key too many or too few.
    """
    from accelerate import init_empty_weights
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    config = Qwen2_5_VLConfig(**(files.config | ids))
    mark_tied(config, files.tied)
    with init_empty_weights(include_buffers=False):  # what no file holds (rotary tables) is computed at once
        model = Qwen2_5_VLForConditionalGeneration._from_config(config, dtype=dtype, attn_implementation=attention)
    what = f"{files.path} as a Qwen2.5-VL"
    stored = dequantize(load_state_dict(files.path), dtype, what=what, keep_fp8=keep_fp8)
    state = {in_memory(key): tensor for key, tensor in stored.items()}
    if files.tied:
        state[HEAD] = state["model.language_model.embed_tokens.weight"]
    state, scales = _placed(model, state, dtype)
    assign(model, state, what, dtype=dtype, as_stored=scales)
    fp8.install(model, scales, dtype)
    if files.tied:
        model.tie_weights()
    return model


def _placed(model: Any, state: dict[str, Tensor], dtype: torch.dtype) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """`fp8.placed`; the head, whose rows may grow, is given its weights at once."""
    return fp8.placed(model, state, dtype, keep_fp32=(HEAD.partition(".")[0],))


def standard_processor(tokenizer: Any) -> Any:
    """The processor of every released size around `tokenizer`."""
    import transformers

    make: Any = transformers.Qwen2_5_VLProcessor
    fast = "Fast" if transformers.__version__.startswith("4.") else ""  # the one that a folder gets
    pictures: Any = getattr(transformers, f"Qwen2VLImageProcessor{fast}")
    videos: Any = transformers.Qwen2VLVideoProcessor
    return make(pictures(**_PICTURES), tokenizer, videos(**_PICTURES))
