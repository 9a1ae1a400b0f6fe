"""EasyCache leaves steps out while they are foreseeable, and only then."""

import pytest
import torch

from unison_backend.demo import set as demo
from unison_backend.engine.easy_cache import EasyCache
from unison_backend.engine.engine import Engine, initial_noise
from unison_backend.engine.settings import EngineOptions, SamplingSettings, parse_cache
from unison_backend.errors import InputError


def run(threshold, rate, steps=20):
    """Which steps were computed, and the velocities, where the velocity is `rate` times a sample that moves by 0.01."""
    cache, computed, velocities = EasyCache(threshold, steps), [], []
    for step in range(steps):
        x = torch.full((4,), 1 + 0.01 * step)
        velocities.append(cache(x, lambda x=x, step=step: computed.append(step) or rate * x))
    assert cache.computed == len(computed)
    return computed, velocities


def test_what_is_foreseeable_is_left_out_between_the_ends():
    computed, velocities = run(0.03, rate=1.0)
    # Each step is expected to change by about 1 %: three are left out, then one is computed; the ends always are.
    assert computed == [0, 1, 2, 6, 10, 14, 18, 19]
    # A velocity that moves as the sample does is guessed exactly.
    for step, velocity in enumerate(velocities):
        torch.testing.assert_close(velocity, torch.full((4,), 1 + 0.01 * step))


def test_what_changes_faster_is_computed_more_often():
    assert len(run(0.035, rate=1.0)[0]) < len(run(0.012, rate=1.0)[0]) < len(run(0.001, rate=1.0)[0]) == 20


@pytest.mark.parametrize("text", ["fast", "easy:", "easy:0", "easy:2", "easy:nan", "easy:-1", "easy:x", ""])
def test_what_is_no_cache(text):
    with pytest.raises(InputError, match=r"--cache.*easy:THRESHOLD"):
        parse_cache(text)


def test_thresholds():
    assert (parse_cache(None), parse_cache("easy"), parse_cache("easy:0.2")) == (0.0, 0.05, 0.2)


def test_in_the_engine_it_saves_forward_passes():
    built = demo.ensure_untrained()
    plain = Engine.load(built.vace, built.vae, torch.device("cpu"))
    cached = Engine(plain.transformer, plain.vae, plain.device, EngineOptions(cache=1.0))
    passes = []
    plain.transformer.register_forward_pre_hook(lambda *_: passes.append(1))
    text = torch.zeros(1, 32, 4096)
    text[:, :20] = 1
    given = (initial_noise((1, 16, 1, 4, 4), 1), torch.ones(1, 96, 1, 4, 4), text, text, SamplingSettings(steps=12))
    whole = plain.sample(*given)
    assert len(passes) == 12
    less = cached.sample(*given)
    assert len(passes) - 12 == cached.steps_computed < 12
    assert less.shape == whole.shape and bool(less.isfinite().all()) and not torch.equal(less, whole)
