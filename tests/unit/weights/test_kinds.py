"""Other members of Wan's family, told by what they are before anything is built; keys with something before them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from unison_backend.demo import set as demo
from unison_backend.errors import WeightsError
from unison_backend.weights import wan_layouts as layouts
from unison_backend.weights.find import ModelPaths
from unison_backend.weights.kinds import check_models, own_part
from unison_backend.weights.wan import load_transformer, load_vae

State = dict[str, torch.Tensor]


def zeros(shapes: layouts.Shapes) -> State:
    return {key: torch.zeros(shape, dtype=torch.float16) for key, shape in shapes.items()}


def vace(**sizes: int) -> State:
    return zeros(layouts.wan_vace_shapes(**{"dim": 128, "ffn_dim": 64, "num_layers": 2, "vace_layers": 1} | sizes))


def without(state: State, part: str) -> State:
    return {key: value for key, value in state.items() if not key.startswith(part)}


def image_to_video() -> State:
    """36 channels go in, 16 come out."""
    state = without(vace(), "vace_")
    return state | {"patch_embedding.weight": torch.zeros(128, 36, 1, 2, 2, dtype=torch.float16)}


def fun_control() -> State:
    return without(vace(), "vace_") | {"patch_embedding.weight": torch.zeros(128, 48, 1, 2, 2, dtype=torch.float16)}


TRANSFORMERS = {
    "36 channels": (image_to_video, "36 input channels .*image to video"),
    "48 in, 16 out": (fun_control, "48 input channels .*Fun control"),
    "48 in, 48 out": (lambda: without(vace(channels=48), "vace_"), "48 input channels .*Wan 2.2 5B"),
    "160 channels": (lambda: vace(channels=160), "160 input channels .*Wan VACE takes 16"),
    "a module alone": (lambda: {k: v for k, v in vace().items() if k.startswith("vace_")}, "VACE blocks alone"),
    "a module without its first layer": (lambda: without(vace(), "patch_"), "VACE blocks alone"),
    "a module with the head": (lambda: without(vace(), "blocks."), "VACE blocks alone"),
}


@pytest.mark.parametrize("name", TRANSFORMERS)
@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_transformers_of_another_kind(tmp_path: Path, name: str, prefix: str) -> None:
    make, told = TRANSFORMERS[name]
    path = tmp_path / "m.safetensors"
    save_file({prefix + key: value for key, value in make().items()}, path)
    with pytest.raises(WeightsError, match=told) as caught:
        load_transformer(path)
    assert "wan2.1_vace_1.3B_fp16.safetensors" in str(caught.value) and "it is not one" not in str(caught.value)


@pytest.mark.parametrize(("channels", "told"), [(48, "48 latent channels .the Wan 2.2 VAE"), (4, "4 latent channels")])
def test_vaes_of_another_width(tmp_path: Path, channels: int, told: str) -> None:
    save_file(zeros(layouts.wan_vae_shapes(4, z_dim=channels)), tmp_path / "v.safetensors")
    with pytest.raises(WeightsError, match=told) as caught:
        load_vae(tmp_path / "v.safetensors")
    assert "wan_2.1_vae.safetensors" in str(caught.value)


@pytest.mark.parametrize("prefix", ["diffusion_model.", "model.diffusion_model.", "model.", "module.", "_orig_mod."])
def test_keys_with_something_before_them(tmp_path: Path, prefix: str) -> None:
    state = vace()
    state["blocks.0.ffn.0.bias"] += 1
    save_file({prefix + key: value for key, value in state.items()}, tmp_path / "m.safetensors")
    loaded = load_transformer(tmp_path / "m.safetensors").state_dict()
    assert bool((loaded["blocks.0.ffn.net.0.proj.bias"] == 1).all())


def test_a_checkpoint_of_several_models(tmp_path: Path) -> None:
    """Of each model its own part, as ComfyUI's checkpoints hold them; with `first_stage_model` or `vae` for the VAE."""
    for name in ("first_stage_model.", "vae."):
        parts = {"model.diffusion_model.": vace(), name: zeros(layouts.wan_vae_shapes(4))}
        parts["text_encoders.umt5xxl.transformer."] = {"shared.weight": torch.ones(2, 3)}
        state = {prefix + key: value for prefix, part in parts.items() for key, value in part.items()}
        save_file(state | {"scaled_fp8": torch.zeros(2)}, tmp_path / "all.safetensors")
        assert load_transformer(tmp_path / "all.safetensors", device="meta").patch_embedding.in_channels == 16
        assert load_vae(tmp_path / "all.safetensors", device="meta").z_dim == 16
        assert set(own_part(state, "text_encoder")) == {"shared.weight"}


def test_what_is_wrong_is_told_by_the_headers(tmp_path: Path) -> None:
    """Before anything is read: the files end behind their headers, in a hole."""
    files = demo.ensure()
    good = ModelPaths(files.vace, files.vae, files.text_encoder)
    check_models(good)
    bad = {
        "vace": (vace(text_dim=1024), "text of width 1024, UMT5-XXL's has 4096"),
        "vae": (zeros(layouts.wan_vae_shapes(4, z_dim=48)), "Wan 2.2 VAE"),
        "text_encoder": (zeros(layouts.umt5_shapes(40, 1024, 24, 2, 8, 1)), "writes text of width 1024"),
    }
    for key, (state, told) in bad.items():
        path = tmp_path / f"{key}.safetensors"
        save_file(state, path)
        with path.open("r+b") as file:
            data = 8 + struct.unpack("<Q", file.read(8))[0]
            size = path.stat().st_size
            file.truncate(data)
            file.truncate(size)
        with pytest.raises(WeightsError, match=told):
            check_models(
                ModelPaths(**{"vace": good.vace, "vae": good.vae, "text_encoder": good.text_encoder, key: path})
            )
