"""The demo set's Qwen2.5-VL, trained to answer questions about the shape world, its vision tower from `demo_vision`.

Every sample is made by the functions that an answer is asked with (ids, pixels, frames shown), and all weights are
trained, the vision tower's too. The planning LoRA comes afterwards, with the recipe for real models.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import torch
from torch import Tensor
from torch.nn import functional

from ...demo.world.questions import Question, Subject, question
from ...media.from_tensors import TensorMedia
from ...plan.prompt import parse_pads
from ...planner.qwen.loading import Qwen
from ...progress import Cancel, Progress, check, never, silent
from ..loop import Fit
from ..planning_samples import to_batch
from ..schedule import Schedule
from ..shown import Shown, as_media, show, vision_batch

COUNTS: dict[Subject, int] = {"image": 12000, "video": 6000, "text": 300}
BATCH = 32
SCHEDULE = Schedule(steps=4000, lr=1e-3, warmup=200, betas=(0.9, 0.95), ema=0.998, seed=14)
AGAIN = Schedule(steps=4000, lr=8e-4, warmup=100, betas=(0.9, 0.95), ema=0.998, seed=31)  # with new questions


def media_of(asked: Question) -> TensorMedia | None:
    """The question's picture or clip as the planner takes media."""
    return None if asked.medium is None else as_media(asked.medium)


def show_question(qwen: Qwen, asked: Question, end: int) -> Shown:
    """The question as the planner would put it to the model, its answer behind it."""
    return show(qwen, parse_pads(asked.prompt), media_of(asked), asked.answer, end)


def draw(
    qwen: Qwen, seed: int, counts: dict[Subject, int] = COUNTS, *, progress: Progress = silent, cancel: Cancel = never
) -> list[Shown]:
    """Questions of each subject, made ready."""
    end = qwen.tokenizer.convert_tokens_to_ids("<|im_end|>")
    shown: list[Shown] = []
    for subject, count in counts.items():
        for index in range(count):
            check(cancel, "drawing questions")
            shown.append(show_question(qwen, question(subject, Random(f"{subject} {seed} {index}")), end))
            progress("drawing questions", len(shown), sum(counts.values()))
    return shown


def train(
    qwen: Qwen, folder: Path, schedule: Schedule = SCHEDULE, *, counts: dict[Subject, int] = COUNTS,
    progress: Progress = silent, cancel: Cancel = never,
) -> None:  # fmt: skip
    """Train all weights of `qwen` (float32) in place, resuming from `folder`."""
    end = qwen.tokenizer.convert_tokens_to_ids("<|im_end|>")
    model = qwen.base.train().requires_grad_(True)
    fit = Fit(model, schedule, folder)
    data = [] if fit.is_done else draw(qwen, schedule.seed, counts, progress=progress, cancel=cancel)

    def loss(generator: torch.Generator, step: int) -> dict[str, Tensor]:
        chosen = [data[index] for index in torch.randint(len(data), (BATCH,), generator=generator).tolist()]
        ids, labels, real = to_batch([one.sample for one in chosen], pad=end, device=qwen.device)
        logits = model(input_ids=ids, attention_mask=real, use_cache=False, **vision_batch(qwen, ids, chosen)).logits
        return {"loss": functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())}

    fit.run(loss, stage="training the understanding model", progress=progress, cancel=cancel)
    fit.use_averaged()
    model.eval().requires_grad_(False)
