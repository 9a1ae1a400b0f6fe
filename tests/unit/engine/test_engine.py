"""The standalone engine on the embedded models, against the reference's schedule and diffusers' own pipeline."""

import numpy as np
import pytest
import torch
from PIL import Image

from unison_backend.demo import set as demo
from unison_backend.engine.engine import Engine, initial_noise
from unison_backend.engine.settings import SamplingSettings
from unison_backend.engine.vace_context import encode_context, to_unit
from unison_backend.errors import Cancelled, InputError
from unison_backend.sources.prepare import Sources

from .oracle import make_scheduler

# Measured on the reference's sampler: 50 steps, shift 5.
TIMESTEPS = """999 995 991 987 982 978 973 968 963 957 952 946 940 934 927 920 913 906 898 890 882 873 863 854 843 833
821 809 796 783 768 753 737 720 701 681 660 636 611 584 555 522 487 448 405 356 302 241 172 92"""


def test_the_schedule_is_the_references():
    scheduler = make_scheduler(50, 5.0)
    assert scheduler.timesteps.tolist() == list(map(int, TIMESTEPS.split()))
    u = 0.999 * (1 - np.arange(50) / 50)
    expected = torch.tensor([*(5 * u / (1 + 4 * u)), 0.0], dtype=torch.float32)
    torch.testing.assert_close(scheduler.sigmas, expected, atol=1e-6, rtol=0)


def by_hand(noise, velocity, steps, shift):
    """Second-order UniPC (bh2) on the flow's data prediction, written from the published formulas."""
    u = 0.999 * (1 - np.arange(steps) / steps)
    sigma = np.append(shift * u / (1 + (shift - 1) * u), 0.0)
    lam = np.log((1 - sigma[:-1]) / sigma[:-1])
    x, corrected, m, orders = noise.double(), None, [], []
    for i in range(steps):
        m.append(x - sigma[i] * velocity(x, int(1000 * sigma[i])))
        if i == 0:
            corrected = x
        else:
            h = lam[i] - lam[i - 1]
            e, alpha = np.expm1(-h), 1 - sigma[i]
            base = sigma[i] / sigma[i - 1] * corrected - alpha * e * m[i - 1]
            if orders[i - 1] == 1:
                corrected = base - alpha * e * (m[i] - m[i - 1]) / 2
            else:
                r, q = (lam[i - 2] - lam[i - 1]) / h, -h
                f1 = e / q - 1
                f2 = f1 / q - 0.5
                rho = np.linalg.solve([[1, 1], [r, 1]], [f1 / e, 2 * f2 / e])
                corrected = base - alpha * e * (rho[0] * (m[i - 2] - m[i - 1]) / r + rho[1] * (m[i] - m[i - 1]))
        order = min(2, steps - i, i + 1)
        orders.append(order)
        if i == steps - 1:
            return m[i]
        h = lam[i + 1] - lam[i]
        e, alpha = np.expm1(-h), 1 - sigma[i + 1]
        x = sigma[i + 1] / sigma[i] * corrected - alpha * e * m[i]
        if order == 2:
            r = (lam[i - 1] - lam[i]) / h
            x = x - alpha * e * 0.5 * (m[i - 1] - m[i]) / r
    raise AssertionError


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 50])
def test_the_solver_is_the_references(steps):
    def velocity(x, t):
        return torch.sin(3 * x) + x * t / 1000

    noise = initial_noise((1, 4, 2, 3), 7)
    scheduler, x = make_scheduler(steps, 5.0), noise
    for t in scheduler.timesteps:
        x = scheduler.step(velocity(x, int(t)), t, x, return_dict=False)[0]
    torch.testing.assert_close(x.double(), by_hand(noise, velocity, steps, 5.0), atol=2e-5, rtol=1e-4)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    built = demo.ensure_untrained()
    return Engine.load(built.vace, built.vae, torch.device("cpu"))


def drawn(frames, references=0):
    generator = torch.Generator().manual_seed(3)
    video = torch.rand(frames, 32, 48, 3, generator=generator)
    mask = torch.zeros(frames, 32, 48)
    mask[:, 8:24, 16:32] = 1
    video = torch.where(mask[..., None] > 0.5, torch.tensor(0.5), video)
    refs = torch.rand(references, 32, 48, 3, generator=generator)
    # References as 8-bit values, since diffusers' pipeline takes pictures only.
    return Sources(video, mask, tuple((refs * 255).round() / 255))


