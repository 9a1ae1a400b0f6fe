"""What a model that is talked to offers, here or behind a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from ...errors import UnisonError
from ...progress import Cancel, Progress
from ..base import Stream
from .plan_schema import Schema

if TYPE_CHECKING:
    from torch import Tensor

Who = Literal["system", "user", "assistant"]


class ModelFailed(UnisonError):
    """A model could not be asked, or what it said is of no use; the message says why and what to do."""


@dataclass(frozen=True)
class Message:
    """One turn: texts and pictures [H, W, 3] float32 0..1, in order."""

    who: Who
    parts: tuple[str | Tensor, ...]

    @property
    def text(self) -> str:
        """Its texts without the pictures."""
        return "".join(part for part in self.parts if isinstance(part, str))

    def without_pictures(self) -> Message:
        """The texts alone."""
        return Message(self.who, tuple(part for part in self.parts if isinstance(part, str)))


@dataclass(frozen=True)
class Form:
    """What an answer is to look like: a flat schema that servers take, and an exact one for an automaton."""

    flat: Schema
    exact: Schema


@dataclass(frozen=True)
class Settings:
    """How an answer is generated. temperature 0 takes the likeliest token."""

    max_tokens: int
    temperature: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Reply:
    """What a model said. is_cut: it reached its limit. notices: what a person should know of how it was asked."""

    text: str
    is_cut: bool = False
    notices: tuple[str, ...] = ()


class ChatModel(Protocol):
    """A model that takes turns."""

    @property
    def name(self) -> str:
        """How messages call it."""

    @property
    def sees(self) -> bool:
        """Whether it can be shown pictures."""

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
        """The next turn; held to `form` as far as the model's runtime can. Raises ModelFailed, Cancelled."""
