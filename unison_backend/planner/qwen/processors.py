"""The grammar and its opposite as transformers' logits processors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import WeightsError
from .grammar import PlanGrammar, vocabulary

if TYPE_CHECKING:
    from torch import Tensor

_FLOOR = 1e4  # what an infinite score becomes: within fp16, and still finite behind a low temperature


class PlanProcessor:
    """Logits processor that lets a model write plans of `grammar` only, behind a prompt of `prompt_length` ids.

    For transformers' `generate` (greedy or sampled, any batch; beams would carry texts that cannot go on). A score
    that is not finite cannot end a plan early: among the allowed ids it counts as very low, or very high.
    """

    def __init__(self, grammar: PlanGrammar, prompt_length: int) -> None:
        self.grammar = grammar
        self.prompt_length = prompt_length
        self._barred = list(grammar.barred_first)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """[B, V] scores with minus infinity wherever the plan may not go; raises WeightsError when rows are missing."""
        import torch

        if scores.shape[-1] < self.grammar.size:
            raise WeightsError(f"the planner's model has {scores.shape[-1]} tokens, its tokenizer {self.grammar.size}")
        result = torch.full_like(scores, -torch.inf)
        for row, generated in enumerate(input_ids[:, self.prompt_length :].tolist()):
            allowed = self.grammar.allowed(generated)
            if allowed is None:
                result[row] = scores[row]
                result[row, self._barred] = -torch.inf
            else:
                kept = torch.tensor(allowed, device=scores.device)
                result[row, kept] = scores[row, kept].nan_to_num(nan=-_FLOOR, posinf=_FLOOR, neginf=-_FLOOR)
        return result


class WithoutSignals:
    """Logits processor for answers: none of the 14 added tokens, and no row of the head that stands for no token."""

    def __init__(self, tokenizer: Any) -> None:
        known = vocabulary(tokenizer)
        self.size = known.size
        self.ids = sorted({*known.added.values(), *known.holes})
        self._mask: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """[B, V] scores with minus infinity for those ids."""
        if self._mask is None or self._mask.shape[-1] != scores.shape[-1] or self._mask.device != scores.device:
            self._mask = self._make_mask(scores)
        return scores.masked_fill(self._mask, -float("inf"))

    def _make_mask(self, scores: Tensor) -> Tensor:
        import torch

        mask = torch.zeros(scores.shape[-1], dtype=torch.bool, device=scores.device)
        mask[[number for number in (*self.ids, *range(self.size, len(mask))) if number < len(mask)]] = True
        return mask
