"""Attention over a collapsed text context is attention over all of its rows."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from unison_backend.conditioning.padding import (
    PAD_ROWS,
    collapse,
    live_rows,
    pack_texts,
    pad_biases,
    rows_needed,
)
from unison_backend.errors import InputError


def contexts(*live: list[int], rows: int = 2048, width: int = 16) -> torch.Tensor:
    """[B, rows, width] with random values in the named rows and zeros elsewhere."""
    text = torch.zeros(len(live), rows, width)
    random = torch.Generator().manual_seed(1)
    for item, places in enumerate(live):
        text[item, places] = torch.randn(len(places), width, generator=random)
    return text


def attended(text: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Cross attention of fixed queries over keys and values made from `text` by layers with a bias."""
    torch.manual_seed(0)
    width = text.shape[-1]
    key, value = torch.nn.Linear(width, width).to(text), torch.nn.Linear(width, width).to(text)
    queries = torch.randn(len(text), 40, width).to(text)
    mask = None if bias is None else bias[:, None].to(text)
    return scaled_dot_product_attention(queries, key(text), value(text), attn_mask=mask).detach()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_weights_of_the_pad_rows_add_up(dtype: torch.dtype) -> None:
    for padding in range(1, 4097):
        weights = torch.tensor(pad_biases(padding, PAD_ROWS)).to(dtype).double().exp()
        assert abs(weights.sum().item() / padding - 1) < 1e-5


def test_more_pad_rows_than_padding_have_no_weight() -> None:
    assert torch.tensor(pad_biases(2, 6)).exp().tolist() == [1, 1, 0, 0, 0, 0]
    assert torch.tensor(pad_biases(0, 2)).exp().tolist() == [0, 0]
    with pytest.raises(InputError, match="2 rows cannot stand for 9"):
        pad_biases(9, 2)


@pytest.mark.parametrize("multiple", [1, 8])
@pytest.mark.parametrize(
    "live",
    [
        [list(range(60))],
        [list(range(60)), list(range(126))],
        [[], list(range(5))],
        [[0, 3, 2047], list(range(1000, 1100))],
        [list(range(2046)), [1]],
    ],
    ids=["one", "two lengths", "an empty one", "zeros inside", "nearly full"],
)
def test_collapsed_is_exact(live: list[list[int]], multiple: int) -> None:
    text = contexts(*live)
    found = live_rows(text)
    assert found.sum(dim=1).tolist() == [len(places) for places in live]
    rows, bias = collapse(text, found, rows_needed(found, multiple))
    assert rows.shape[1] % multiple == 0
    assert rows.shape[1] < max(map(len, live)) + PAD_ROWS + multiple
    torch.testing.assert_close(attended(rows, bias), attended(text), atol=2e-6, rtol=1e-5)


def test_bfloat16_is_as_near_to_the_truth_as_all_rows_are() -> None:
    text = contexts(list(range(60)), list(range(126))).bfloat16()
    truth = attended(text.double())
    rows, bias = collapse(text, live_rows(text), rows_needed(live_rows(text)))
    slow, fast = ((attended(*given).double() - truth).norm() / truth.norm() for given in ((text,), (rows, bias)))
    assert fast < 1.1 * slow


def test_an_item_has_the_bias_of_its_own_padding() -> None:
    text = contexts(list(range(60)), list(range(126)))
    rows, bias = collapse(text, live_rows(text), rows_needed(live_rows(text)))
    assert not torch.allclose(attended(rows, bias.flip(0)), attended(text), atol=1e-3)


def test_texts_without_padding_collapse_as_their_contexts_do() -> None:
    text = contexts(list(range(60)), list(range(126)))
    packed = pack_texts([text[0, :60], text[1, :126]])
    collapsed = collapse(text, live_rows(text), rows_needed(live_rows(text)))
    assert torch.equal(packed.rows, collapsed.rows)
    assert torch.equal(packed.bias, collapsed.bias)


def test_what_does_not_fit_is_refused() -> None:
    text = contexts(list(range(60)))
    with pytest.raises(InputError, match="60 rows of text does not collapse into 62 rows"):
        collapse(text, live_rows(text), 62)
    with pytest.raises(InputError, match="has 2049 rows; at most 2048 fit"):
        pack_texts([torch.ones(2049, 4)])
