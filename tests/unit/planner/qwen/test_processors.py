"""The processors that hold a model's scores to the grammar, and answers away from it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from unison_backend.errors import WeightsError
from unison_backend.plan.tokens import ADDED_TOKENS
from unison_backend.planner.qwen.grammar import PlanGrammar
from unison_backend.planner.qwen.processors import PlanProcessor, WithoutSignals

from .grammars import (
    ids_of,
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 0.0])
def test_scores_that_are_not_numbers_still_make_a_plan(demo: Any, value: float, dtype: torch.dtype) -> None:
    grammar = PlanGrammar(demo, ["image"], make="made")
    left = PlanProcessor(grammar, 0)(
        torch.zeros(1, 0, dtype=torch.long), torch.full((1, len(demo)), value, dtype=dtype)
    )
    allowed = grammar.allowed([])
    assert left.dtype == dtype and int(left.argmax()) in (allowed or [])
    assert set(torch.isfinite(left)[0].nonzero().flatten().tolist()) == set(allowed or [])
    assert torch.isfinite((left.float() / 0.1).softmax(-1)).all()


def test_a_score_that_is_not_a_number_is_the_last_choice(demo: Any) -> None:
    grammar = PlanGrammar(demo, [], make="made")
    scores = torch.full((1, grammar.size), float("nan"))
    scores[0, grammar.end_ids[1]] = -50.0
    left = PlanProcessor(grammar, 0)(torch.zeros(1, 0, dtype=torch.long), scores)
    assert int(left.argmax()) == grammar.end_ids[1]


def test_rows_of_a_batch_go_their_own_way_and_scores_stay_as_they_were(demo: Any) -> None:
    grammar = PlanGrammar(demo, [], make="made")
    ids = torch.tensor([ids_of(demo, text) for text in ("<BORES>1", "<BONF>9", "<BONF>2")])
    scores = torch.randn(3, len(demo) + 4)
    before = scores.clone()
    left = PlanProcessor(grammar, 0)(ids, scores)
    assert torch.equal(scores, before)
    for row in range(3):
        allowed = grammar.allowed(ids[row].tolist())
        assert allowed and torch.equal(left[row, allowed], scores[row, allowed])
        assert int(torch.isneginf(left[row]).sum()) == scores.shape[1] - len(allowed)


def test_a_model_with_too_few_rows_is_refused(demo: Any) -> None:
    processor = PlanProcessor(PlanGrammar(demo, []), 0)
    with pytest.raises(WeightsError, match=f"has {len(demo) - 1} tokens, its tokenizer {len(demo)}"):
        processor(torch.zeros(1, 0, dtype=torch.long), torch.zeros(1, len(demo) - 1))


def test_answers_hold_no_added_token_and_no_padding_row(tokenizer: Any) -> None:
    without = WithoutSignals(tokenizer)
    added = PlanGrammar(tokenizer, []).added_ids
    for rows in (len(tokenizer), len(tokenizer) + 100):
        scores = torch.randn(2, rows)
        left = without(torch.zeros(2, 3, dtype=torch.long), scores)
        assert torch.isneginf(left[:, [*added, *range(len(tokenizer), rows)]]).all()
        kept = [number for number in range(len(tokenizer)) if number not in added]
        assert torch.equal(left[:, kept], scores[:, kept])


def test_ids_that_no_token_has_are_no_answer() -> None:
    class Gaps:
        """A tokenizer whose tokens leave ids out."""

        eos_token_id = 5
        ids = {token: 10 * n for n, token in enumerate((*"0123456789,", "word", *ADDED_TOKENS), 1)}  # noqa: RUF012

        def __len__(self) -> int:
            return len(self.ids)

        def get_vocab(self) -> dict[str, int]:
            return dict(self.ids)

        def convert_tokens_to_ids(self, token: str) -> int | None:
            return self.ids.get(token)

        def convert_ids_to_tokens(self, number: int) -> str | None:
            return self.decode([number])

        def decode(self, numbers: list[int]) -> str | None:
            return next((token for token, number in self.ids.items() if number == numbers[0]), None)

    left = WithoutSignals(Gaps())(torch.zeros(1, 0, dtype=torch.long), torch.zeros(1, 300))
    assert torch.isfinite(left)[0].nonzero().flatten().tolist() == list(range(10, 130, 10))
