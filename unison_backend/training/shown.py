"""Questions with pixels as ids and tensors, and a batch of them as a model's arguments."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

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
from .survey import Survey, survey

KEPT = 20_000  # records that stay ids once they were; of more the others are made anew each time


class Reads(Protocol):
    """What of a planner makes ids and pixels."""

    @property
    def tokenizer(self) -> Any:
        """transformers' tokenizer."""

    @property
    def processor(self) -> Any:
        """transformers' processor, None where there is none."""


@dataclass(frozen=True)
class _Reads:
    tokenizer: Any
    processor: Any


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
    """Records as samples, each made when it is asked for, so that half a million are no wait.

    records: pairs of what is asked and what is to be written, and chats, whose pixels are read whenever they are asked
    for; found: what is known of them, where they were looked at already. lengths: [N], how long each is to read,
    nearly. Other processes can be given this (`feed.Feed`): there is no model in it.
    """

    def __init__(self, qwen: Reads, records: Sequence[Pair | Chat], end: int, found: Survey | None = None) -> None:
        self._reads, self._records, self._end = _Reads(qwen.tokenizer, qwen.processor), records, end
        self._found = found or survey(records)
        self._made: dict[int, Shown] = {}

    @property
    def lengths(self) -> Tensor:
        """[N], how long each record is to read, nearly: bytes of its text."""
        return self._found.lengths

    @property
    def doubtful(self) -> list[int]:
        """The records that may be too long, or whose pictures may be unreadable: a byte is an id at the most."""
        long = (self.lengths > MAX_IDS // 2).nonzero().flatten().tolist()
        return sorted({*long, *self._found.chats})

    def __getitem__(self, index: int) -> Shown:
        """Raises InputError for a record that is too long, MediaError for a medium that cannot be read."""
        if index in self._made:
            return self._made[index]
        record = self._records[index]
        if isinstance(record, Chat):
            return show_chat(self._reads, record, self._end)
        made = Shown(to_sample(self._reads.tokenizer, *record, self._end), {})
        if len(self._made) < KEPT:
            self._made[index] = made
        return made


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
