"""How answers are generated, whoever gives them."""

from __future__ import annotations

from dataclasses import dataclass

from ..defaults import MAX_NEW_TOKENS
from ..errors import InputError


@dataclass(frozen=True)
class AnswerSettings:
    """How an answer is generated. temperature 0 is greedy. keep_adapter leaves the planning LoRA on."""

    max_new_tokens: int = MAX_NEW_TOKENS
    temperature: float = 0.0
    seed: int = 0
    keep_adapter: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.max_new_tokens <= 32768:
            raise InputError(f"max_new_tokens is {self.max_new_tokens}; allowed is 1 to 32768")
        if not 0 <= self.temperature <= 10:
            raise InputError(f"temperature is {self.temperature}; allowed is 0 to 10")


USUAL = AnswerSettings()
