"""Weights that stay in fp8: as small as the file, and the numbers of the same weights in what the model computes in."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from unison_backend.conditioning.text_encoder import load_text_encoder
from unison_backend.demo import set as demo
from unison_backend.engine.setup import offload_blocks
from unison_backend.weights import fp8
from unison_backend.weights.lora import merge_lora
from unison_backend.weights.state import load_state_dict
from unison_backend.weights.wan import load_transformer

FP8 = torch.float8_e4m3fn
SCALE = 1 / 64


def files(path: Path, form: str, folder: Path, part: str) -> tuple[Path, Path]:
    """The model in `path` with its matrices below `part` in fp8, and with what they then stand for in float32."""
    stored, meant = {}, {}
    for key, tensor in load_state_dict(path).items():
        if tensor.ndim != 2 or part not in key or not key.endswith("weight"):
            stored[key] = meant[key] = tensor
            continue
        scale = {"plain": torch.tensor(1.0), "rows": torch.linspace(SCALE, 2 * SCALE, tensor.shape[0])[:, None]}
        factor = scale.get(form, torch.tensor(SCALE))
        stored[key] = (tensor / factor).to(FP8)
        meant[key] = stored[key].float() * factor
        layer = key.removesuffix("weight")
        if form == "old":
            stored |= {f"{layer}scale_weight": factor.clone(), f"{layer}scale_input": factor.clone()}
        elif form != "plain":
            stored[f"{layer}weight_scale"] = factor.clone()
    if form == "old":
        stored["scaled_fp8"] = torch.empty(2).to(FP8)
    save_file(stored, folder / "fp8.safetensors")
    save_file(meant, folder / "meant.safetensors")
    return folder / "fp8.safetensors", folder / "meant.safetensors"


def transformers(folder: Path, form: str, dtype: torch.dtype) -> tuple[nn.Module, nn.Module]:
    held, meant = files(demo.ensure_untrained().vace, form, folder, "blocks.")
    return load_transformer(held, dtype=dtype), load_transformer(meant, dtype=dtype)


@torch.no_grad()
def output(model: nn.Module) -> torch.Tensor:
    config, draw = model.config, torch.Generator().manual_seed(1)
    shapes = ((1, 16, 2, 4, 4), (1, 5, config.text_dim), (1, 96, 2, 4, 4))
    inputs = [torch.randn(shape, generator=draw).to(model.patch_embedding.weight.dtype) for shape in shapes]
    latents, text, control = inputs
    return model(latents, torch.tensor([500]), text, control_hidden_states=control, return_dict=False)[0].float()


def size(model: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())


def saved_bytes(model: nn.Module) -> int:
    """How many bytes more the model would take with these weights in what they compute in."""
    layers = fp8.layers(model).values()
    return sum(layer.stored.numel() * (layer.dtype.itemsize - layer.stored.element_size()) for layer in layers)


@pytest.mark.parametrize(
    ("form", "dtype"),
    [("old", torch.float32), ("new", torch.bfloat16), ("rows", torch.float32), ("plain", torch.bfloat16)],
)
def test_a_transformer_in_fp8_is_small_and_gives_the_same(tmp_path: Path, form: str, dtype: torch.dtype) -> None:
    held, meant = transformers(tmp_path, form, dtype)
    assert torch.equal(output(held), output(meant))
    layers = fp8.layers(held)
    assert len(layers) > 20 and all(layer.stored.dtype == FP8 for layer in layers.values())
    scales = sum(4 * layer.get_buffer("scale").numel() for layer in layers.values())
    assert size(meant) - size(held) == saved_bytes(held) - scales > size(meant) // 3


def test_what_must_compute_in_float32_does(tmp_path: Path) -> None:
    """The time embedding of a file that has everything in fp8, in bfloat16: its dtype is asked for by the library."""
    held, meant = files(demo.ensure_untrained().vace, "plain", tmp_path, "")
    model, wanted = (load_transformer(file, dtype=torch.bfloat16) for file in (held, meant))
    assert model.condition_embedder.time_embedder.linear_1.weight.dtype == torch.float32
    assert "proj_out.weight" in fp8.layers(model) and torch.equal(output(model), output(wanted))


@pytest.mark.parametrize("form", ["old", "plain"])
def test_a_text_encoder_in_fp8(tmp_path: Path, form: str) -> None:
    held, meant = files(demo.ensure_untrained().text_encoder, form, tmp_path, "")
    for dtype in (torch.float32, torch.bfloat16):
        ours, wanted = (load_text_encoder(file, dtype=dtype) for file in (held, meant))
        assert torch.equal(ours.encode("a red circle"), wanted.encode("a red circle"))
        assert fp8.layers(ours.model) and ours.model.shared.weight.dtype == dtype


def test_a_lora_is_added_where_the_weight_is_used(tmp_path: Path) -> None:
    held, meant = transformers(tmp_path, "old", torch.float32)
    draw = torch.Generator().manual_seed(2)
    modules = [key.removesuffix(".weight") for key in list(fp8.layers(held))[:12]]
    lora = {}
    for module in modules:
        rows, columns = meant.get_submodule(module).weight.shape
        lora[f"transformer.{module}.lora_A.weight"] = torch.randn(4, columns, generator=draw) / 8
        lora[f"transformer.{module}.lora_B.weight"] = torch.randn(rows, 4, generator=draw) / 8
    rows = meant.proj_out.weight.shape[0]
    lora["transformer.proj_out.diff_b"] = torch.ones(rows)
    lora[f"transformer.{modules[0]}.diff"] = torch.randn(meant.get_submodule(modules[0]).weight.shape, generator=draw)
    save_file(lora, tmp_path / "lora.safetensors")
    before = output(meant)
    counts = {merge_lora(model, tmp_path / "lora.safetensors", 0.7) for model in (held, meant)}
    assert counts == {len(modules) + 2}
    assert torch.allclose(output(held), output(meant), atol=1e-5)
    assert (output(held) - before).abs().max() > 0.1 and len(fp8.layers(held)) > len(modules)
    merge_lora(held, tmp_path / "lora.safetensors", -0.7)
    merge_lora(meant, tmp_path / "lora.safetensors", -0.7)
    assert torch.allclose(output(held), before, atol=1e-4)


def test_it_moves_and_changes_what_it_computes_in_without_losing_a_bit(tmp_path: Path) -> None:
    held, meant = transformers(tmp_path, "old", torch.float32)
    stored = next(iter(fp8.layers(held).values())).stored.clone()
    held.to(torch.bfloat16)
    layer = next(iter(fp8.layers(held).values()))
    assert layer.weight.dtype == layer.bias.dtype == torch.bfloat16 and layer.get_buffer("scale").dtype == torch.float32
    held.to(torch.float32)
    assert torch.equal(layer.stored.view(torch.uint8), stored.view(torch.uint8))
    assert layer.weight.dtype == torch.float32
    assert {tensor.device.type for tensor in held.to("meta").state_dict().values()} == {"meta"}
    assert layer.weight.is_meta and output(meant).isfinite().all()


def test_blocks_in_fp8_come_and_go(tmp_path: Path) -> None:
    held, meant = transformers(tmp_path, "new", torch.float32)
    offload_blocks(held, torch.device("cpu"))
    assert torch.equal(output(held), output(meant))
