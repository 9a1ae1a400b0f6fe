"""Two experts: each its own steps, against diffusers' own pipeline step by step; one on the device at a time."""

import copy
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from PIL import Image

from unison_backend.demo import set as demo
from unison_backend.engine.engine import Engine, initial_noise
from unison_backend.engine.experts import lent, shares
from unison_backend.engine.settings import EngineOptions, SamplingSettings
from unison_backend.engine.sides import steps_of_each
from unison_backend.engine.unipc import flow_sigmas
from unison_backend.engine.vace_context import encode_context
from unison_backend.sources.prepare import Sources

from .oracle import make_scheduler

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def models():
    """Two transformers of random weights that differ, and a VAE."""
    built = demo.ensure_untrained()
    engine = Engine.load(built.vace, built.vae, CPU)
    low = copy.deepcopy(engine.transformer)
    generator = torch.Generator().manual_seed(9)
    for parameter in low.parameters():
        parameter.data = parameter + 0.02 * torch.randn(parameter.shape, generator=generator)
    return engine.transformer, low, engine.vae


@pytest.fixture
def two(models):
    high, low, vae = models
    return Engine(high, vae, CPU, low=low)


def given(references=0):
    generator = torch.Generator().manual_seed(3)
    refs = (torch.rand(references, 32, 48, 3, generator=generator) * 255).round() / 255
    sources = Sources(torch.rand(5, 32, 48, 3, generator=generator), torch.ones(5, 32, 48), tuple(refs))
    text = torch.zeros(2, 1, 48, 4096)
    text[:, :, :30] = torch.randn(2, 1, 30, 4096, generator=generator)
    return sources, text[0], text[1]


def watch(engine):
    """The timesteps at which each expert is asked from now on."""
    asked = {"high": [], "low": []}
    for side, model in (("high", engine.transformer), ("low", engine.low)):
        model.register_forward_pre_hook(
            lambda module, args, kwargs, side=side: asked[side].append(int(kwargs["timestep"][0])), with_kwargs=True
        )
    return asked


