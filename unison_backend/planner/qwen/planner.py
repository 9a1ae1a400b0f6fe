"""The planner that is a model: Qwen2.5-VL reads the instruction and emits a plan, or answers.

What is unusual: plan text and projector features come out of one prefill (the prompt's rows do not depend on what
follows, and the projector looks at the first 56 of them); decoding is held to the plan grammar from its first signal
token on; an answer is a generation of its own, with pixels, in which no signal token can arise.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...conditioning.projector import NUM_ROWS
from ...errors import InputError
from ...memory import memory_errors
from ...plan.plan import Plan, task_of
from ...plan.prompt import Prompt
from ...plan.tasks import Make
from ...plan.tokens import parse
from ...progress import Cancel, Progress, check, never, silent
from ..answers import USUAL, AnswerSettings
from ..base import PlanResult, Stream, unheard
from .chat import chat_ids
from .stopping import ends_of_turn, heard_before
from .streaming import streamer
from .vision import vision_inputs

if TYPE_CHECKING:
    from torch import Tensor

    from ...sources.prepare import Media
    from .loading import Qwen

# A plan takes a few dozen tokens; the grammar ends it long before this.
MAX_PLAN_TOKENS = 128

_LOWER = (
    "show fewer or smaller media, lower max_new_tokens, or load the planner with dtype bf16, in 4 bit or on the cpu"
)


class QwenPlanner:
    """A loaded Qwen2.5-VL as a `Planner` that can also answer."""

    def __init__(self, qwen: Qwen) -> None:
        self.qwen = qwen

    def plan(
        self,
        prompt: Prompt,
        *,
        make: Make = "auto",
        media: Media | None = None,
        progress: Progress = silent,
        cancel: Cancel = never,
    ) -> PlanResult:
        """Plan and features of `prompt`. Raises PlanError, WeightsError, Cancelled.

        Without planning weights the signal tokens' rows are untrained: the rules plan and there are no features. Nor
        does a demanded answer take any.
        """
        if not self.qwen.has_planning:
            from ..rules.plan import planned

            return planned(prompt, make)
        from ..rules.completing import completed_tokens, refuse_operations

        refuse_operations(prompt, make)
        if make == "answer":
            return PlanResult(Plan(task_of("text", prompt.kinds), prompt=prompt.text, media=prompt.kinds))
        ids = self.ids(prompt, cancel)
        rows = len(chat_ids(self.qwen.tokenizer, prompt, add_generation_prompt=False, cancel=cancel))
        progress("planning", 0, 0)
        with self._cancellable(cancel, "planning"), _captured(self.qwen.language_model, NUM_ROWS + 1) as captured:
            text = self._decode_plan(prompt, ids, make, progress, cancel)
        features = captured[0][:, 1 : min(rows, NUM_ROWS + 1)].float()
        if text is None:
            task = task_of("text", prompt.kinds)
            return PlanResult(Plan(task, prompt=prompt.text, media=prompt.kinds), features)
        made = completed_tokens(parse(text, prompt.text, prompt.kinds, prompt.masks), prompt)
        return replace(made, features=features)

    def ids(self, prompt: Prompt, cancel: Cancel = never) -> list[int]:
        """The planner's turn: text only, media as pads (reference: inference.py)."""
        return chat_ids(self.qwen.tokenizer, prompt, add_generation_prompt=True, cancel=cancel)

    def features(self, prompt: Prompt, *, cancel: Cancel = never) -> Tensor:
        """[1, S, D] float32 with S <= 56, without planning: the same rows from the first 57 ids alone."""
        import torch

        ids = chat_ids(self.qwen.tokenizer, prompt, add_generation_prompt=False, cancel=cancel)[: NUM_ROWS + 1]
        tensor = torch.tensor([ids], device=self.qwen.device)
        with self._cancellable(cancel, "reading the instruction"), torch.no_grad():
            states: Tensor = self.qwen.language_model(input_ids=tensor, use_cache=False).last_hidden_state
        return states[:, 1:].float()

    def _decode_plan(
        self, prompt: Prompt, ids: list[int], make: Make, progress: Progress, cancel: Cancel
    ) -> str | None:
        """The plan's text; None when the first token is no signal, which makes it a question."""
        from .grammar import PlanGrammar
        from .processors import PlanProcessor

        tokenizer = self.qwen.tokenizer
        grammar = PlanGrammar(tokenizer, prompt.kinds, make=make, masks=prompt.masks)

        def stop(new: Sequence[int]) -> bool:
            progress("planning", len(new), 0)
            return not grammar.is_signal(new[0])

        made = self._generate(
            {"input_ids": [ids]},
            stop,
            cancel,
            "planning",
            logits_processor=[PlanProcessor(grammar, len(ids))],
            eos_token_id=[*grammar.end_ids, *self._end_of_turn()],
            max_new_tokens=MAX_PLAN_TOKENS,
        )
        if not made or not grammar.is_signal(made[0]):
            return None
        return str(tokenizer.decode(made, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def answer(
        self,
        prompt: Prompt,
        media: Media | None = None,
        settings: AnswerSettings = USUAL,
        *,
        stream: Stream = unheard,
        progress: Progress = silent,
        cancel: Cancel = never,
    ) -> str:
        """The answer to `prompt`, streamed piece by piece; it sees every medium in order, with real pixels.

        Stops within one token of a cancel, and within one layer during the prefill. Raises MediaError, Cancelled.
        """
        import torch

        from .processors import WithoutSignals

        qwen = self.qwen
        if prompt.media and media is None:
            raise InputError("the instruction holds media without files; write them as ###path###")
        if prompt.media and qwen.processor is None and qwen.processor_problem:
            raise qwen.processor_problem
        shown = vision_inputs(qwen.processor, qwen.tokenizer, prompt, media, progress, cancel) if media else None
        media_ids = shown.media_ids if shown else None
        ids = chat_ids(qwen.tokenizer, prompt, add_generation_prompt=True, media_ids=media_ids, cancel=cancel)
        inputs = {"input_ids": [ids], **(shown.tensors if shown else {})}

        def heard(new: Sequence[int]) -> bool:
            progress("answering", len(new), settings.max_new_tokens)
            return False

        with ExitStack() as stack:
            stack.enter_context(nullcontext() if settings.keep_adapter else qwen.without_adapter())
            stack.enter_context(self._cancellable(cancel, "answering"))
            stack.enter_context(torch.random.fork_rng())
            torch.manual_seed(settings.seed)
            made = self._generate(
                inputs,
                heard,
                cancel,
                "answering",
                logits_processor=[WithoutSignals(qwen.tokenizer)],
                eos_token_id=self._end_of_turn(),
                max_new_tokens=settings.max_new_tokens,
                streamer=streamer(qwen.tokenizer, stream),
                **({"do_sample": True, "temperature": settings.temperature} if settings.temperature else {}),
            )
        return str(qwen.tokenizer.decode(made, skip_special_tokens=True)).strip()

    def _generate(
        self, inputs: dict[str, Any], stop: Callable[[Sequence[int]], bool], cancel: Cancel, stage: str, **options: Any
    ) -> list[int]:
        """New ids behind the prompt, with the checkpoint's own decoding habits switched off."""
        import torch

        qwen = self.qwen
        tensors = {name: value if torch.is_tensor(value) else torch.tensor(value) for name, value in inputs.items()}
        tensors = {name: value.to(qwen.device) for name, value in tensors.items()}
        length = tensors["input_ids"].shape[1]
        tensors["attention_mask"] = torch.ones_like(tensors["input_ids"])
        if "mm_token_type_ids" in inspect.signature(qwen.base.forward).parameters:
            tensors["mm_token_type_ids"] = self._types(tensors["input_ids"])

        def criterion(sequence: Tensor, scores: Any, **_: Any) -> Tensor:
            check(cancel, stage)
            return torch.full((1,), stop(sequence[0, length:].tolist()), device=sequence.device)

        habits = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None, "repetition_penalty": 1.0}
        with torch.no_grad(), memory_errors(stage, _LOWER):
            sequence = qwen.model.generate(
                **tensors,
                **(habits | {"use_cache": True, "pad_token_id": self._end_of_turn()[0]} | options),
                stopping_criteria=[criterion],
            )
        made: list[int] = sequence[0, length:].tolist()
        return made

    def _types(self, ids: Tensor) -> Tensor:
        """0 for text, 1 for picture tokens, 2 for video tokens (transformers 5 builds positions from them)."""
        config = self.qwen.base.config
        types: Tensor = (ids == config.image_token_id).long() + 2 * (ids == config.video_token_id).long()
        return types

    def _end_of_turn(self) -> list[int]:
        return ends_of_turn(self.qwen.base.generation_config)

    def _cancellable(self, cancel: Cancel, stage: str) -> AbstractContextManager[None]:
        return heard_before(self.qwen.language_model.layers, cancel, stage)


@contextmanager
def _captured(language_model: Any, rows: int) -> Iterator[list[Tensor]]:
    """The first `rows` rows behind the final norm, of the first forward pass only: one layer is kept, not all."""
    kept: list[Tensor] = []

    def keep(module: Any, arguments: Any, output: Tensor) -> None:
        if not kept:
            kept.append(output[:, :rows].detach().clone())

    hook = language_model.norm.register_forward_hook(keep)
    try:
        yield kept
    finally:
        hook.remove()
