"""The flow loss against the plain transformer on 2048 rows."""

import pytest
import torch
from torch.nn import functional

from unison_backend.conditioning.padding import pack_texts, pad_biases
from unison_backend.conditioning.text_context import CONTEXT_ROWS
from unison_backend.demo import set as demo
from unison_backend.engine.attention import text_processors
from unison_backend.errors import InputError
from unison_backend.training.flow import compact_text, draw_sigmas, flow_loss, recompute_blocks
from unison_backend.weights.wan import load_transformer

SIGMAS = torch.tensor([0.3, 0.9])


@pytest.fixture(scope="module")
def plain():
    return load_transformer(demo.ensure_untrained().vace, dtype=torch.float32)


@pytest.fixture
def compact():
    transformer = load_transformer(demo.ensure_untrained().vace, dtype=torch.float32)
    compact_text(transformer)
    return transformer


def drawn(count=2, frames=1, side=4):
    generator = torch.Generator().manual_seed(1)
    clean, noise = (torch.randn(count, 16, frames, side, side, generator=generator) for _ in range(2))
    context = torch.randn(count, 96, frames, side, side, generator=generator)
    rows = [torch.randn(length, 4096, generator=generator) for length in (3, 11, 7)[:count]]
    return clean, context, rows, noise


def by_hand(transformer, clean, context, rows, sigmas, noise):
    """The loss on the whole context, one sample after the other, as sampling gives it to the model."""
    losses = []
    for number, text in enumerate(rows):
        padded = functional.pad(text, (0, 0, 0, CONTEXT_ROWS - len(text)))[None]
        sigma = float(sigmas[number])
        velocity = transformer(
            hidden_states=((1 - sigma) * clean + sigma * noise)[number, None],
            timestep=torch.tensor([1000 * sigma]),
            encoder_hidden_states=padded,
            control_hidden_states=context[number, None],
            return_dict=False,
        )[0]
        losses.append(functional.mse_loss(velocity, (noise - clean)[number, None]))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_compact_texts_give_the_loss_of_2048_rows(plain, compact, count):
    clean, context, rows, noise = drawn(count)
    sigmas = torch.tensor([0.3, 0.9, 0.05])[:count]
    with torch.no_grad():
        expected = by_hand(plain, clean, context, rows, sigmas, noise)
        made = flow_loss(compact, clean, context, rows, sigmas, noise)
    torch.testing.assert_close(made, expected, atol=1e-6, rtol=1e-5)
    with torch.no_grad():
        unpadded = flow_loss(compact, clean, context, [row[:1] for row in rows], sigmas, noise)
    assert (unpadded - expected).abs() > 1e-4  # the text is heard


def test_the_weight_of_padding_matters(plain, compact, monkeypatch):
    """Without a weight of 2048 - n the pad rows stand for few rows: another loss, so the test above can fail."""
    clean, context, rows, noise = drawn()
    monkeypatch.setattr("unison_backend.training.flow.CONTEXT_ROWS", 12)
    with torch.no_grad():
        made = flow_loss(compact, clean, context, rows, SIGMAS, noise)
        expected = by_hand(plain, clean, context, rows, SIGMAS, noise)
    assert (made - expected).abs() > 1e-4


def test_gradients_are_those_of_2048_rows(compact):
    clean, context, rows, noise = drawn()
    whole = load_transformer(demo.ensure_untrained().vace, dtype=torch.float32)
    grads = []
    for transformer, loss in ((whole, by_hand), (compact, flow_loss)):
        transformer.requires_grad_(True)
        texts = [row.clone().requires_grad_(True) for row in rows]
        loss(transformer, clean, context, texts, SIGMAS, noise).backward()
        named = {name: parameter.grad for name, parameter in transformer.named_parameters()}
        grads.append(named | {f"text {number}": text.grad for number, text in enumerate(texts)})
    expected, made = grads
    assert expected.keys() == made.keys() and len(made) > 100
    for name, grad in expected.items():
        if grad is None:
            assert made[name] is None
            continue
        torch.testing.assert_close(made[name], grad, atol=2e-5 * float(grad.abs().max()) + 1e-9, rtol=1e-3)
    assert all(float(expected[f"text {number}"].abs().max()) > 0 for number in range(2))


def test_half_precision_takes_the_bias_too(compact):
    clean, context, rows, noise = drawn()
    with torch.no_grad():
        expected = flow_loss(compact, clean, context, rows, SIGMAS, noise)
        with torch.autocast("cpu", torch.bfloat16):
            made = flow_loss(compact, clean, context, rows, SIGMAS, noise)
    assert made.dtype == torch.float32
    torch.testing.assert_close(made, expected, atol=0, rtol=0.02)


