"""The engine without its zero rows of text makes what it makes with all of them, for fewer FLOPs."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from unison_backend.conditioning.text_context import text_context
from unison_backend.demo import set as demo
from unison_backend.engine.attention import text_processors
from unison_backend.engine.engine import Engine, initial_noise
from unison_backend.engine.settings import SamplingSettings
from unison_backend.weights.wan import load_transformer, load_vae

CPU = torch.device("cpu")


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def contexts(rows=20, projected=True, length=200, width=4096):
    """Both sides: T5 rows, and the projected tokens behind those of the positive one."""
    tokens = drawn(1, 4, width, seed=1) if projected else None
    return text_context(drawn(rows, width, seed=2), tokens, length), text_context(
        drawn(33, width, seed=3), None, length
    )


@pytest.fixture(scope="module")
def engines():
    """The same engine in float32 and in bfloat16."""
    built = demo.ensure_untrained()
    vae = load_vae(built.vae, dtype=torch.float32)
    return {
        dtype: Engine(load_transformer(built.vace, dtype=dtype), vae, CPU) for dtype in (torch.float32, torch.bfloat16)
    }


def sampled(engine, texts, *, collapse=True, **settings):
    """Latents of two steps, from noise and a context that are drawn."""
    engine.collapse_padding = collapse
    try:
        shape = (1, 16, 2, 4, 6)
        return engine.sample(initial_noise(shape, 4), drawn(1, 96, *shape[2:]), *texts, SamplingSettings(**settings))
    finally:
        engine.collapse_padding = True


def relative(made, truth):
    return float((made - truth).norm() / truth.norm())


@pytest.mark.parametrize("cfg", [1.0, 5.0], ids=["one side", "two sides"])
@pytest.mark.parametrize(("projected", "length"), [(True, 200), (False, 2048)])
def test_float32_is_exact(engines, cfg, projected, length):
    engine, texts = engines[torch.float32], contexts(projected=projected, length=length)
    slow = sampled(engine, texts, collapse=False, steps=2, cfg=cfg)
    fast = sampled(engine, texts, steps=2, cfg=cfg)
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-5)
    # The rows that were left out matter: without them it is another picture.
    short = [text[:, : rows + 3] for text, rows in zip(texts, (20 + 4 * projected, 33), strict=True)]
    short = [torch.nn.functional.pad(text, (0, 0, 0, 36 - text.shape[1])) for text in short]
    assert relative(sampled(engine, short, collapse=False, steps=2, cfg=cfg), slow) > 1e-3


@pytest.mark.parametrize("cfg", [1.0, 5.0], ids=["one side", "two sides"])
@pytest.mark.parametrize("projected", [True, False])
def test_bfloat16_is_within_its_own_rounding(engines, cfg, projected):
    texts = contexts(projected=projected)
    truth = sampled(engines[torch.float32], texts, collapse=False, steps=1, cfg=cfg)
    slow, fast = (
        sampled(engines[torch.bfloat16], texts, collapse=collapse, steps=1, cfg=cfg) for collapse in (False, True)
    )
    assert relative(fast, truth) < 1.15 * relative(slow, truth)
    assert relative(fast, slow) < 1.5 * relative(slow, truth)


def test_a_context_without_padding_is_attended_as_it_is(engines):
    texts = tuple(drawn(1, 40, 4096, seed=seed) for seed in (1, 2))
    engine = engines[torch.float32]
    assert engine._text(list(texts)).bias is None
    assert torch.equal(sampled(engine, texts, steps=1), sampled(engine, texts, collapse=False, steps=1))


def test_sides_together_are_sides_one_after_the_other(engines, monkeypatch):
    engine, texts = engines[torch.float32], contexts()
    sizes = []
    real = engine.transformer.forward
    monkeypatch.setattr(
        engine.transformer, "forward", lambda **given: sizes.append(len(given["timestep"])) or real(**given)
    )
    together = sampled(engine, texts, steps=2)
    monkeypatch.setattr("unison_backend.engine.room.free_bytes", lambda device: 1e5)
    apart = sampled(engine, texts, steps=2)
    assert sizes == [2, 2, 1, 1, 1, 1]
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=1e-5)


def test_strength_0_runs_no_vace_block_and_gives_the_same(engines, monkeypatch):
    engine, texts = engines[torch.float32], contexts()
    runs = []
    hooks = [
        block.attn1.register_forward_hook(lambda *_: runs.append("vace")) for block in engine.transformer.vace_blocks
    ]
    skipped = sampled(engine, texts, steps=1, vace_strength=0)
    assert runs == []
    monkeypatch.setattr("unison_backend.engine.attention.without_vace", lambda transformer: _nothing())
    whole = sampled(engine, texts, steps=1, vace_strength=0)
    assert runs == ["vace"] * 2
    for hook in hooks:
        hook.remove()
    assert torch.equal(skipped, whole)
    assert not torch.equal(skipped, sampled(engine, texts, steps=1))


def _nothing():
    from contextlib import nullcontext

    return nullcontext()


def test_nothing_stays_behind(engines):
    engine, texts = engines[torch.float32], contexts()
    first = sampled(engine, texts, steps=1)
    sampled(engine, contexts(rows=7), steps=1, vace_strength=0)
    assert all(processor.bias is None for processor in text_processors(engine.transformer))
    assert len(text_processors(engine.transformer)) == len(engine.transformer.blocks) + 2
    assert torch.equal(sampled(engine, texts, steps=1), first)


def test_a_grey_clip_is_encoded_once(engines, monkeypatch):
    engine = engines[torch.float32]
    grey, clip = torch.zeros(1, 3, 5, 32, 48), drawn(1, 3, 5, 32, 48)
    calls = []
    real = engine.vae.encode
    monkeypatch.setattr(engine.vae, "encode", lambda given: calls.append(tuple(given.shape)) or real(given))
    first = engine.encode(grey)
    assert torch.equal(engine.encode(grey), first) and len(calls) == 1
    assert not torch.equal(engine.encode(clip), first) and len(calls) == 2
    assert engine.encode(torch.zeros(1, 3, 1, 32, 48)).shape == (1, 16, 1, 4, 6) and len(calls) == 3


# Wan2.1-VACE-1.3B, counted on meta tensors: no weights, no arithmetic. Its 15 pairs of main blocks and 15 VACE blocks
# are alike, so two and four main blocks say what thirty cost; the last figure of each case, known from whole forwards
# of the whole model in both hosts, holds that. benchmarks/engine.py counts the whole model.

PAIRS = 15


@pytest.fixture(scope="module")
def real_engines():
    """The real widths with one and with two pairs of main blocks."""
    from diffusers import AutoencoderKLWan, WanVACETransformer3DModel

    sizes = {"num_attention_heads": 12, "ffn_dim": 8960}
    with torch.device("meta"):
        vae = AutoencoderKLWan(base_dim=8)
        return [
            Engine(
                WanVACETransformer3DModel(num_layers=2 * pairs, vace_layers=list(range(0, 2 * pairs, 2)), **sizes),
                vae,
                torch.device("meta"),
            )
            for pairs in (1, 2)
        ]


def teraflops(engines, frames, *, collapse=True, **settings):
    """Of one side's forward pass at 832x480, with 61 rows of text and 4 projected ones."""
    shape = (1, 16, (frames - 1) // 4 + 1, 60, 104)
    noise, context = torch.zeros(1, 1, 1, 1, 1).expand(shape), torch.zeros(1, 1, 1, 1, 1).expand(1, 96, *shape[2:])
    counts = []
    for engine in engines:
        engine.collapse_padding = collapse
        with FlopCounterMode(display=False) as counter:
            engine.sample(noise, context, *contexts(61, length=2048), SamplingSettings(steps=1, **settings))
        counts.append(counter.get_total_flops() / 1e12 / (1 if settings.get("cfg") == 1 else 2))
    one, two = counts
    return one + (PAIRS - 1) * (two - one)


@pytest.mark.parametrize(("frames", "most", "whole"), [(1, 6.75, 8.4336), (81, 423, 441.595)])
def test_flops_of_the_real_configuration(real_engines, frames, most, whole):
    assert 0.75 * whole < teraflops(real_engines, frames) < most
    assert teraflops(real_engines, frames, cfg=1, collapse=False) == pytest.approx(whole, rel=1e-5)


def test_strength_0_saves_a_third_of_the_flops(real_engines):
    assert teraflops(real_engines, 1, vace_strength=0.0, cfg=1) < 0.68 * 6.71
