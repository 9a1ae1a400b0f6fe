"""A model behind a server as a `ChatModel`.

One shape of request is tried first, which vLLM, SGLang, llama.cpp's server, Ollama and LM Studio document: a nested
`json_schema`. What a server's own error says it does not take is left out of the next try. None of them is trusted to
hold the schema: the words say what a plan is as well, and the answer is judged as any other.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from ....errors import InputError
from ....media.to_bytes import tensor_to_bytes
from ....progress import Cancel, Progress, check
from ...base import Stream
from ..model import Form, Message, ModelFailed, Reply, Settings
from ..plan_schema import Schema
from .address import KEY_ENV, ServerOptions
from .failures import Refused, failed
from .wire import Wire

if TYPE_CHECKING:
    from torch import Tensor

LONGEST_WAIT = 30.0  # seconds that a busy server may ask for
_JPEG_QUALITY = 92
_SHAPES = ("json_schema", "json_object", "words")
_LOOSER = {
    "json_object": "the server takes no nested json_schema, so it was given the schema as json_object",
    "words": "the server takes no schema, so its answer was held to none; it is checked all the same",
}


class ServerModel:
    """Requests of one server and model. What a server is found not to take is remembered."""

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self._wire, self._model, self._shape = Wire(options), options.model.strip(), _SHAPES[0]

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"{self._model or 'the model'} at {self.options.base}"

    @property
    def sees(self) -> bool:
        """Whether it is shown pictures."""
        return self.options.sees

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
        """The next turn, over one connection that a cancel closes. Raises ModelFailed, InputError, Cancelled."""
        body = {
            "model": self._named(cancel),
            "messages": [_message(turn) for turn in turns],
            "max_tokens": settings.max_tokens,
            "temperature": settings.temperature,
            "seed": settings.seed,
        }
        heard = 0

        def hear(text: str) -> None:
            nonlocal heard
            heard += 1
            progress("planning" if form else "answering", heard, 0)
            stream(text)

        progress("waiting for the server", 0, 0)
        told: list[str] = []
        may_wait = True
        while True:
            try:
                reply = self._wire.chat(body | self._held(form), hear, cancel)
                return Reply(reply.text, reply.is_cut, tuple(told))
            except Refused as error:
                if form is not None and error.is_of_schema and self._shape != _SHAPES[-1]:
                    self._shape = _SHAPES[_SHAPES.index(self._shape) + 1]
                    told = [_LOOSER[self._shape]]
                elif may_wait and error.status in (429, 503) and error.wait is not None and error.wait <= LONGEST_WAIT:
                    may_wait = False
                    _wait(error.wait, progress, cancel)
                else:
                    raise self._failed(error, turns, cancel) from None

    def _held(self, form: Form | None) -> dict[str, Any]:
        """The part of a request that asks for a form."""
        if form is None or self._shape == "words":
            return {}
        if self._shape == "json_object":
            return {"response_format": {"type": "json_object", "schema": form.flat}}
        schema: Schema = {"name": "plan", "strict": True, "schema": form.flat}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}

    def _named(self, cancel: Cancel) -> str:
        """The model's name, or that of the server's only one."""
        if not self._model:
            try:
                names = self._wire.models(cancel)
            except Refused as error:
                raise self._failed(error, (), cancel) from None
            if len(names) != 1:
                there = f"it has {_listed(names)}" if names else "it names none"
                raise InputError(f"say which model of {self.options.base} is meant: {there}")
            (self._model,) = names
        return self._model

    def _failed(self, error: Refused, turns: Sequence[Message], cancel: Cancel) -> ModelFailed:
        options = self.options
        place = str(options.key_file) if options.key_file else f"the environment variable {options.key_env or KEY_ENV}"
        shown = any(not isinstance(part, str) for turn in turns for part in turn.parts)
        if error.status == 404 and turns:
            with suppress(Refused, ModelFailed):
                error = Refused(404, f"it has {_listed(self._wire.models(cancel))}")
        return failed(error, options.base, self._model, place, shown=shown)


def _listed(names: Sequence[str]) -> str:
    """Names of models, the first few."""
    few = ", ".join(name[:80] for name in names[:8])
    return f"{few} and {len(names) - 8} more" if len(names) > 8 else few or "none"


def _wait(seconds: float, progress: Progress, cancel: Cancel) -> None:
    """As long as a busy server asks for, or until the person has enough of it."""
    until = monotonic() + seconds
    while (left := until - monotonic()) > 0:
        check(cancel, "waiting for the server")
        progress("waiting for the server", 0, 0)
        sleep(min(0.05, left))


def _message(turn: Message) -> dict[str, Any]:
    """A turn as servers take it: text alone as a plain string, which those without eyes need."""
    if all(isinstance(part, str) for part in turn.parts):
        return {"role": turn.who, "content": turn.text}
    parts: list[dict[str, Any]] = []
    for part in turn.parts:
        if not isinstance(part, str):
            parts.append({"type": "image_url", "image_url": {"url": _data_url(part)}})
        elif parts and parts[-1]["type"] == "text":
            parts[-1]["text"] += part
        else:
            parts.append({"type": "text", "text": part})
    return {"role": turn.who, "content": parts}


def _data_url(picture: Tensor) -> str:
    """[H, W, 3] float32 0..1 as a JPEG in an address."""
    from PIL import Image

    file = BytesIO()
    Image.fromarray(tensor_to_bytes(picture).numpy()).save(file, "JPEG", quality=_JPEG_QUALITY)
    return f"data:image/jpeg;base64,{b64encode(file.getvalue()).decode()}"
