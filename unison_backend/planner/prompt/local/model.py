"""A loaded vision-language model as a `ChatModel`, its plans held to the exact schema."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....media.to_bytes import tensor_to_bytes
from ....memory import memory_errors
from ....progress import Cancel, Progress, check
from ...base import Stream
from ...qwen.template import render
from ..model import Form, Message, ModelFailed, Reply, Settings
from .held import Held, can_hold
from .loading import Loaded

if TYPE_CHECKING:
    from torch import Tensor

_UNHELD = "llguidance is not installed, so the model's plan was held to no schema; it is checked all the same"
_BREAK = "\u200b"  # nothing to see, and no special token can be read across it
_LOWER = "show fewer media, lower max_new_tokens, or take a smaller model"


class LocalModel:
    """A model in this process. name: its folder's."""

    sees = True

    def __init__(self, loaded: Loaded, folder: Path) -> None:
        self.loaded, self.name = loaded, folder.name

    def chat(
        self,
        turns: Sequence[Message],
        settings: Settings,
        form: Form | None = None,
        *,
        stream: Stream,
        progress: Progress,
        cancel: Cancel,
    ) -> Reply:
        """The next turn. Stops within one token of a cancel. Raises ModelFailed, ResourceError, Cancelled."""
        import torch

        inputs = self._inputs(turns, cancel)
        length = inputs["input_ids"].shape[1]
        stage = "planning" if form else "answering"

        def criterion(sequence: Tensor, scores: Any, **_: Any) -> Tensor:
            check(cancel, stage)
            progress(stage, sequence.shape[1] - length, settings.max_tokens)
            return torch.zeros(1, dtype=torch.bool, device=sequence.device)

        is_held = form is not None and can_hold()
        held = [Held(self.loaded.tokenizer, form.exact, length)] if form is not None and is_held else []
        sampling = {"do_sample": True, "temperature": settings.temperature} if settings.temperature else {}
        with torch.no_grad(), torch.random.fork_rng(), memory_errors(stage, _LOWER):
            torch.manual_seed(settings.seed)
            sequence = self.loaded.model.generate(
                **inputs,
                **({"do_sample": False} | sampling),
                max_new_tokens=settings.max_tokens,
                pad_token_id=self.loaded.ends[0],
                logits_processor=held,
                stopping_criteria=[criterion],
            )
        made = sequence[0, length:].tolist()
        text = str(self.loaded.tokenizer.decode(made, skip_special_tokens=True))
        stream(text)
        told = () if is_held or form is None else (_UNHELD,)
        return Reply(text, is_cut=not made or made[-1] not in self.loaded.ends, notices=told)

    def _inputs(self, turns: Sequence[Message], cancel: Cancel) -> dict[str, Any]:
        """The conversation as the folder's own template writes it."""
        tokenizer = self.loaded.tokenizer
        specials = sorted(tokenizer.get_added_vocab(), key=len, reverse=True)
        try:
            template = tokenizer.get_chat_template()
        except ValueError:
            template = getattr(self.loaded.processor, "chat_template", None)
        if not isinstance(template, str):
            raise ModelFailed(f"{self.name} has no chat template: download the complete folder")
        variables = {
            "messages": [_message(turn, specials) for turn in turns],
            "add_generation_prompt": True,
            **dict.fromkeys(("tools", "documents")),
            **{name: str(token) for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)},
        }
        text = render(template, variables, cancel)
        pictures = [tensor_to_bytes(p) for turn in turns for p in turn.parts if not isinstance(p, str)]
        if pictures:
            inputs = self.loaded.processor(text=[text], images=pictures, return_tensors="pt")
        else:
            inputs = tokenizer([text], add_special_tokens=False, return_tensors="pt")
        return {name: value.to(self.loaded.model.device) for name, value in inputs.items()}


def _message(turn: Message, specials: Sequence[str]) -> dict[str, Any]:
    """A turn for a template; the words' own special tokens are broken, so that none of them arises."""
    if all(isinstance(part, str) for part in turn.parts):
        return {"role": turn.who, "content": harmless(turn.text, specials)}
    parts = [
        {"type": "text", "text": harmless(part, specials)} if isinstance(part, str) else {"type": "image"}
        for part in turn.parts
    ]
    return {"role": turn.who, "content": parts}


def harmless(text: str, specials: Sequence[str]) -> str:
    """A text in which no special token is left whole."""
    for token in specials:
        if len(token) > 1 and token.strip():
            text = text.replace(token, f"{token[0]}{_BREAK}{token[1:]}")
    return text
