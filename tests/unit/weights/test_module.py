"""VACE as two files: a module and the text-to-video model under it are the whole model, key by key."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers
from safetensors.torch import save_file

from unison_backend.cli import doctor
from unison_backend.demo import set as demo
from unison_backend.demo.fallback import resolve_models
from unison_backend.errors import InputError, WeightsError
from unison_backend.weights import wan_layouts as layouts
from unison_backend.weights.module import fits_under
from unison_backend.weights.wan import load_transformer

State = dict[str, torch.Tensor]
MODULE, BASE = "Wan2_1-VACE_module_14B_bf16.safetensors", "Wan2_1-T2V-14B_fp8_e4m3fn.safetensors"


def whole(dim: int = 128, **shapes: tuple[int, ...]) -> State:
    draw = torch.Generator().manual_seed(dim)
    known = layouts.wan_vace_shapes(dim=dim, ffn_dim=64, num_layers=2, vace_layers=1, text_dim=4096)
    return {key: torch.randn(shape, generator=draw) for key, shape in (known | shapes).items()}


def module_of(state: State) -> State:
    return {key: value for key, value in state.items() if key.startswith("vace_")}


def base_of(state: State) -> State:
    return {key: value for key, value in state.items() if not key.startswith("vace_")}


def diffusers_names(state: State) -> State:
    converted: State = convert_wan_transformer_to_diffusers(dict(state))
    return converted


FORMS = {
    "wan": lambda state: state,
    "diffusers": diffusers_names,
    "prefix": lambda state: {f"model.diffusion_model.{key}": value for key, value in state.items()},
    "bf16": lambda state: {key: value.bfloat16() for key, value in state.items()},
}


@pytest.mark.parametrize(("first", "second"), [("wan", "wan"), ("diffusers", "prefix"), ("prefix", "diffusers")])
def test_two_files_are_the_whole_model(tmp_path: Path, first: str, second: str) -> None:
    state = whole()
    save_file(state, tmp_path / "whole.safetensors")
    save_file(FORMS[first](module_of(state)), tmp_path / MODULE)
    save_file(FORMS[second](base_of(state)), tmp_path / BASE)
    made = load_transformer(tmp_path / MODULE, base=tmp_path / BASE)
    expected = load_transformer(tmp_path / "whole.safetensors")
    assert made.config == expected.config
    theirs = expected.state_dict()
    assert set(made.state_dict()) == set(theirs)
    assert all(torch.equal(tensor, theirs[key]) for key, tensor in made.state_dict().items())


def test_each_file_has_types_and_scales_of_its_own(tmp_path: Path) -> None:
    state = whole()
    key = "blocks.1.ffn.0.weight"
    save_file(FORMS["bf16"](module_of(state)), tmp_path / MODULE)
    scaled = base_of(state) | {key: (state[key] / 2).to(torch.float8_e4m3fn), "scaled_fp8": torch.zeros(2)}
    save_file(scaled | {"blocks.1.ffn.0.scale_weight": torch.tensor(2.0)}, tmp_path / BASE)
    made = load_transformer(tmp_path / MODULE, base=tmp_path / BASE, dtype=torch.float32)
    assert torch.equal(made.blocks[1].ffn.net[0].proj.weight, (state[key] / 2).to(torch.float8_e4m3fn).float() * 2)
    name = "vace_blocks.0.self_attn.q.weight"
    assert torch.equal(made.vace_blocks[0].attn1.to_q.weight, state[name].bfloat16().float())


I2V = {"patch_embedding.weight": (128, 36, 1, 2, 2)}
REFUSED = {
    "a whole model with a base": (whole, lambda: base_of(whole()), "leave --vace-base away"),
    "no module": (lambda: base_of(whole()) | {"blocks.9.x": torch.ones(1)}, lambda: base_of(whole()), "leave --vace-ba"),
    "nothing of VACE": (lambda: {"a.b": torch.ones(1)}, lambda: base_of(whole()), "holds no VACE blocks"),
    "a module with more": (
        lambda: module_of(whole()) | {"head.head.bias": torch.ones(64)}, lambda: base_of(whole()), "holds proj_out.bias"
    ),
    "a base with VACE": (lambda: module_of(whole()), whole, "has VACE blocks of its own"),
    "two sizes": (lambda: module_of(whole()), lambda: base_of(whole(256)), "width 128, .* has 256.*different sizes"),
    "image to video": (lambda: module_of(whole()), lambda: base_of(whole(**I2V)), "36 input channels"),
    "another model": (lambda: module_of(whole()), lambda: {"double_blocks.0.x": torch.ones(1)}, "no Wan text-to-video"),
    "a module that lacks a key": (
        lambda: {k: v for k, v in module_of(whole()).items() if "after_proj.bias" not in k},
        lambda: base_of(whole()), r"1 missing \(vace_blocks.0.proj_out.bias\)",
    ),
    "a base that lacks a key": (
        lambda: module_of(whole()), lambda: {k: v for k, v in base_of(whole()).items() if k != "blocks.1.modulation"},
        r"1 missing \(blocks.1.scale_shift_table\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_go_together_is_told(tmp_path: Path, name: str) -> None:
    module, base, told = REFUSED[name]
    save_file(module(), tmp_path / MODULE)
    save_file(base(), tmp_path / BASE)
    with pytest.raises(WeightsError, match=told):
        load_transformer(tmp_path / MODULE, base=tmp_path / BASE)


def test_a_module_alone_says_what_is_missing(tmp_path: Path) -> None:
    save_file(module_of(whole()), tmp_path / MODULE)
    with pytest.raises(WeightsError, match=r"VACE blocks alone .*--vace-base"):
        load_transformer(tmp_path / MODULE)


def test_a_models_folder_with_the_parts_says_how_they_go_together(tmp_path: Path) -> None:
    folder = tmp_path / "diffusion_models"
    folder.mkdir()
    for name in (MODULE, BASE, "wan2.1_t2v_1.3B_fp16.safetensors", "Wan2_1-I2V-14B.safetensors"):
        (folder / name).touch()
    line = f"left: {folder / MODULE} holds VACE blocks alone by its name: --vace {folder / MODULE} --vace-base "
    assert f"{line}{folder / BASE}" in "\n".join(doctor._models(tmp_path, usable=False))
    (folder / "wan2.1_t2v_14B_fp16.safetensors").touch()  # which of two is not for us to say
    with pytest.raises(InputError, match=r"--vace-base FILE \(Wan T2V of its size\)"):
        resolve_models(tmp_path, {})


@pytest.mark.parametrize(
    ("base", "module", "fits"),
    [
        ("wan2.1_t2v_14B_fp16", "Wan2_1-VACE_module_14B_bf16", True),
        ("wan2.1_t2v_1.3B_fp16", "Wan2_1-VACE-module-1_3B_bf16", True),
        ("wan2.1_t2v_1.3B_fp16", "Wan2_1-VACE_module_14B_bf16", False),
        ("wan2.2_t2v_high_noise_14B_fp16", "Wan2_2_Fun_VACE_module_A14B_HIGH_bf16", True),
        ("wan2.2_t2v_low_noise_14B_fp16", "Wan2_2_Fun_VACE_module_A14B_HIGH_bf16", False),
        ("wan2.2_t2v_high_noise_14B_fp16", "Wan2_1-VACE_module_14B_bf16", False),
        ("Wan21_T2V_14B_lightx2v_lora", "Wan2_1-VACE_module_14B_bf16", False),
    ],
)
def test_what_goes_under_a_module_by_its_name(base: str, module: str, fits: bool) -> None:
    assert fits_under(base, module) == fits


def test_two_modules_and_the_models_under_them(tmp_path: Path) -> None:
    built, state = demo.ensure_untrained(), whole()
    files = {}
    for side in ("HIGH", "LOW"):
        files[side] = tmp_path / f"Wan2_2_Fun_VACE_module_A14B_{side}_bf16.safetensors"
        files[f"{side} base"] = tmp_path / f"Wan2_2-T2V-A14B_{side}_bf16.safetensors"
        save_file(module_of(state), files[side])
        save_file(base_of(state), files[f"{side} base"])
    others: dict[str, Path | None] = {"vae": built.vae, "text_encoder": built.text_encoder, "vace": files["HIGH"]}
    models = resolve_models(None, others | {"vace_base": files["HIGH base"]})
    assert (models.vace_low, models.vace_base, models.vace_low_base) == (
        files["LOW"], files["HIGH base"], files["LOW base"],
    )  # fmt: skip
    with pytest.raises(WeightsError, match=r"is for high noise, .* for low noise"):
        resolve_models(None, others | {"vace_base": files["LOW base"], "vace_low_base": files["HIGH base"]})
    with pytest.raises(WeightsError, match="VACE blocks alone"):
        resolve_models(None, others)
    files["LOW base"].unlink()
    with pytest.raises(InputError, match="name that with --vace-low-base"):
        resolve_models(None, others | {"vace_base": files["HIGH base"]})
    with pytest.raises(InputError, match=r"--vace-base .* goes with a model that --vace names"):
        resolve_models(None, {"vace_base": files["HIGH base"]})