def contexts():
    generator = torch.Generator().manual_seed(5)
    text = torch.zeros(2, 1, 2048, 4096)
    text[:, :, :30] = torch.randn(2, 1, 30, 4096, generator=generator)
    return text[0], text[1]


@pytest.mark.parametrize(("frames", "references"), [(5, 0), (5, 2), (1, 1)])
def test_it_agrees_with_diffusers_own_pipeline(engine, frames, references):
    from diffusers import WanVACEPipeline

    sources, (positive, negative) = drawn(frames, references), contexts()
    settings = SamplingSettings(steps=4, seed=11)
    shape = (1, 16, references + (frames - 1) // 4 + 1, 4, 6)
    noise = initial_noise(shape, settings.seed)
    context = encode_context(sources, engine.encode)
    ours = engine.sample(noise, context, positive, negative, settings)

    scheduler = make_scheduler(4, 5.0)
    scheduler.set_timesteps = lambda *args, **kwargs: None
    pipeline = WanVACEPipeline(
        tokenizer=None, text_encoder=None, vae=engine.vae, scheduler=scheduler, transformer=engine.transformer
    )
    pipeline.set_progress_bar_config(disable=True)
    # diffusers puts the last reference in front, VACE the first.
    pictures = [Image.fromarray((r.numpy() * 255).round().astype(np.uint8)) for r in reversed(sources.references)]
    theirs = pipeline(
        video=sources.video.permute(0, 3, 1, 2)[None],
        mask=sources.mask[:, None].expand(-1, 3, -1, -1)[None],
        reference_images=pictures or None,
        height=32,
        width=48,
        num_frames=frames,
        num_inference_steps=4,
        prompt_embeds=positive,
        negative_prompt_embeds=negative,
        latents=noise,
        output_type="latent",
    ).frames
    torch.testing.assert_close(
        ours[:, :, references:], theirs[:, :, -ours.shape[2] + references :], atol=1e-3, rtol=1e-3
    )


def test_a_still_with_more_references_than_latent_frames(engine):
    positive, negative = contexts()
    frames = engine.generate(drawn(1, references=2), positive, negative, SamplingSettings(steps=1))
    assert frames.shape == (1, 32, 48, 3)


def test_seed_and_side_matter(engine):
    positive, negative = contexts()
    sources = drawn(1)

    def run(**settings):
        return engine.generate(sources, positive, negative, SamplingSettings(steps=2, **settings))

    assert torch.equal(run(seed=1), run(seed=1))
    assert not torch.equal(run(seed=1), run(seed=2))
    assert not torch.equal(run(cfg=1.0), run(cfg=5.0))
    assert not torch.equal(run(vace_strength=0.0), run(vace_strength=1.0))


def test_progress_and_cancel(engine):
    positive, negative = contexts()
    seen = []
    engine.generate(drawn(1), positive, negative, SamplingSettings(steps=3), lambda *step: seen.append(step))
    assert [s for s in seen if s[0] == "sampling"] == [("sampling", n, 3) for n in (1, 2, 3)]
    calls = []

    def cancel():
        calls.append(1)
        return len(seen) > 100

    def progress(stage, done, total):
        if stage == "sampling" and done == 1:
            seen.extend([None] * 200)

    seen.clear()
    with pytest.raises(Cancelled, match="sampling"):
        engine.generate(drawn(1), positive, negative, SamplingSettings(steps=50), progress, cancel)
    # One for the half that is encoded (the grey one is kept), one for both sides of the first step, one before the next.
    assert len(calls) == 3


def test_encode_and_decode_are_inverse_scales(engine):
    latents = torch.randn(1, 16, 2, 4, 6, generator=torch.Generator().manual_seed(0))
    raw = engine.vae.decode(latents * engine.coder._std + engine.coder._mean, return_dict=False)[0]
    assert torch.equal(engine.decode(latents), to_unit(raw))


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"steps": 2000}, {"cfg": -1}, {"shift": 0}, {"seed": -1}])
def test_settings_have_limits(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        SamplingSettings(**wrong)
