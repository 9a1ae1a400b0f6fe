"""Questions with pixels as ids and tensors, and a batch of them as a model's arguments."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from ..demo.world.questions import FPS
from ..media.from_tensors import TensorMedia, footage, still
from ..plan.prompt import Prompt
from ..planner.qwen.chat import chat_ids
from ..planner.qwen.loading import Qwen
from ..planner.qwen.vision import vision_inputs
from ..sources.prepare import Media
from .planning_samples import Sample


@dataclass(frozen=True)
class Shown:
    """A question as ids with its answer, and what the model is shown (bfloat16 pixels, grids)."""

    sample: Sample
    tensors: dict[str, Tensor]


def as_media(*clips: Tensor) -> TensorMedia:
    """Clips [T, H, W, 3] in 0..1 as a planner takes media; one frame is a picture."""
    items = [
        still(clip[0], "the picture") if len(clip) == 1 else footage(clip, Fraction(FPS), "the video") for clip in clips
    ]
    return TensorMedia.of(["the medium"] * len(items), items)


def show(qwen: Qwen, prompt: Prompt, media: Media | None, answer: str, end: int) -> Shown:
    """The question as the planner puts it to the model, its answer and the id `end` behind it."""
    shown = vision_inputs(qwen.processor, qwen.tokenizer, prompt, media) if media else None
    ids = chat_ids(qwen.tokenizer, prompt, add_generation_prompt=True, media_ids=shown.media_ids if shown else None)
    written = [*qwen.tokenizer(answer, add_special_tokens=False).input_ids, end]
    tensors = shown.tensors if shown else {}
    pixels = {name: value.bfloat16() if name.startswith("pixel") else value for name, value in tensors.items()}
    return Shown(Sample((*ids, *written), len(written)), pixels)


def vision_batch(qwen: Qwen, ids: Tensor, chosen: Sequence[Shown]) -> dict[str, Any]:
    """The pictures and clips of a batch in order, as the model's arguments."""
    batch: dict[str, Any] = {}
    for name in sorted({name for one in chosen for name in one.tensors}):
        parts = [one.tensors[name] for one in chosen if name in one.tensors]
        joined = torch.cat(parts).to(ids.device)
        batch[name] = joined.float() if name.startswith("pixel") else joined
    if "mm_token_type_ids" in inspect.signature(qwen.base.forward).parameters:
        config = qwen.base.config
        batch["mm_token_type_ids"] = (ids == config.image_token_id).long() + 2 * (ids == config.video_token_id).long()
    return batch
