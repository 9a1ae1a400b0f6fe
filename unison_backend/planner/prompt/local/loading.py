"""A vision-language model for plans by prompt: any folder that this transformers knows, or a Qwen2.5-VL in one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....errors import UnisonError, UnsupportedError, WeightsError
from ....memory import memory_errors
from ....progress import Progress, silent
from ....weights.folder import (
    LOAD_ERRORS,
    PLANNER_TYPE,
    check_folder,
    config_of,
    first_line,
    model_type,
    refuse_missing,
    weight_files,
)

_STAGE = "loading the planner"
_DTYPES = {"auto": "auto", "bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
# A picture in a Qwen2.5-VL's turn, as its processor takes it. The tokenizer that ComfyUI brings for one file has the
# template of a model that reads texts only, which can write no picture.
_QWEN_PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"


@dataclass(frozen=True)
class Loaded:
    """A model in eval mode, its tokenizer and processor, and the ids that end a turn.

    picture: what stands for one in a turn; None where the template itself writes it. problem: why there is no
    processor. has_signals: the tokenizer has the 14 signal tokens, whose rows are no words.
    """

    model: Any
    tokenizer: Any
    processor: Any | None
    ends: tuple[int, ...]
    picture: str | None = None
    problem: UnisonError | None = None
    has_signals: bool = False


def is_vision_language_folder(folder: Path) -> bool:
    """Whether a folder's config.json is that of a model that reads pictures and writes text; no library is asked.

    Whether the installed transformers knows it is seen when it is loaded.
    """
    config = config_of(folder)
    names = config.get("architectures")
    writes = isinstance(names, list) and any(str(name).endswith("ForConditionalGeneration") for name in names)
    return writes and isinstance(config.get("vision_config"), dict)


def load(
    path: Path,
    *,
    dtype: str = "auto",
    attention: str = "auto",
    device: Any = "cpu",
    quantize: str | None = None,
    small: Path | None = None,
    progress: Progress = silent,
) -> Loaded:
    """The model in a folder, or a Qwen2.5-VL in one file; nothing is asked of the network, no code of a folder is run.

    The options are `load_qwen`'s; quantize takes a Qwen2.5-VL. Raises WeightsError for files that are wrong or of a
    kind that transformers does not know, InputError, UnsupportedError, ResourceError.
    """
    if path.is_file() or model_type(path) == PLANNER_TYPE:
        from ...qwen.loading import load_qwen

        options: dict[str, Any] = {"dtype": dtype, "attention": attention, "device": device, "quantize": quantize}
        return of_qwen(load_qwen(path, **options, small=small, progress=progress))
    if quantize is not None:
        raise UnsupportedError(f"{quantize} takes a Qwen2.5-VL, and {path} is {model_type(path) or 'none'}; use bf16")
    return _load_folder(path, dtype, attention, device, progress)


def of_qwen(qwen: Any) -> Loaded:
    """A loaded Qwen2.5-VL (`load_qwen`), which shares its weights with what comes out."""
    from ...qwen.stopping import ends_of_turn

    ends = tuple(ends_of_turn(qwen.base.generation_config))
    parts = (qwen.model, qwen.tokenizer, qwen.processor, ends)
    return Loaded(*parts, _QWEN_PICTURE, qwen.processor_problem, has_signals=True)


def _load_folder(folder: Path, dtype: str, attention: str, device: Any, progress: Progress) -> Loaded:
    from transformers import AutoModelForImageTextToText, AutoProcessor, GenerationConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as KINDS
    from transformers.utils import logging

    if dtype not in _DTYPES:
        raise UnsupportedError(f"dtype is {dtype!r}; it is one of {', '.join(_DTYPES)}")
    progress(_STAGE, 0, 2)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    path = check_folder(folder, tuple(KINDS), "vision-language model")
    if not weight_files(path)[0].name.endswith(".safetensors"):
        raise WeightsError(f"{path} has pickled weights, which could hold code; get the safetensors")
    kernel = {} if attention == "auto" else {"attn_implementation": attention}
    try:
        with memory_errors(_STAGE, "take a smaller model, dtype bf16, or a server"):
            processor = AutoProcessor.from_pretrained(path, local_files_only=True)  # type: ignore[no-untyped-call]
            loaded: Any = AutoModelForImageTextToText.from_pretrained(
                path,
                dtype=_DTYPES[dtype],
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                **kernel,
            )
            model, info = loaded
            model = model.eval().requires_grad_(False).to(device)
    except LOAD_ERRORS as error:
        raise WeightsError(f"{path} cannot be loaded: {first_line(error)}") from error
    refuse_missing(path, info["missing_keys"])
    said = model.generation_config.eos_token_id if model.generation_config else None
    known = (*(said if isinstance(said, list) else [said]), processor.tokenizer.eos_token_id)
    ends = [end for end in known if isinstance(end, int)]
    if not ends:
        raise WeightsError(f"{path} names no token that ends a turn (eos_token_id); download the complete folder")
    model.generation_config = GenerationConfig(eos_token_id=ends)  # type: ignore[no-untyped-call]
    progress(_STAGE, 2, 2)
    return Loaded(model, processor.tokenizer, processor, tuple(dict.fromkeys(ends)))
