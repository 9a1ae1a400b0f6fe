"""What a run can be told, before anything is loaded."""

from pathlib import Path

import pytest

from unison_backend.engine.settings import PRESETS, EngineOptions, Lora, SamplingSettings, parse_lora
from unison_backend.errors import InputError


@pytest.mark.parametrize(
    ("text", "file", "strength"),
    [
        ("a.safetensors", "a.safetensors", 1.0),
        ("a.safetensors:0.7", "a.safetensors", 0.7),
        ("a:b.safetensors:-.5", "a:b.safetensors", -0.5),
        (r"C:\loras\a.safetensors", r"C:\loras\a.safetensors", 1.0),
        (r"C:\loras\a.safetensors:1e-1", r"C:\loras\a.safetensors", 0.1),
        ("a.safetensors:", "a.safetensors:", 1.0),
        (":0.5", ":0.5", 1.0),
    ],
)
def test_a_strength_is_a_number_behind_the_last_colon(text, file, strength):
    assert parse_lora(text) == Lora(Path(file), strength)


@pytest.mark.parametrize("strength", ["11", "-1e9", "nan", "inf"])
def test_absurd_strengths_are_refused(strength):
    with pytest.raises(InputError, match=rf"a\.safetensors:{strength}.*-10 to 10"):
        parse_lora(f"a.safetensors:{strength}")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"attention": "warp"}, "--attention.*auto, sdpa, flash, sage"),
        ({"offload": "disk"}, "--offload.*none, model, group"),
        ({"vae_dtype": "fp8"}, "--vae-dtype.*auto, fp32, bf16, fp16"),
        ({"offload": "group", "compile": True}, "--compile and --offload group"),
    ],
)
def test_options_that_are_none(wrong, message):
    with pytest.raises(InputError, match=message):
        EngineOptions(**wrong)


def test_presets_are_settings():
    reference, fast = PRESETS["reference"], PRESETS["fast"]
    assert SamplingSettings(reference.steps, reference.cfg, reference.shift) == SamplingSettings()
    # One forward pass a step, and few of them: 8 in place of 100.
    assert SamplingSettings(fast.steps, fast.cfg, fast.shift).cfg == 1
    assert fast.steps * 10 < 2 * reference.steps
