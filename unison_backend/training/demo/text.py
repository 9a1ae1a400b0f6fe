"""The demo set's UMT5, trained from nothing: its rows tell what the instruction means to whoever looks for it.

For each of colour, shape, background, size, place and motion one attention head has to find it in the rows, as the
video model's heads will. So words that mean different things in different places ("a red circle on a blue background")
are told apart before the video model sees them. The heads of that reading are thrown away.

What a colour belongs to is said by its neighbours, and attention finds neighbours only by its position biases, which
move too slowly to be found in a short training: the first layer's heads begin as looks at the two tokens either side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...conditioning.text_encoder import TextEncoder
from ...demo.world.tasks import example, kinds, meanings
from ...demo.world.wording import Meaning
from ...progress import Cancel, Progress, never, silent
from ..loop import Fit
from ..precision import mixed_precision
from ..schedule import Schedule

TEXTS = 10_000
BATCH = 32
NEIGHBOUR = 5.0  # position bias of the place that a head looks at: nearly all of its attention
QUIET = 0.1  # what is left of the content's say there at the start
SCHEDULE = Schedule(steps=700, lr=1e-3, warmup=60, ema=0.99, seed=12)


def fields() -> dict[str, tuple[str, ...]]:
    """What has to be found, with its values; which kind of task it is does not help to draw it."""
    return {name: values for name, values in meanings().items() if name != "task"}


@dataclass(frozen=True)
class Texts:
    """Instructions with what they mean, as indices into `fields()`, a column for each field."""

    texts: tuple[str, ...]
    labels: Tensor


def draw_texts(count: int, seed: int, *, held_out: bool = False) -> Texts:
    """`count` instructions of all kinds in turn."""
    known = fields()
    texts, labels = [], []
    for index in range(count):
        drawn = example(kinds()[index % len(kinds())], Random((seed << 32) + index), held_out=held_out)
        texts.append(drawn.instruction)
        labels.append(to_labels(drawn.meaning, known))
    return Texts(tuple(texts), torch.tensor(labels))


def to_labels(meaning: Meaning, known: dict[str, tuple[str, ...]]) -> list[int]:
    """The index of each field's value."""
    return [values.index(getattr(meaning, name)) for name, values in known.items()]


class Reading(nn.Module):
    """The encoder and, for each field of a meaning, one head that looks for it among the rows."""

    def __init__(self, encoder: nn.Module, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        known = fields()
        self.queries = nn.Parameter(torch.zeros(len(known), width))
        self.heads = nn.ModuleList(nn.Linear(width, len(values)) for values in known.values())

    def forward(self, ids: Tensor, real: Tensor) -> list[Tensor]:
        """Ids [B, S] and where they are real to scores [B, values] for each field."""
        rows = self.encoder(input_ids=ids, attention_mask=real).last_hidden_state
        found = rows @ self.queries.T / math.sqrt(rows.shape[-1])
        weights = found.masked_fill(real[..., None] == 0, -math.inf).softmax(dim=1)
        seen = weights.transpose(1, 2) @ rows
        return [head(seen[:, index]) for index, head in enumerate(self.heads)]


def train(
    encoder: TextEncoder, folder: Path, schedule: Schedule = SCHEDULE, *, count: int = TEXTS,
    progress: Progress = silent, cancel: Cancel = never,
) -> Reading:  # fmt: skip
    """Train the encoder's model in place (float32), resuming from `folder`; returns it with its heads."""
    data = draw_texts(count, schedule.seed)
    ids = [encoder.tokenize(text) for text in data.texts]
    torch.manual_seed(schedule.seed)
    look_at_neighbours(encoder.model)
    reading = Reading(encoder.model, encoder.model.config.d_model).eval().requires_grad_(True)  # no dropout
    device = encoder.model.device
    reading.to(device)
    fit = Fit(reading, schedule, folder, scale=rate_of)

    def loss(generator: torch.Generator, step: int) -> dict[str, Tensor]:
        chosen = torch.randint(len(ids), (BATCH,), generator=generator).tolist()
        batch, real = (part.to(device) for part in pad([ids[index] for index in chosen]))
        with mixed_precision(device):
            scores = reading(batch, real)
        wanted = data.labels[chosen].to(device)
        return {
            name: functional.cross_entropy(score.float(), wanted[:, column])
            for column, (name, score) in enumerate(zip(fields(), scores, strict=True))
        }

    fit.run(loss, stage="training the text encoder", progress=progress, cancel=cancel)
    fit.use_averaged()
    return reading.eval().requires_grad_(False)


def rate_of(name: str) -> float:
    """What the learning rate of a parameter is multiplied with.

    A layer that reads 4096 values moves 16 times as far in a step as one that reads 256; an embedding's row is seen
    rarely, and a position bias has to travel far.
    """
    if "relative_attention_bias" in name:
        return 20.0
    if "shared" in name or "embed_tokens" in name:
        return 3.0
    reads_little = name.endswith((".o.weight", ".wo.weight", "layer_norm.weight", "queries"))
    return 1.0 if reads_little else 1 / 16


@torch.no_grad()
def look_at_neighbours(model: Any) -> None:
    """Let each head of the first layer look at one place: right, left, two to the right, two to the left, and on."""
    attention = model.encoder.block[0].layer[0].SelfAttention
    bias, half = attention.relative_attention_bias.weight, attention.relative_attention_num_buckets // 2
    bias.zero_()
    for head in range(bias.shape[1]):
        bucket = head // 2 + 1 + (half if head % 2 == 0 else 0)  # T5: the upper half is to the right
        bias[bucket, head] = NEIGHBOUR
    for part in (attention.q, attention.k):
        part.weight *= QUIET


def pad(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Lists of ids as one [B, S] of them, zero-padded, and where they are real (0 / 1)."""
    length = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    real = torch.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
        real[index, : len(row)] = 1
    return ids, real
