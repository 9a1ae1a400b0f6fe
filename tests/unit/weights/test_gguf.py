"""GGUF files: the numbers that the package `gguf` unpacks itself, in the memory that the file takes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from unison_backend.cli import doctor
from unison_backend.demo import set as demo
from unison_backend.errors import UnsupportedError, WeightsError
from unison_backend.weights import fp8
from unison_backend.weights import wan_layouts as layouts
from unison_backend.weights.experts import Pair, pair_of
from unison_backend.weights.find import find
from unison_backend.weights.gguf import GgufLinear
from unison_backend.weights.lora import merge_lora
from unison_backend.weights.state import load_state_dict
from unison_backend.weights.wan import load_transformer, load_vae

KINDS = gguf.GGMLQuantizationType
TYPES = ("Q8_0", "Q5_1", "Q4_0", "Q4_K", "Q6_K", "BF16", "F16")
State = dict[str, torch.Tensor]


def small() -> State:
    draw = torch.Generator().manual_seed(4)
    shapes = layouts.wan_vace_shapes(dim=256, ffn_dim=512, num_layers=2, vace_layers=1, text_dim=4096)
    return {key: torch.randn(shape, generator=draw) / 16 for key, shape in shapes.items()}


def blocks(shape: tuple[int, ...], kind: Any, seed: int) -> np.ndarray[Any, Any]:
    """Blocks of a K type, which `gguf` reads and does not write: any bits are weights, with scales that are sane."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    made = np.random.default_rng(seed).integers(0, 256, (shape[0] * shape[1] // block, size), dtype=np.uint8)
    scale = np.frombuffer(np.float16(0.002).tobytes(), np.uint8)
    if kind == KINDS.Q4_K:
        made[:, :2] = made[:, 2:4] = scale
    else:
        made[:, -2:] = scale
    return made.reshape(shape[0], -1)


