"""LoRA files of every layout change the transformer's weights by the same numbers, and say why when they do not fit."""

import pytest
import torch
from safetensors.torch import save_file

from unison_backend.demo import set as demo
from unison_backend.errors import WeightsError
from unison_backend.weights.lora import merge_lora
from unison_backend.weights.wan import load_transformer

# Wan's own name, diffusers' name.
MODULES = {
    "blocks.1.self_attn.q": "blocks.1.attn1.to_q",
    "blocks.0.cross_attn.o": "blocks.0.attn2.to_out.0",
    "blocks.2.ffn.0": "blocks.2.ffn.net.0.proj",
    "blocks.2.ffn.2": "blocks.2.ffn.net.2",
    "vace_blocks.0.self_attn.v": "vace_blocks.0.attn1.to_v",
}
WHOLE = {
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_projection.1": "condition_embedder.time_proj",
    "head.head": "proj_out",
}
RANK, ALPHA, STRENGTH = 4, 2.0, 0.7


@pytest.fixture(scope="module")
def path():
    return demo.ensure_untrained().vace


def loaded(path, dtype=torch.float32):
    return load_transformer(path, dtype=dtype)


def halves(model, modules):
    """Drawn (down, up) for each of diffusers' module names, and the change of the weight that they stand for."""
    generator = torch.Generator().manual_seed(1)
    made, changes = {}, {}
    for name in modules:
        weight = model.get_submodule(name).weight
        down = torch.randn(RANK, weight.shape[1], generator=generator) / 8
        up = torch.randn(weight.shape[0], RANK, generator=generator) / 8
        made[name], changes[name] = (down, up), STRENGTH * up @ down
    return made, changes


def kijai(modules, made, alpha):
    keys = {}
    for wan, name in modules.items():
        keys[f"diffusion_model.{wan}.lora_down.weight"], keys[f"diffusion_model.{wan}.lora_up.weight"] = made[name]
        if alpha:
            keys[f"diffusion_model.{wan}.alpha"] = torch.tensor(ALPHA)
    return keys


def diffusers(modules, made, alpha):
    keys = {}
    for name in modules.values():
        keys[f"transformer.{name}.lora_A.weight"], keys[f"transformer.{name}.lora_B.weight"] = made[name]
    return keys


def bare_ab(modules, made, alpha):
    return {key.removeprefix("diffusion_model.").replace("lora_down", "lora_A").replace("lora_up", "lora_B"): tensor
            for key, tensor in kijai(modules, made, alpha).items()}  # fmt: skip


def musubi(modules, made, alpha):
    keys = {}
    for wan, name in modules.items():
        base = f"lora_unet_{wan.replace('.', '_')}"
        keys |= {f"{base}.lora_down.weight": made[name][0], f"{base}.lora_up.weight": made[name][1]}
        keys[f"{base}.alpha"] = torch.tensor(ALPHA)
    return keys


@pytest.mark.parametrize(
    ("layout", "modules", "alpha"),
    [
        (kijai, MODULES | WHOLE, False), (kijai, MODULES, True), (diffusers, MODULES | WHOLE, False),
        (bare_ab, MODULES, False), (musubi, MODULES, True),
    ],
)  # fmt: skip
def test_every_layout_adds_the_same(path, tmp_path, layout, modules, alpha):
    before, model = loaded(path), loaded(path)
    made, changes = halves(model, modules.values())
    save_file(layout(modules, made, alpha), tmp_path / "some.safetensors")
    assert merge_lora(model, tmp_path / "some.safetensors", STRENGTH) == len(modules)
    for (name, after), old in zip(model.named_parameters(), before.parameters(), strict=True):
        change = changes.get(name.removesuffix(".weight"), torch.zeros(())) if name.endswith(".weight") else 0
        expected = old + change * (ALPHA / RANK if alpha else 1)
        torch.testing.assert_close(after, expected, atol=1e-6, rtol=1e-6)
        assert torch.equal(after, old) == (name.removesuffix(".weight") not in changes or not name.endswith(".weight"))
    # The file of the model is as it was: its weights may be mapped.
    assert all(torch.equal(a, b) for a, b in zip(before.parameters(), loaded(path).parameters(), strict=True))


def test_differences_of_weights_and_biases(path, tmp_path):
    before, model = loaded(path), loaded(path)
    module = "blocks.0.attn1.norm_q"
    weight, bias = model.get_submodule(module).weight, model.blocks[0].attn1.to_q.bias
    keys = {
        "diffusion_model.blocks.0.self_attn.norm_q.diff": torch.full_like(weight, 0.5),
        "diffusion_model.blocks.0.self_attn.q.diff_b": torch.full_like(bias, 0.25),
    }
    save_file(keys, tmp_path / "some.safetensors")
    assert merge_lora(model, tmp_path / "some.safetensors", 2.0) == 2
    torch.testing.assert_close(model.blocks[0].attn1.norm_q.weight, before.blocks[0].attn1.norm_q.weight + 1.0)
    torch.testing.assert_close(model.blocks[0].attn1.to_q.bias, before.blocks[0].attn1.to_q.bias + 0.5)


def test_half_precision_is_rounded_once(path, tmp_path):
    exact, model = loaded(path), loaded(path, torch.bfloat16)
    made, changes = halves(model, MODULES.values())
    save_file(kijai(MODULES, made, False), tmp_path / "some.safetensors")
    merge_lora(model, tmp_path / "some.safetensors", STRENGTH)
    name = "blocks.1.attn1.to_q"
    stored = exact.get_submodule(name).weight.to(torch.bfloat16).float()
    weight = model.get_submodule(name).weight
    assert weight.dtype is torch.bfloat16
    exact_sum = stored + changes[name]
    assert ((weight.float() - exact_sum).abs() <= exact_sum.abs() * 2**-8 + 1e-8).all()  # half a step of bfloat16


def change_key(old, new):
    return lambda keys: {key.replace(old, new): tensor for key, tensor in keys.items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_key("blocks.1.", "blocks.39."), "for another model.*blocks.39.attn1.to_q.weight"),
        (lambda keys: {key: tensor[..., :-1] if "down" in key else tensor for key, tensor in keys.items()}, "size of"),
        (lambda keys: {key: tensor for key, tensor in keys.items() if "lora_up" not in key}, "one half"),
        (change_key("lora_down.weight", "hada_w1_a"), "LoHa"),
        (lambda keys: {key.split(".lora")[0] + ".weight": tensor for key, tensor in keys.items()}, "is no LoRA"),
        (lambda keys: keys | {"strange": torch.zeros(1)}, "strange"),
        (lambda keys: {key: tensor[:2] if "down" in key else tensor for key, tensor in keys.items()}, "rank 4 and 2"),
    ],
)
def test_what_does_not_fit_is_said_and_changes_nothing(path, tmp_path, change, message):
    before, model = loaded(path), loaded(path)
    made, _ = halves(model, MODULES.values())
    keys = change(kijai(MODULES, made, False))
    save_file({key: tensor.contiguous() for key, tensor in keys.items()}, tmp_path / "wrong.safetensors")
    with pytest.raises(WeightsError, match=f"wrong.safetensors.*{message}"):
        merge_lora(model, tmp_path / "wrong.safetensors", STRENGTH)
    assert all(torch.equal(a, b) for a, b in zip(before.parameters(), model.parameters(), strict=True))
