"""A loaded vision-language model as a `ChatModel`, its plans held to the exact schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ....media.to_bytes import tensor_to_bytes
from ....memory import memory_errors
from ....progress import Cancel, Progress, check
from ...base import Stream
from ...qwen.processors import WithoutSignals
from ...qwen.stopping import heard_before
from ...qwen.streaming import streamer
from ...qwen.template import render
from ..model import Form, Message, ModelFailed, Reply, Settings
from .held import Held
from .loading import Loaded

if TYPE_CHECKING:
    from torch import Tensor

_BREAK = "\u200b"  # nothing to see, and no special token can be read across it
_LOWER = "show fewer media, lower max_new_tokens, or take a smaller model"


class LocalModel:
    """A model in this process. name: how messages call it."""

    sees = True

    def __init__(self, loaded: Loaded, name: str) -> None:
        self.loaded, self.name = loaded, name

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
        """The next turn, streamed. Stops within one layer of a cancel. Raises ModelFailed, ResourceError, Cancelled."""
        import torch

        loaded = self.loaded
        inputs = self._inputs(turns, cancel)
        length = inputs["input_ids"].shape[1]
        stage = "planning" if form else "answering"

        def criterion(sequence: Tensor, scores: Any, **_: Any) -> Tensor:
            check(cancel, stage)
            progress(stage, sequence.shape[1] - length, settings.max_tokens)
            return torch.zeros(1, dtype=torch.bool, device=sequence.device)

        processors: list[Any] = [WithoutSignals(loaded.tokenizer)] if loaded.has_signals else []
        if form is not None:
            processors = [Held(loaded.tokenizer, form.exact, length)]
        sampling = {"do_sample": True, "temperature": settings.temperature} if settings.temperature else {}
        with (
            torch.no_grad(),
            torch.random.fork_rng(),
            memory_errors(stage, _LOWER),
            heard_before(_layers(loaded.model), cancel, stage),
        ):
            torch.manual_seed(settings.seed)
            sequence = loaded.model.generate(
                **inputs,
                **({"do_sample": False} | sampling),
                max_new_tokens=settings.max_tokens,
                eos_token_id=list(loaded.ends),
                pad_token_id=loaded.ends[0],
                logits_processor=processors,
                stopping_criteria=[criterion],
                streamer=streamer(loaded.tokenizer, stream),
            )
        made = sequence[0, length:].tolist()
        text = str(loaded.tokenizer.decode(made, skip_special_tokens=True))
        return Reply(text, is_cut=not made or made[-1] not in loaded.ends)

    def _inputs(self, turns: Sequence[Message], cancel: Cancel) -> dict[str, Any]:
        """The conversation as the model's own template writes it."""
        loaded = self.loaded
        specials = sorted(loaded.tokenizer.get_added_vocab(), key=len, reverse=True)
        try:
            template = loaded.tokenizer.get_chat_template()
        except ValueError:
            template = getattr(loaded.processor, "chat_template", None)
        if not isinstance(template, str):
            raise ModelFailed(f"{self.name} has no chat template: download the complete folder")
        named = loaded.tokenizer.special_tokens_map.items()
        variables = {
            "messages": [_message(turn, specials, loaded.picture) for turn in turns],
            "add_generation_prompt": True,
            **dict.fromkeys(("tools", "documents")),
            **{name: str(token) for name, token in named if isinstance(token, str)},
        }
        text = render(template, variables, cancel)
        pictures = [tensor_to_bytes(p) for turn in turns for p in turn.parts if not isinstance(p, str)]
        if pictures:
            if loaded.processor is None:
                raise loaded.problem or ModelFailed(f"{self.name} has no image processor: download the complete folder")
            inputs = loaded.processor(text=[text], images=pictures, return_tensors="pt")
        else:
            inputs = loaded.tokenizer([text], add_special_tokens=False, return_tensors="pt")
        device = next(loaded.model.parameters()).device
        return {name: value.to(device) for name, value in inputs.items()}


def _layers(model: Any) -> list[Any]:
    """Those of text and of pictures."""
    from torch import nn

    return [layer for module in model.modules() if isinstance(module, nn.ModuleList) for layer in module]


def _message(turn: Message, specials: Sequence[str], picture: str | None) -> dict[str, Any]:
    """A turn for a template; the words' own special tokens are broken, so that none of them arises.

    picture: what stands for one in a plain text; None: the template is told of it as a part.
    """
    if picture is not None or all(isinstance(part, str) for part in turn.parts):
        parts = [harmless(part, specials) if isinstance(part, str) else picture or "" for part in turn.parts]
        return {"role": turn.who, "content": "".join(parts)}
    content = [
        {"type": "text", "text": harmless(part, specials)} if isinstance(part, str) else {"type": "image"}
        for part in turn.parts
    ]
    return {"role": turn.who, "content": content}


def harmless(text: str, specials: Sequence[str]) -> str:
    """A text in which no special token is left whole."""
    for token in specials:
        if len(token) > 1 and token.strip():
            text = text.replace(token, f"{token[0]}{_BREAK}{token[1:]}")
    return text
