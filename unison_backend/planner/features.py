"""Planner features: the hidden states of an instruction that the projector reads (reference: inference.py).

Rows 1..56 of the prompt's own prefill, after the final norm; row 0 opens the template and is dropped. Later tokens
cannot change earlier rows, so only the first 57 ids are run.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import WeightsError
from ..projector import NUM_ROWS
from ..prompt import Prompt
from .chat import chat_ids

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def features(folder: Path, prompt: Prompt, *, device: torch.device | str = "cpu") -> Tensor:
    """[1, S, D] float32 with S <= 56, from the Qwen2.5-VL in `folder`; raises WeightsError."""
    import torch
    from transformers import AutoTokenizer, Qwen2_5_VLForConditionalGeneration
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, local_files_only=True, dtype="auto")
    except (OSError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{folder} cannot be loaded as a Qwen2.5-VL folder: {error}") from error
    ids = chat_ids(tokenizer, prompt, add_generation_prompt=False)[: NUM_ROWS + 1]
    language_model = model.model.language_model.to(device).eval()
    with torch.no_grad():
        states = language_model(input_ids=torch.tensor([ids], device=device), use_cache=False).last_hidden_state
    result: Tensor = states[:, 1:].float()
    return result
