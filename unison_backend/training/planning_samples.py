"""Records as ids: what is read, what of it is learned, and how they stand together in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import InputError
from ..plan.prompt import parse_pads
from ..planner.qwen.chat import chat_ids

MAX_IDS = 2048
IGNORED = -100  # a label that is not learned
DECIDES = -101  # a label of which only is learned that it is no signal token
WINDOW = 8  # batches among which samples of about one length are looked for


@dataclass(frozen=True)
class Sample:
    """One record as ids; the last `learned` of them are the plan or the answer, and the end of the turn.

    also: what is learned before those, as (first, behind the last): a chat's earlier answers.

    decides: no answer is known, only that it is no plan: of what stands last nothing is learned but that it is no
    signal token.
    """

    ids: tuple[int, ...]
    learned: int
    decides: bool = False
    also: tuple[tuple[int, int], ...] = ()


def to_sample(tokenizer: Any, prompt: str, answer: str, end: int) -> Sample:
    """A record's prompt (with pads) and what the planner is to write, as ids; without an answer it only decides.

    Raises InputError when it is too long.
    """
    asked = chat_ids(tokenizer, parse_pads(prompt), add_generation_prompt=True)
    written = [*tokenizer(answer, add_special_tokens=False).input_ids, end]
    if len(asked) + len(written) > MAX_IDS:
        raise InputError(f"a record has {len(asked) + len(written)} tokens, at most {MAX_IDS} can be trained on")
    return Sample((*asked, *written), len(written), decides=not answer)


def choose(lengths: Tensor, batch: int, generator: torch.Generator) -> list[int]:
    """`batch` samples of about one length, which leaves little to pad: neighbours by length among `WINDOW` batches.

    lengths [N]. Each sample comes as often as any other.
    """
    drawn = torch.randint(len(lengths), (batch * WINDOW,), generator=generator)
    window = drawn[lengths[drawn].argsort(stable=True)].view(WINDOW, batch)
    chosen: list[int] = window[int(torch.randint(WINDOW, (1,), generator=generator))].tolist()
    return chosen


def to_batch(samples: Sequence[Sample], *, pad: int, device: Any = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """(ids, labels, mask) [B, S]: padded behind, labels only where something is learned (DECIDES: no signal token)."""
    length = max(len(sample.ids) for sample in samples)
    ids = torch.full((len(samples), length), pad)
    labels = torch.full_like(ids, IGNORED)
    real = torch.zeros_like(ids)
    for row, sample in enumerate(samples):
        count = len(sample.ids)
        ids[row, :count] = torch.tensor(sample.ids)
        labels[row, :count] = _labels(sample)
        real[row, :count] = 1
    return ids.to(device), labels.to(device), real.to(device)


def to_rows(samples: Sequence[Sample], *, each: int, pad: int, device: Any = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """(ids, labels, positions) [rows, S]: `each` samples in a row, one behind the other, padded behind the last.

    Positions begin anew with each sample, and with the padding: a model that is given them without a mask lets none
    see another (`in_rows`). samples: by length, so that rows are about as long.
    """
    count = -(-len(samples) // each)
    rows = [samples[row::count] for row in range(count)]
    length = max(sum(len(sample.ids) for sample in row) for row in rows)
    ids = torch.full((count, length), pad)
    labels = torch.full_like(ids, IGNORED)
    positions = torch.zeros_like(ids)
    for number, row in enumerate(rows):
        first = 0
        for sample in row:
            last = first + len(sample.ids)
            ids[number, first:last] = torch.tensor(sample.ids)
            labels[number, first:last] = _labels(sample)
            labels[number, first] = IGNORED  # what stands before it is another sample
            positions[number, first:last] = torch.arange(last - first)
            first = last
        positions[number, first:] = torch.arange(length - first)
    return ids.to(device), labels.to(device), positions.to(device)


def in_rows(positions: Tensor) -> dict[str, Any]:
    """What a Qwen2.5-VL is told about samples in rows, text alone. positions [B, S].

    transformers takes four of them: that of the text, from which its attentions (a mask for eager and sdpa, lengths for
    flash attention) know where a sample ends, and those of time, height and width, which are the same for text.
    """
    return {"position_ids": positions.expand(4, *positions.shape), "attention_mask": None}


def _labels(sample: Sample) -> Tensor:
    """[S] of one sample."""
    ids, count = torch.tensor(sample.ids), len(sample.ids)
    labels = torch.full_like(ids, IGNORED)
    for first, last in ((count - sample.learned, count), *sample.also):
        labels[first:last] = ids[first:last]
    if sample.decides:
        labels[-1] = DECIDES
    return labels


def planning_loss(logits: Tensor, wanted: Tensor, signals: Sequence[int]) -> Tensor:
    """Mean over what is learned: cross-entropy of ids, and -log(1 - p(signals)) where a label is DECIDES.

    logits [B, S, vocabulary], wanted [B, S]: the label of the id behind each. Where a record only decides, the other
    ids' odds among each other are left alone, so that the answers stay the model's own.
    """
    rows, labels = logits.flatten(0, 1).float(), wanted.flatten()
    learned = functional.cross_entropy(rows, labels.where(labels != DECIDES, IGNORED), reduction="sum")
    deciding = rows[labels == DECIDES]
    others = deciding.clone()
    others[:, list(signals)] = -torch.inf
    decided = (deciding.logsumexp(-1) - others.logsumexp(-1)).sum()
    return (learned + decided) / (labels != IGNORED).sum().clamp(min=1)
