"""The engine's options on the command line, as values."""

from pathlib import Path

import pytest

from unison_backend.cli import doctor
from unison_backend.cli.engine import engine_of, for_demo, sampling_of, with_preset
from unison_backend.cli.parser import make_parser
from unison_backend.demo.set import CFG as DEMO_CFG
from unison_backend.engine.settings import Lora, SamplingSettings
from unison_backend.engine.sides import check_sides
from unison_backend.errors import InputError
from unison_backend.weights.find import MODELS_VARIABLE, ModelPaths

CAUSVID = "Wan21_CausVid_bidirect2_T2V_1_3B_lora_rank32.safetensors"
CAUSVID_14B = "Wan21_CausVid_14B_T2V_lora_rank32.safetensors"


def parsed(*arguments):
    command = doctor.report
    return make_parser(*[command] * 5).parse_args(["run", "a fox", *map(str, arguments)])


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.delenv(MODELS_VARIABLE, raising=False)
    folder = tmp_path / "models"
    (folder / "loras" / "wan").mkdir(parents=True)
    for name in ("style.safetensors", "notes.txt", f"wan/{CAUSVID}", f"wan/{CAUSVID_14B}"):
        (folder / "loras" / name).write_bytes(b"")
    return folder


def test_settings_are_the_presets_under_those_given():
    assert sampling_of(parsed()) == SamplingSettings()
    assert sampling_of(parsed("--preset", "fast")) == SamplingSettings(steps=8, cfg=1, shift=8)
    given = ("--preset", "fast", "--steps", 12, "--cfg", 2, "--shift", 3, "--seed", 4)
    assert sampling_of(parsed(*given)) == SamplingSettings(12, 2, 3, 4)
    assert sampling_of(parsed("--cfg", 0)).cfg == 0


def test_the_embedded_models_have_their_own_guidance_unless_another_is_asked_for():
    def cfg(*given):
        options = parsed(*given)
        return for_demo(options, sampling_of(options)).cfg

    assert (cfg(), cfg("--cfg", 5), cfg("--preset", "fast")) == (DEMO_CFG, 5, 1)


def test_the_vae_is_the_references_and_in_tiles_where_it_has_to_be_unless_told():
    def vae(*given):
        engine = engine_of(parsed(*given))
        return engine.vae_dtype, engine.vae_tiled

    assert vae() == ("auto", None)
    assert vae("--vae-dtype", "bf16", "--vae-tiled") == ("bf16", True)
    assert vae("--no-vae-tiled", "--dtype", "fp16") == ("auto", False)  # --dtype is the planner's


def test_loras_by_path_and_by_name(models):
    options = parsed("--models", models, "--lora", models / "loras" / "style.safetensors", "--lora", "style:0.5",
                     "--lora", f"{CAUSVID}:-1")  # fmt: skip
    style = models / "loras" / "style.safetensors"
    assert engine_of(options).loras == (Lora(style), Lora(style, 0.5), Lora(models / "loras" / "wan" / CAUSVID, -1.0))


@pytest.mark.parametrize("name", ["none.safetensors:0.5", "notes.txt", "wan/style.safetensors"])
def test_a_lora_that_is_not_there(models, name):
    with pytest.raises(InputError, match=f"--lora: {name.partition(':')[0]} does not exist.*loras"):
        engine_of(parsed("--models", models, "--lora", name))


def test_a_preset_takes_the_lora_of_the_models_size(models):
    def loras(vace, *given):
        options = parsed("--models", models, "--preset", "fast", *given)
        return with_preset(options, engine_of(options), ModelPaths(vace=Path(vace)))

    engine, said = loras("wan2.1_vace_1.3B_fp16.safetensors")
    assert engine.loras == (Lora(models / "loras" / "wan" / CAUSVID, 0.7),)
    assert CAUSVID in said and "0.7" in said
    assert loras("wan2.1_vace_14B_fp16.safetensors")[0].loras[0].path.name == CAUSVID_14B
    engine, said = loras("any.safetensors", "--lora", "style")
    assert [lora.path.name for lora in engine.loras] == ["style.safetensors"] and not said


def test_a_preset_without_its_lora_says_where_it_belongs(models):
    (models / "loras" / "wan" / CAUSVID).unlink()
    for given in (("--models", models), ()):
        options = parsed("--preset", "fast", *given)
        with pytest.raises(InputError, match=f"--preset fast.*{CAUSVID}"):
            with_preset(options, engine_of(options), ModelPaths(vace=Path("wan2.1_vace_1.3B.safetensors")))


def test_the_kernels_old_name():
    assert engine_of(parsed("--attention", "flash_attention_2")).attention == "flash"
    assert engine_of(parsed("--attention", "sage")).attention == "sage"


def test_two_experts_have_loras_and_guidance_of_their_own(models):
    for name in ("wan_low_noise.safetensors", "wan_high_noise.safetensors"):
        (models / "loras" / name).write_bytes(b"")
    pair = ModelPaths(vace=Path("high.safetensors"), vace_low=Path("low.safetensors"))
    options = parsed("--models", models, "--lora", "wan_high_noise", "--lora", "style:0.5", "--lora-low",
                     "style:0.7", "--lora-high", "wan_low_noise", "--cfg-low", 2, "--boundary", 0.9)  # fmt: skip
    engine, said = with_preset(options, engine_of(options), pair)
    assert [(lora.path.stem, lora.strength, lora.side) for lora in engine.loras] == [
        ("wan_high_noise", 1, "high"), ("style", 0.5, ""), ("wan_low_noise", 1, "high"), ("style", 0.7, "low"),
    ]  # fmt: skip
    assert said == "wan_high_noise.safetensors is for the high noise expert by its name"
    sampling = sampling_of(options)
    assert (sampling.cfg, sampling.cfg_low, sampling.boundary) == (5, 2, 0.9)
    check_sides(sampling, engine, two=True)
    for wrong in (["--cfg-low", 2], ["--boundary", 0.9], ["--lora-low", "style"]):
        options = parsed("--models", models, *wrong)
        with pytest.raises(InputError, match=f"{wrong[0]}.* is for a model of two experts"):
            check_sides(sampling_of(options), engine_of(options), two=False)
    options = parsed("--models", models, "--preset", "fast")
    with pytest.raises(InputError, match=r"one for each.*--lora-high"):
        with_preset(options, engine_of(options), pair)
    with pytest.raises(InputError, match="boundary is 1"):
        sampling_of(parsed("--boundary", 1))


def test_a_comfyui_by_its_own_folder(tmp_path):
    """Core's own files, by the names that its templates have, are all that making takes."""
    names = ("diffusion_models/wan2.1_vace_14B_fp16", "text_encoders/umt5_xxl_fp16", "vae/wan_2.1_vae")
    files = [tmp_path / "models" / f"{name}.safetensors" for name in names]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    for given in (tmp_path, tmp_path / "models"):
        told = "\n".join(doctor._models(parsed("--models", given).models, usable=False))
        assert all(str(file) in told for file in files) and "MISSING" not in told
