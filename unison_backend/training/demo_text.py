"""The demo set's UMT5, trained from nothing: its rows tell what the instruction means to whoever looks for it.

For each of colour, shape, background, size, place, motion and kind of task one attention head has to find it in the
rows, as the video model's heads will. So words that mean different things in different places ("a red circle on a
blue background") are told apart before the video model sees them. The heads of that reading are thrown away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..demo.shape_tasks import Meaning, example, kinds, meanings
from ..progress import Cancel, Progress, never, silent
from ..wan import TextEncoder
from .loop import Fit, Schedule

TEXTS = 10_000
BATCH = 32
SCHEDULE = Schedule(steps=800, lr=1e-3, warmup=60, ema=0.99, seed=12)


@dataclass(frozen=True)
class Texts:
    """Instructions with what they mean, as indices into `meanings()`, a column for each field."""

    texts: tuple[str, ...]
    labels: Tensor


def draw_texts(count: int, seed: int, *, held_out: bool = False) -> Texts:
    """`count` instructions of all kinds in turn."""
    fields = meanings()
    texts, labels = [], []
    for index in range(count):
        drawn = example(kinds()[index % len(kinds())], Random((seed << 32) + index), held_out=held_out)
        texts.append(drawn.instruction)
        labels.append(to_labels(drawn.meaning, fields))
    return Texts(tuple(texts), torch.tensor(labels))


def to_labels(meaning: Meaning, fields: dict[str, tuple[str, ...]]) -> list[int]:
    """The index of each field's value."""
    return [values.index(getattr(meaning, name)) for name, values in fields.items()]


class Reading(nn.Module):
    """The encoder and, for each field of a meaning, one head that looks for it among the rows."""

    def __init__(self, encoder: nn.Module, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        fields = meanings()
        self.queries = nn.Parameter(torch.zeros(len(fields), width))
        self.heads = nn.ModuleList(nn.Linear(width, len(values)) for values in fields.values())

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
    reading = Reading(encoder.model, encoder.model.config.d_model).eval().requires_grad_(True)  # no dropout
    fit = Fit(reading, schedule, folder)

    def loss(generator: torch.Generator, step: int) -> dict[str, Tensor]:
        chosen = torch.randint(len(ids), (BATCH,), generator=generator).tolist()
        batch, real = pad([ids[index] for index in chosen])
        with torch.autocast("cpu", torch.bfloat16):
            scores = reading(batch, real)
        wanted = data.labels[chosen]
        return {
            name: functional.cross_entropy(score.float(), wanted[:, column])
            for column, (name, score) in enumerate(zip(meanings(), scores, strict=True))
        }

    fit.run(loss, stage="training the text encoder", progress=progress, cancel=cancel)
    fit.use_averaged()
    return reading.eval().requires_grad_(False)


def pad(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Lists of ids as one [B, S] of them, zero-padded, and where they are real (0 / 1)."""
    length = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    real = torch.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
        real[index, : len(row)] = 1
    return ids, real


@torch.no_grad()
def accuracy(reading: Reading, encoder: TextEncoder, data: Texts) -> dict[str, float]:
    """How often each field is named right."""
    right = torch.zeros(len(meanings()))
    for text, labels in zip(data.texts, data.labels, strict=True):
        ids, real = pad([encoder.tokenize(text)])
        scores = reading(ids, real)
        right += torch.tensor([int(score[0].argmax()) for score in scores]) == labels
    return {name: (value / len(data.texts)).item() for name, value in zip(meanings(), right, strict=True)}
