"""Wan2.2's two experts are refused by name wherever a model can be given, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unison_backend.cli import doctor
from unison_backend.demo.fallback import resolve_models
from unison_backend.errors import InputError, WeightsError
from unison_backend.weights.experts import is_expert, refusal
from unison_backend.weights.find import find
from unison_backend.weights.wan import load_transformer

EXPERTS = (
    "wan2.2_fun_vace_high_noise_14B_fp8_scaled.safetensors",
    "wan2.2_fun_vace_low_noise_14B_bf16.safetensors",
    "Wan2.2-VACE-Fun-A14B-high-noise-Q4_K_S.gguf",
    "Wan2.2-VACE-Fun-A14B-low-noise-Q5_K_M.gguf",
    "Wan2_2_Fun_VACE_module_A14B_HIGH_bf16.safetensors",
    "Wan2_2_Fun_VACE_module_A14B_LOW_fp8_e4m3fn_scaled_KJ.safetensors",
    "wan22-vace-HighNoise.safetensors",
)
WHOLE = (
    "wan2.1_vace_14B_fp16.safetensors",
    "wan2.1_vace_1.3B_fp16.safetensors",
    "Wan2_1-VACE_1_3B_bf16.safetensors",
    "VACE-highres-lowvram.safetensors",
    "my_vace_high_quality.safetensors",
    "Wan2.2-VACE-merged.safetensors",
    "diffusion_pytorch_model.safetensors",
)


def touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


@pytest.mark.parametrize("name", EXPERTS)
def test_a_half_is_known_by_its_name(name: str, tmp_path: Path) -> None:
    assert is_expert(name)
    assert "is one of two experts by its name" in refusal(tmp_path / name)


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_model_is_left_alone(name: str, tmp_path: Path) -> None:
    touch(tmp_path / name)
    assert not refusal(tmp_path / name) and not refusal(tmp_path)


def pipeline(folder: Path, second: object) -> Path:
    touch(folder / "transformer" / "diffusion_pytorch_model.safetensors")
    index = {"_class_name": "WanVACEPipeline", "transformer": ["diffusers", "X"], "transformer_2": second}
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def test_a_pipeline_of_two_is_refused_by_each_of_its_parts(tmp_path: Path) -> None:
    folder = pipeline(tmp_path / "two", ["diffusers", "WanVACETransformer3DModel"])
    part = folder / "transformer"
    for path in (folder, part, part / "diffusion_pytorch_model.safetensors"):
        assert "belongs to a model of two experts" in refusal(path)
        with pytest.raises(WeightsError, match="two experts"):
            load_transformer(path)
        with pytest.raises(WeightsError, match="two experts"):
            resolve_models(tmp_path, {"vace": path, "vae": tmp_path, "text_encoder": tmp_path})


def test_a_pipeline_of_one_writes_null_and_is_taken(tmp_path: Path) -> None:
    for second in ([None, None], None):
        folder = pipeline(tmp_path / str(second), second)
        assert not refusal(folder) and not refusal(folder / "transformer")
        (folder / "model_index.json").write_text("{", encoding="utf-8")
        assert not refusal(folder)


def test_wans_own_download_of_two_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "low_noise_model" / "diffusion_pytorch_model.safetensors"
    touch(file, tmp_path / "high_noise_model" / "diffusion_pytorch_model.safetensors", tmp_path / "Wan2.1_VAE.pth")
    for path in (tmp_path, tmp_path / "low_noise_model", file):
        with pytest.raises(WeightsError, match="two experts"):
            load_transformer(path)
    assert find(tmp_path).vace == tmp_path
    told = "\n".join(doctor._models(tmp_path, usable=False))
    assert f"REFUSED  {tmp_path} belongs to a model of two experts" in told
    with pytest.raises(WeightsError, match="two experts"):
        resolve_models(tmp_path, {})


def test_a_pair_in_a_models_folder_is_said_where_the_vace_is_missing(tmp_path: Path) -> None:
    pair = [tmp_path / "diffusion_models" / "wan" / name for name in EXPERTS[:2]]
    touch(*pair)
    assert find(tmp_path).vace is None
    told = "\n".join(doctor._models(tmp_path, usable=False))
    assert "MISSING  Wan VACE" in told and all(f"    left: {file} is one of two experts" in told for file in pair)
    with pytest.raises(InputError) as error:
        resolve_models(tmp_path, {})
    assert all(str(file) in str(error.value) for file in pair) and "KSampler (Advanced)" in str(error.value)