def test_without_a_bias_the_processors_are_diffusers_own(plain, compact):
    clean, context, rows, noise = drawn()
    assert all(processor.bias is None for processor in text_processors(compact))
    assert len(text_processors(compact)) == 4 + 2
    with torch.no_grad():
        one, other = (by_hand(transformer, clean, context, rows, SIGMAS, noise) for transformer in (plain, compact))
    assert torch.equal(one, other)


def test_noise_alone_is_predicted_at_the_end(compact):
    """At sigma 1 the model sees noise only, at 0 the clean latents only."""
    seen = []
    clean, context, rows, noise = drawn()
    real = compact.forward
    compact.forward = lambda **given: seen.append(given) or real(**given)
    with torch.no_grad():
        flow_loss(compact, clean, context, rows, torch.tensor([0.0, 1.0]), noise)
    assert torch.equal(seen[0]["hidden_states"][0], clean[0]) and torch.equal(seen[0]["hidden_states"][1], noise[1])
    assert seen[0]["timestep"].tolist() == [0, 1000]


def test_recomputed_blocks_keep_the_bias_of_their_own_text():
    """Two texts one after the other, then one backward pass: each block is done again with its own padding."""
    clean, context, rows, noise = drawn()
    grads = []
    for recomputed in (False, True):
        transformer = load_transformer(demo.ensure_untrained().vace, dtype=torch.float32)
        compact_text(transformer)
        if recomputed:
            recompute_blocks(transformer)
        texts = [row.clone().requires_grad_(True) for row in rows]
        losses = [
            flow_loss(transformer, clean[i, None], context[i, None], [texts[i]], SIGMAS[i, None], noise[i, None])
            for i in range(2)
        ]
        torch.stack(losses).sum().backward()
        grads.append([text.grad for text in texts])
    for plain, again in zip(*grads, strict=True):
        torch.testing.assert_close(again, plain, atol=1e-9, rtol=1e-5)


def test_a_transformer_that_is_not_ready_is_refused():
    with pytest.raises(ValueError, match="compact_text comes first"):
        flow_loss(
            load_transformer(demo.ensure_untrained().vace, device="meta"),
            *(part.to("meta") for part in drawn()[:2]),
            drawn()[2],
            SIGMAS,
            drawn()[3],
        )


# Rows and noise levels


def test_too_many_rows_are_refused(compact):
    clean, context, _, noise = drawn(1)
    with pytest.raises(InputError, match="2049 rows; at most 2048"):
        flow_loss(compact, clean, context, [torch.zeros(2049, 4096)], SIGMAS[:1], noise)


def test_padding_weighs_the_same_in_half_precision(plain, compact):
    """One row with ln(2045) rounds by 1 % there. Seen in float32 weights, so that only the bias is rounded."""
    clean, context, rows, noise = drawn()
    with torch.no_grad():
        expected = by_hand(plain, clean, context, rows, SIGMAS, noise)
        rounded = pad_biases(2045, 3)
        assert sum(torch.tensor(rounded).bfloat16().double().exp()) == pytest.approx(2045, rel=1e-5)
        flow_loss(compact, clean, context, rows, SIGMAS, noise)
        for processor in text_processors(compact):
            processor.bias = processor.bias.bfloat16()
        text = pack_texts(rows).rows
        at = SIGMAS[:, None, None, None, None]
        velocity = compact(
            hidden_states=(1 - at) * clean + at * noise, timestep=1000 * SIGMAS, encoder_hidden_states=text,
            control_hidden_states=context, return_dict=False,
        )[0]  # fmt: skip
    made = functional.mse_loss(velocity, noise - clean)
    torch.testing.assert_close(made, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("shift", [1.0, 3.0, 5.0])
def test_noise_levels_are_uniform_before_the_shift(shift):
    sigmas = draw_sigmas(20_000, torch.Generator().manual_seed(0), shift)
    assert sigmas.min() >= 0 and sigmas.max() <= 1
    u = sigmas / (shift - (shift - 1) * sigmas)
    for share in (0.1, 0.5, 0.9):
        assert (u < share).float().mean() == pytest.approx(share, abs=0.02)
    assert torch.equal(sigmas, draw_sigmas(20_000, torch.Generator().manual_seed(0), shift))
    assert sigmas.mean() > 0.49 + 0.05 * (shift > 1)