def written(path: Path, state: State, kind: str = "Q8_0", folded: bool = False, leave: str = "-") -> State:
    """A GGUF file as VACE's are (matrices packed, the rest in float32), and the weights that it stands for."""
    writer, meant = gguf.GGUFWriter(path, "wan"), {}
    for number, (key, tensor) in enumerate(state.items()):
        values = tensor.numpy()
        meant[key] = tensor
        if key.startswith(leave):
            continue
        if tensor.ndim == 2 and tensor.shape[1] % 256 == 0 and key.endswith("weight"):
            wanted = KINDS[kind]
            made = blocks(values.shape, wanted, number) if kind.endswith("_K") else gguf.quantize(values, wanted)
            writer.add_tensor(key, made, raw_dtype=wanted)
            meant[key] = torch.from_numpy(gguf.dequantize(made, wanted).astype(np.float32))
        elif folded and tensor.ndim == 5:
            writer.add_array(f"comfy.gguf.orig_shape.{key}", list(tensor.shape))
            writer.add_tensor(key, values.reshape(values.shape[0], -1))
        else:
            writer.add_tensor(key, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return meant


@torch.no_grad()
def output(model: Any) -> torch.Tensor:
    draw = torch.Generator().manual_seed(1)
    shapes = ((1, 16, 2, 4, 4), (1, 5, 4096), (1, 96, 2, 4, 4))
    latents, text, control = (
        torch.randn(shape, generator=draw).to(model.patch_embedding.weight.dtype) for shape in shapes
    )
    made: torch.Tensor = model(latents, torch.tensor([500]), text, control_hidden_states=control, return_dict=False)[0]
    return made.float()


@pytest.mark.parametrize("kind", TYPES)
def test_each_type_gives_what_gguf_itself_unpacks(tmp_path: Path, kind: str) -> None:
    save_file(written(tmp_path / "m.gguf", small(), kind), tmp_path / "meant.safetensors")
    made = load_transformer(tmp_path / "m.gguf", dtype=torch.float32)
    expected = load_transformer(tmp_path / "meant.safetensors", dtype=torch.float32)
    assert made.config == expected.config
    held, theirs = fp8.layers(made), dict(expected.named_parameters())
    packed = kind not in ("BF16", "F16")
    assert len(held) == (36 if packed else 0)
    for key, layer in held.items():
        assert isinstance(layer, GgufLinear) and torch.equal(layer.weight, theirs[key])
    torch.testing.assert_close(output(made), output(expected), atol=1e-5, rtol=1e-5)
    if packed:
        block, size = gguf.GGML_QUANT_SIZES[KINDS[kind]]
        assert all(layer.stored.nbytes == layer.outline.numel() // block * size for layer in held.values())


def test_diffusers_own_loader_reads_the_same(tmp_path: Path) -> None:
    from diffusers import GGUFQuantizationConfig, WanVACETransformer3DModel

    written(tmp_path / "m.gguf", small(), "Q5_1")
    made = load_transformer(tmp_path / "m.gguf", dtype=torch.float32)
    made.save_config(tmp_path / "c" / "transformer")
    theirs = WanVACETransformer3DModel.from_single_file(
        str(tmp_path / "m.gguf"), config=str(tmp_path / "c"), subfolder="transformer", torch_dtype=torch.float32,
        quantization_config=GGUFQuantizationConfig(compute_dtype=torch.float32),
    )  # fmt: skip
    assert type(theirs.blocks[0].attn1.to_q).__name__ == "GGUFLinear"
    # theirs is rounded to float16 on the way
    ours, others = output(made), output(theirs)
    assert 0 < float((ours - others).norm() / others.norm()) < 5e-3


def test_what_computes_in_half_precision_and_moves(tmp_path: Path) -> None:
    meant = written(tmp_path / "m.gguf", small())
    model: nn.Module = load_transformer(tmp_path / "m.gguf", dtype=torch.bfloat16)
    layer = model.get_submodule("blocks.0.attn1.to_q")
    assert isinstance(layer, GgufLinear) and layer.weight.dtype == layer.bias.dtype == torch.bfloat16
    # what diffusers keeps in float32 is unpacked once, and keeps its full precision
    time = model.get_parameter("condition_embedder.time_embedder.linear_2.weight")
    assert torch.equal(time, meant["time_embedding.2.weight"]) and time.dtype == torch.float32
    model.to(torch.float32)
    assert layer.stored.dtype == torch.uint8
    assert torch.equal(layer.weight, meant["blocks.0.self_attn.q.weight"])


def test_a_lora_is_added_in_use(tmp_path: Path) -> None:
    meant = written(tmp_path / "m.gguf", small())
    draw = torch.Generator().manual_seed(2)
    up, down = torch.randn(256, 4, generator=draw), torch.randn(4, 256, generator=draw)
    name = "diffusion_model.blocks.1.self_attn.k"
    save_file({f"{name}.lora_up.weight": up, f"{name}.lora_down.weight": down}, tmp_path / "l.safetensors")
    model = load_transformer(tmp_path / "m.gguf", dtype=torch.float32)
    assert merge_lora(model, tmp_path / "l.safetensors", 0.5) == 1
    expected = meant["blocks.1.self_attn.k.weight"] + 0.5 * up @ down
    torch.testing.assert_close(model.blocks[1].attn1.to_k.weight, expected)


def test_tensors_of_five_dimensions_that_were_folded_or_left_out(tmp_path: Path) -> None:
    state = small()
    written(tmp_path / "folded.gguf", state, folded=True)
    model = load_transformer(tmp_path / "folded.gguf")
    assert torch.equal(model.patch_embedding.weight, state["patch_embedding.weight"])
    assert load_transformer(tmp_path / "folded.gguf", device="meta").config == model.config
    written(tmp_path / "none.gguf", state, leave="patch_embedding.weight")
    with pytest.raises(WeightsError, match=r"unfinished GGUF file: it has no patch_embedding\.weight"):
        load_transformer(tmp_path / "none.gguf")


def test_a_module_and_an_expert_may_be_gguf(tmp_path: Path) -> None:
    state = small()
    whole = written(tmp_path / "w.gguf", state)
    written(tmp_path / "module.gguf", {key: value for key, value in state.items() if key.startswith("vace_")})
    written(tmp_path / "t2v.gguf", {key: value for key, value in state.items() if not key.startswith("vace_")})
    model = load_transformer(tmp_path / "module.gguf", base=tmp_path / "t2v.gguf", dtype=torch.float32)
    assert torch.equal(model.vace_blocks[0].attn2.to_v.weight, whole["vace_blocks.0.cross_attn.v.weight"])
    assert torch.equal(output(model), output(load_transformer(tmp_path / "w.gguf", dtype=torch.float32)))
    high, low = (
        tmp_path / f"{side}Noise" / f"Wan2.2-VACE-Fun-A14B-{side.lower()}-noise-Q4_K_S.gguf" for side in ("High", "Low")
    )
    for file in (high, low):
        file.parent.mkdir()
        file.touch()
    assert pair_of(high) == pair_of(low) == Pair(high, low)


def test_safetensors_go_first_in_a_models_folder(tmp_path: Path) -> None:
    folder = tmp_path / "unet"
    folder.mkdir()
    (folder / "Wan2.1_14B_VACE-Q4_K_M.gguf").touch()
    assert find(tmp_path).vace == folder / "Wan2.1_14B_VACE-Q4_K_M.gguf"
    (folder / "wan2.1_vace_14B_fp16.safetensors").touch()
    assert find(tmp_path).vace == folder / "wan2.1_vace_14B_fp16.safetensors"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4000])


