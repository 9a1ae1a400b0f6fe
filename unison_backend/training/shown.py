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
from .chats import Chat, Pair, show_chat
from .planning_samples import MAX_IDS, Sample, to_sample


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
    return Shown(Sample((*ids, *written), len(written)), half_pixels(shown.tensors if shown else {}))


def half_pixels(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the model is shown, pixels as bfloat16."""
    return {name: value.bfloat16() if name.startswith("pixel") else value for name, value in tensors.items()}


class Samples:
    """Records as samples, each made when it is first asked for, so that half a million are no wait.

    records: pairs of what is asked and what is to be written, and chats, whose pixels are read whenever they are asked
    for. lengths: [N], how long each is to read, nearly. Raises InputError for a record that is too long.
    """

    def __init__(self, qwen: Qwen, records: Sequence[Pair | Chat], end: int) -> None:
        self._qwen, self._records, self._end = qwen, records, end
        self._made: dict[int, Shown] = {}
        texts = [str(record) if isinstance(record, Chat) else "".join(record) for record in records]
        self.lengths = torch.tensor([len(text.encode()) for text in texts])
        chats = torch.tensor([isinstance(record, Chat) for record in records])
        for index in (
            ((self.lengths > MAX_IDS // 2) | chats).nonzero().flatten().tolist()
        ):  # a byte is an id at the most
            _ = self[index]

    def __getitem__(self, index: int) -> Shown:
        record = self._records[index]
        if isinstance(record, Chat):
            return show_chat(self._qwen, record, self._end)
        if index not in self._made:
            self._made[index] = Shown(to_sample(self._qwen.tokenizer, *record, self._end), {})
        return self._made[index]


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
