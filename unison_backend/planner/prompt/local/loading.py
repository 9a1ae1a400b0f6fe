"""A folder of any image-text-to-text model that this transformers knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....errors import UnsupportedError, WeightsError
from ....memory import memory_errors
from ....progress import Progress, silent
from ....weights.folder import LOAD_ERRORS, check_folder, first_line, weight_files

_STAGE = "loading the planner"
_DTYPES = {"auto": "auto", "bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}


@dataclass(frozen=True)
class Loaded:
    """A model in eval mode, its processor, and the ids that end a turn."""

    model: Any
    processor: Any
    ends: tuple[int, ...]

    @property
    def tokenizer(self) -> Any:
        """The processor's tokenizer."""
        return self.processor.tokenizer


def load(folder: Path, *, dtype: str = "auto", device: Any = "cpu", progress: Progress = silent) -> Loaded:
    """The model in `folder`; nothing is asked of the network and no code of the folder is run.

    Raises WeightsError for files that are wrong or of a kind that transformers does not know, UnsupportedError.
    """
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
    try:
        with memory_errors(_STAGE, "take a smaller model, dtype bf16, or a server"):
            processor = AutoProcessor.from_pretrained(path, local_files_only=True)  # type: ignore[no-untyped-call]
            model = AutoModelForImageTextToText.from_pretrained(
                path, dtype=_DTYPES[dtype], local_files_only=True, use_safetensors=True
            )
            model = model.eval().requires_grad_(False).to(device)
    except LOAD_ERRORS as error:
        raise WeightsError(f"{path} cannot be loaded: {first_line(error)}") from error
    said = model.generation_config.eos_token_id if model.generation_config else None
    known = (*(said if isinstance(said, list) else [said]), processor.tokenizer.eos_token_id)
    ends = [end for end in known if isinstance(end, int)]
    model.generation_config = GenerationConfig(eos_token_id=ends)  # type: ignore[no-untyped-call]
    progress(_STAGE, 2, 2)
    return Loaded(model, processor, tuple(dict.fromkeys(ends)))