DAMAGE = {
    "cut short": cut,
    "only a head": lambda path: path.write_bytes(path.read_bytes()[:40]),
    "no GGUF": lambda path: path.write_bytes(b"nothing of it" * 9),
    "a wild count": lambda path: path.write_bytes(path.read_bytes()[:8] + b"\xff" * 8 + path.read_bytes()[16:]),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_files_are_told(tmp_path: Path, name: str) -> None:
    written(tmp_path / "m.gguf", small())
    DAMAGE[name](tmp_path / "m.gguf")
    with pytest.raises(WeightsError, match=r"m\.gguf is damaged, cut short or no GGUF file"):
        load_transformer(tmp_path / "m.gguf")


def test_types_and_models_that_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = gguf.GGUFWriter(tmp_path / "iq.gguf", "wan")
    size = gguf.GGML_QUANT_SIZES[KINDS.IQ2_XXS][1]
    writer.add_tensor("blocks.0.x.weight", np.zeros((2, size), np.uint8), raw_dtype=KINDS.IQ2_XXS)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(WeightsError, match=r"blocks\.0\.x\.weight is of GGUF type IQ2_XXS.*Q4_K"):
        load_transformer(tmp_path / "iq.gguf")
    for call in (load_vae, load_state_dict):
        with pytest.raises(WeightsError, match="is a GGUF file, which is not read for this model"):
            call(tmp_path / "iq.gguf")
    (tmp_path / "iq.gguf").rename(tmp_path / "iq.safetensors")
    with pytest.raises(WeightsError, match=r"rename it to iq\.gguf"):
        load_transformer(tmp_path / "iq.safetensors")
    written(tmp_path / "m.gguf", small())
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(UnsupportedError, match=r"m\.gguf is a GGUF file; .*pip install gguf"):
        load_transformer(tmp_path / "m.gguf")


def test_the_engine_makes_pictures_from_it(tmp_path: Path) -> None:
    """The embedded trained model as Q8_0: nearly the same picture."""
    from unison_backend.engine.engine import Engine
    from unison_backend.engine.settings import EngineOptions, SamplingSettings
    from unison_backend.sources.prepare import Sources

    built = demo.ensure()
    written(tmp_path / "vace.gguf", {key: tensor.float() for key, tensor in load_state_dict(built.vace).items()})
    text = torch.zeros(1, 24, 4096)
    text[:, :12] = torch.randn(1, 12, 4096, generator=torch.Generator().manual_seed(5)) / 8
    sources = Sources(torch.full((1, 32, 32, 3), 0.5), torch.ones(1, 32, 32), ())
    made = [
        Engine.load(path, built.vae, torch.device("cpu"), EngineOptions(offload=offload)).generate(
            sources, text, text, SamplingSettings(steps=4, cfg=1)
        )
        for path, offload in (
            (built.vace, "none"), (tmp_path / "vace.gguf", "none"), (tmp_path / "vace.gguf", "group"),
        )
    ]  # fmt: skip
    assert float((made[0] - made[1]).abs().mean()) < 0.01 and float(made[0].std()) > 0.05
    assert torch.equal(made[1], made[2])


def test_doctor_says_whether_the_package_is_there() -> None:
    assert "gguf" in doctor._OPTIONAL
