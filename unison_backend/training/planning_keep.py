"""What keeps a model's answers while it learns to plan: it is held to what its base answers.

Programs that do not know `answering_lora/` (`planner.qwen.way_back`) answer with the merged weights, so a planning LoRA
may be held to leave answers as they are. Before the training the base answers questions, about pictures that are drawn
where no file is known; in each step some of them are read by the base and by what is trained, and how far the two stand
apart is a part of the loss (Kullback-Leibler divergence).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..demo.world.questions import question
from ..errors import ResourceError
from ..plan.prompt import Prompt, parse_pads
from ..planner.answers import AnswerSettings
from ..planner.qwen.loading import Qwen
from ..planner.qwen.planner import QwenPlanner
from ..progress import Cancel, Progress, check
from ..sources.prepare import Media
from .chats import Chat, Pair
from .held_out import spread
from .planning_samples import IGNORED, to_batch
from .sample_keys import key_of
from .shown import Shown, as_media, show, vision_batch
from .survey import Survey, survey

MOST = 600  # questions that are answered, drawn over their kinds of media
LONGEST = 48  # ids of an answer
ANSWERS_FILE = "answers.jsonl"
_STAGE = "answering with the base"


@dataclass(frozen=True)
class Asked:
    """A question and what it is about."""

    prompt: Prompt
    media: Media | None = None


def asked_in(records: Sequence[Pair | Chat], found: Survey | None = None) -> list[Asked]:
    """The questions of planning records (those without an answer), at most `MOST`, about drawn pictures and clips.

    found: what is known of the records, where they were looked at already.
    """
    questions = (found or survey(records)).questions
    chosen = spread([kinds for _, kinds in questions], MOST)
    prompts = [_question(records[questions[index][0]]) for index in chosen]
    return [Asked(prompt, _drawn(prompt)) for prompt in prompts]


def _question(record: Pair | Chat) -> Prompt:
    assert not isinstance(record, Chat)  # a survey's questions are none
    return parse_pads(record[0])


def _drawn(prompt: Prompt) -> Media | None:
    """A picture or clip of the shape world for each medium, always the same for the same words."""
    clips = []
    for number, kind in enumerate(prompt.kinds):
        medium = question(kind, Random(f"kept {prompt.text} {number}")).medium
        assert medium is not None  # only a text question has none
        clips.append(medium)
    return as_media(*clips) if clips else None


class Keeper:
    """The base's answers to `asked`, kept in `folder`, and the divergence from them as a term of the loss.

    qwen: the base before the LoRA is put around it; batch: questions of a step.
    Raises ResourceError when the answers cannot be written, Cancelled.
    """

    def __init__(
        self, qwen: Qwen, asked: Sequence[Asked], folder: Path, base_key: str, batch: int, progress: Progress,
        cancel: Cancel,
    ) -> None:  # fmt: skip
        self.qwen, self.batch = qwen, batch
        self.end: int = qwen.tokenizer.convert_tokens_to_ids("<|im_end|>")
        self.key = key_of([base_key, *(one.prompt.text for one in asked)]) if asked else ""
        answers = _answers(qwen, asked, folder / ANSWERS_FILE, self.key, progress, cancel)
        self.shown = [self._show(one, answer) for one, answer in zip(asked, answers, strict=True)]

    def _show(self, asked: Asked, answer: str) -> Shown:
        return show(self.qwen, asked.prompt, asked.media, answer, self.end)

    def terms(self, module: Any, model: Any, generator: torch.Generator) -> dict[str, Tensor]:
        """{"kept": divergence [], over the answers' ids} of some questions; nothing where there is none.

        module: what is called so that gradients are shared; model: the PeftModel inside it.
        """
        if not self.shown:
            return {}
        chosen = [self.shown[i] for i in torch.randint(len(self.shown), (self.batch,), generator=generator).tolist()]
        ids, labels, real = to_batch([one.sample for one in chosen], pad=self.end, device=self.qwen.device)
        learned = labels[:, 1:] != IGNORED
        read = learned.any(0).nonzero().flatten()
        inputs = {"input_ids": ids, "attention_mask": real, "use_cache": False, "logits_to_keep": read}
        inputs |= vision_batch(self.qwen, ids, chosen)
        with torch.no_grad(), model.disable_adapter():
            wanted = functional.log_softmax(model(**inputs).logits.float(), -1)
        made = functional.log_softmax(module(**inputs).logits.float(), -1)
        apart = functional.kl_div(made, wanted, reduction="none", log_target=True).sum(-1)
        return {"kept": apart[learned[:, read]].mean()}


def _answers(qwen: Qwen, asked: Sequence[Asked], path: Path, key: str, progress: Progress, cancel: Cancel) -> list[str]:
    """What the base answers, read from `path` as far as it is there and written as it is made."""
    if not asked:
        return []
    known = _read(path, key)[: len(asked)]
    planner, settings = QwenPlanner(qwen), AnswerSettings(max_new_tokens=LONGEST)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(_line(key, answer) for answer in known), encoding="utf-8")
        with path.open("a", encoding="utf-8") as file:
            for number in range(len(known), len(asked)):
                check(cancel, _STAGE)
                progress(_STAGE, number, len(asked))
                known.append(planner.answer(asked[number].prompt, asked[number].media, settings, cancel=cancel))
                file.write(_line(key, known[-1]))
                file.flush()
    except OSError as error:
        raise ResourceError(f"{path} cannot be written ({error.strerror}); make room there") from error
    return known


def _line(key: str, answer: str) -> str:
    return json.dumps({"key": key, "answer": answer}, ensure_ascii=False) + "\n"


def _read(path: Path, key: str) -> list[str]:
    """The answers under `key`, up to a line that was cut short."""
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else ():
        try:
            row = json.loads(line)
            if row["key"] != key:
                break
            found.append(str(row["answer"]))
        except (ValueError, KeyError, TypeError):
            break
    return found