@pytest.mark.parametrize(("cfg_low", "boundary", "references"), [(None, None, 0), (2.0, 0.9, 1), (1.0, 0.875, 0)])
def test_every_step_is_that_of_diffusers_own_pipeline(two, cfg_low, boundary, references):
    from diffusers import WanVACEPipeline

    sources, positive, negative = given(references)
    settings = SamplingSettings(steps=6, seed=11, cfg=4.0, cfg_low=cfg_low, boundary=boundary)
    noise = initial_noise((1, 16, references + 2, 4, 6), settings.seed)
    context = encode_context(sources, two.encode)
    scheduler = make_scheduler(6, 5.0)
    scheduler.set_timesteps = lambda *args, **kwargs: None
    pipeline = WanVACEPipeline(
        tokenizer=None, text_encoder=None, vae=two.vae, scheduler=scheduler, transformer=two.transformer,
        transformer_2=two.low, boundary_ratio=boundary or 0.875,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    pictures = [Image.fromarray((r.numpy() * 255).round().astype(np.uint8)) for r in reversed(sources.references)]
    theirs = []

    def after(pipe, step, time, tensors):
        theirs.append(tensors["latents"].clone())
        return tensors

    pipeline(
        video=sources.video.permute(0, 3, 1, 2)[None],
        mask=sources.mask[:, None].expand(-1, 3, -1, -1)[None],
        reference_images=pictures or None, height=32, width=48, num_frames=5, num_inference_steps=6,
        prompt_embeds=positive, negative_prompt_embeds=negative, latents=noise, output_type="latent",
        guidance_scale=settings.cfg, guidance_scale_2=cfg_low, callback_on_step_end=after,
    )  # fmt: skip

    two.collapse_padding = False  # diffusers attends every row of zeros
    seen = []
    velocity = two._velocity
    two._velocity = lambda model, x, *rest: seen.append(x.clone()) or velocity(model, x, *rest)
    ours = two.sample(noise, context, positive, negative, settings)
    starts = [x for index, x in enumerate(seen) if index == 0 or not torch.equal(x, seen[index - 1])]
    # What the next step starts from is what diffusers' scheduler has made of the last one.
    assert len(theirs) == len(starts) == 6
    for mine, other in zip([*starts[1:], ours], theirs, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-5)
    alone = Engine(two.transformer, two.vae, CPU)
    alone.collapse_padding = False
    assert not torch.allclose(alone.sample(noise, context, positive, negative, settings), ours, atol=1e-2)


def test_each_makes_its_own_steps_and_takes_its_own_sides(two):
    sources, positive, negative = given()
    asked = watch(two)
    two.generate(sources, positive, negative, SamplingSettings(steps=8, cfg=1, cfg_low=3))
    times = [int(1000 * sigma + 3e-5) for sigma in flow_sigmas(8, 5.0)[:-1].tolist()]
    assert asked == {"high": [t for t in times if t >= 875], "low": [t for t in times if t < 875]}
    assert len(asked["high"]) == 4
    for boundary, high in ((0.001, 4), (0.9985, 1)):
        for side in asked.values():
            side.clear()
        two.generate(sources, positive, negative, SamplingSettings(steps=4, cfg=1, boundary=boundary))
        assert len(asked["high"]) == high and len(asked["low"]) == 4 - high


@pytest.mark.parametrize(
    ("steps", "shift", "high"), [(20, 5, 9), (30, 5, 13), (40, 5, 17), (50, 5, 21), (20, 8, 11), (50, 12, 32)]
)
def test_shares_of_the_noise(steps, shift, high):
    assert shares(steps, shift, 0.875) == (high, steps - high)
    told = steps_of_each(SamplingSettings(steps=steps, shift=shift))
    assert f"steps 1 to {high} were the high noise one's, {high + 1} to {steps} the low" in told


def test_an_expert_that_makes_nothing_is_told():
    assert "the low noise expert made none" in steps_of_each(SamplingSettings(steps=1))
    assert "the high noise expert made none" in steps_of_each(SamplingSettings(steps=4, shift=0.01, boundary=0.999))


def test_a_cache_computes_the_step_of_the_change(models):
    high, low, vae = models
    engine = Engine(high, vae, CPU, EngineOptions(cache=1.0), low)
    sources, positive, negative = given()
    asked = watch(engine)
    engine.generate(sources, positive, negative, SamplingSettings(steps=12, cfg=1))
    times = [int(1000 * sigma + 3e-5) for sigma in flow_sigmas(12, 5.0)[:-1].tolist()]
    assert asked["low"][0] == max(t for t in times if t < 875)
    assert len(asked["high"]) + len(asked["low"]) == engine.steps_computed < 12


def test_one_is_on_the_device_at_a_time_and_nothing_comes_back(two, monkeypatch):
    from unison_backend.engine import engine as module

    log = []

    def watched(model, device):
        log.append(("in", model))
        yield
        log.append(("out", model))

    monkeypatch.setattr(module, "lent", contextmanager(watched))
    sources, positive, negative = given()
    two.generate(sources, positive, negative, SamplingSettings(steps=4, cfg=1))
    assert [(what, model is two.transformer) for what, model in log] == [
        ("in", True), ("out", True), ("in", False), ("out", False),
    ]  # fmt: skip


def test_what_is_lent_has_its_own_tensors_again():
    layer = torch.nn.Linear(3, 2, bias=False).requires_grad_(False)
    layer.register_buffer("table", torch.ones(2))
    own = layer.weight.data_ptr(), layer.table.data_ptr()
    with pytest.raises(KeyError), lent(layer, torch.device("cpu")):
        layer.weight.data = layer.weight.data.clone()  # as if it had been moved
        layer.table.data = layer.table.data.clone()
        raise KeyError
    assert (layer.weight.data_ptr(), layer.table.data_ptr()) == own
