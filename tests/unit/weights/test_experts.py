"""Wan2.2's two experts are found together; half of a pair is refused by name, and nothing else is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from unison_backend.cli import doctor
from unison_backend.demo import set as demo
from unison_backend.demo.fallback import resolve_models
from unison_backend.errors import InputError, WeightsError
from unison_backend.weights.experts import Pair, is_expert, pair_of, refusal
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


def test_half_of_a_pipeline_of_two_is_refused(tmp_path: Path) -> None:
    folder = pipeline(tmp_path / "two", ["diffusers", "WanVACETransformer3DModel"])
    part = folder / "transformer"
    for path in (folder, part, part / "diffusion_pytorch_model.safetensors"):
        assert pair_of(path) is None
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


@pytest.mark.parametrize("names", [("transformer", "transformer_2"), ("high_noise_model", "low_noise_model")])
def test_a_folder_of_two_is_both_by_each_of_its_parts(tmp_path: Path, names: tuple[str, str]) -> None:
    high, low = (tmp_path / name for name in names)
    files = [part / "diffusion_pytorch_model.safetensors" for part in (high, low)]
    touch(*files, tmp_path / "Wan2.1_VAE.pth")
    for path in (tmp_path, high, low, *files):
        assert pair_of(path) == Pair(high, low)
        with pytest.raises(WeightsError, match="two experts"):
            load_transformer(path)  # by itself it is half
    found = find(tmp_path)
    assert (found.vace, found.vace_low, found.boundary) == (high, low, None)
    told = "\n".join(doctor._models(tmp_path, usable=False))
    assert f"found    Wan VACE, 1.3B or 14B: {high}" in told and "REFUSED" not in told
    assert f"with its low noise expert: {low}; they change at 0.875" in told
    (tmp_path / "model_index.json").write_text('{"boundary_ratio": 0.9}', encoding="utf-8")
    assert find(tmp_path).boundary == 0.9
    for wrong in ("1.5", '"0.9"', "true", "NaN"):
        (tmp_path / "model_index.json").write_text(f'{{"boundary_ratio": {wrong}}}', encoding="utf-8")
        with pytest.raises(WeightsError, match=r"boundary_ratio|model_index"):
            find(tmp_path)


@pytest.mark.parametrize(
    ("high", "low"),
    [
        (
            "wan2.2_fun_vace_high_noise_14B_fp8_scaled.safetensors",
            "wan2.2_fun_vace_low_noise_14B_fp8_scaled.safetensors",
        ),
        ("Wan2_2_Fun_VACE_A14B_HIGH_bf16.safetensors", "Wan2_2_Fun_VACE_A14B_LOW_bf16.safetensors"),
        ("HighNoise/Wan2.2-VACE-high-noise.safetensors", "LowNoise/Wan2.2-VACE-low-noise.safetensors"),
        ("wan22-vace-HighNoise-highres.safetensors", "wan22-vace-LowNoise-highres.safetensors"),
    ],
)
def test_two_files_find_each_other(tmp_path: Path, high: str, low: str) -> None:
    files = [tmp_path / "diffusion_models" / name for name in (high, low)]
    touch(files[0])
    assert pair_of(files[0]) is None and find(tmp_path).vace is None
    touch(files[1])
    assert pair_of(files[0]) == pair_of(files[1]) == Pair(*files)
    found = find(tmp_path)
    assert (found.vace, found.vace_low) == tuple(files)


def test_a_whole_model_goes_before_a_pair(tmp_path: Path) -> None:
    whole, *pair = (tmp_path / "diffusion_models" / name for name in (WHOLE[0], *FUN))
    touch(whole, *pair)
    found = find(tmp_path)
    assert (found.vace, found.vace_low) == (whole, None)
    assert f"beside it, two experts; --vace {pair[0]} takes both" in "\n".join(doctor._models(tmp_path, usable=False))


FUN = tuple(f"wan2.2_fun_vace_{side}_noise_14B_bf16.safetensors" for side in ("high", "low"))


def test_both_are_named_by_one_or_one_by_one(tmp_path: Path) -> None:
    built = demo.ensure_untrained()
    others: dict[str, Path | None] = {"vae": built.vae, "text_encoder": built.text_encoder}
    high, low, odd = (tmp_path / name for name in (*FUN, "mine.safetensors"))
    for file in (high, low, odd):
        shutil.copyfile(built.vace, file)
    for given in ({"vace": high}, {"vace": low}, {"vace": tmp_path}, {"vace": high, "vace_low": low}):
        models = resolve_models(None, given | others)
        assert (models.vace, models.vace_low, models.boundary) == (high, low, None)
        assert f"two experts: {high} for high noise, {low} for low noise, changing at 0.875" in models.notices[0]
    assert resolve_models(None, {"vace": high, "vace_low": odd} | others).vace_low == odd
    for wrong, told in (
        ({"vace": low, "vace_low": high}, "the wrong way"),
        ({"vace": high, "vace_low": high}, "are both"),
        ({"vace_low": low}, "goes with a model that --vace names"),
        ({"vace": high, "vace_low": tmp_path / "absent"}, "--vace-low: .* does not exist"),
    ):
        with pytest.raises(InputError, match=told):
            resolve_models(None, wrong | others)
    low.unlink()
    with pytest.raises(WeightsError, match="is one of two experts by its name"):
        resolve_models(None, {"vace": high} | others)
    low.write_bytes(b"")
    with pytest.raises(WeightsError, match=f"{low.name} is empty"):
        resolve_models(None, {"vace": high} | others)


def test_a_half_in_a_models_folder_is_said_where_the_vace_is_missing(tmp_path: Path) -> None:
    halves = [tmp_path / "diffusion_models" / "wan" / name for name in EXPERTS[:2]]
    touch(*halves)
    assert find(tmp_path).vace is None
    told = "\n".join(doctor._models(tmp_path, usable=False))
    assert "MISSING  Wan VACE" in told and all(f"    left: {file} is one of two experts" in told for file in halves)
    with pytest.raises(InputError) as error:
        resolve_models(tmp_path, {})
    assert all(str(file) in str(error.value) for file in halves) and "KSampler (Advanced)" in str(error.value)
