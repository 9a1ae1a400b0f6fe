"""Kernel, offloading and compiled blocks change how the engine computes, and nothing of what it makes."""

import pytest
import torch

from unison_backend.conditioning.text_context import text_context
from unison_backend.demo import set as demo
from unison_backend.engine import device as devices
from unison_backend.engine.attention import use_kernel
from unison_backend.engine.device import check_attention, pick_device
from unison_backend.engine.engine import Engine
from unison_backend.engine.settings import EngineOptions, SamplingSettings
from unison_backend.errors import InputError, UnsupportedError
from unison_backend.sources.prepare import Sources

CPU = torch.device("cpu")


def made(engine, **settings):
    """Frames of two steps."""
    generator = torch.Generator().manual_seed(1)
    texts = [text_context(torch.randn(rows, 4096, generator=generator), None, 64) for rows in (20, 33)]
    video = torch.rand(5, 32, 48, 3, generator=generator)
    return engine.generate(Sources(video, torch.ones(5, 32, 48), ()), *texts, SamplingSettings(steps=2, **settings))


def loaded(**options):
    built = demo.ensure_untrained()
    return Engine.load(built.vace, built.vae, CPU, EngineOptions(**options))


@pytest.fixture(scope="module")
def plain():
    return loaded()


@pytest.mark.parametrize("strength", [1.0, 0.0])
def test_blocks_that_come_and_go_make_the_same(plain, strength, monkeypatch):
    from diffusers.hooks.group_offloading import ModuleGroup

    fetched = []
    real = ModuleGroup.onload_
    monkeypatch.setattr(ModuleGroup, "onload_", lambda group: fetched.append(group.modules[0]) or real(group))
    engine = loaded(offload="group")
    frames = made(engine, vace_strength=strength)
    blocks = [module for module in fetched if "Block" in type(module).__name__]
    assert len(blocks) == 2 * len(set(blocks)) and set(engine.transformer.blocks) <= set(blocks)
    assert (set(engine.transformer.vace_blocks) <= set(blocks)) == (strength != 0)
    assert torch.equal(frames, made(plain, vace_strength=strength))


def test_models_are_on_the_device_only_while_they_work(plain, monkeypatch):
    engine, log = loaded(offload="model"), []

    def watch(model, name):
        real = model.to
        monkeypatch.setattr(
            model, "to", lambda place: log.append((name, "in" if place is CPU else "out")) or real(place)
        )

    watch(engine.vae, "vae")
    watch(engine.transformer, "transformer")
    for model, name in (
        (engine.vae.encoder, "encode"),
        (engine.transformer.blocks[0], "sample"),
        (engine.vae.decoder, "decode"),
    ):
        model.register_forward_pre_hook(lambda *_, name=name: log.append(name))
    frames = made(engine)
    order = [entry for index, entry in enumerate(log) if index == 0 or entry != log[index - 1]]
    assert order == [
        ("vae", "in"), "encode", ("vae", "out"), ("transformer", "in"), "sample", ("transformer", "out"),
        ("vae", "in"), "decode", ("vae", "out"),
    ]  # fmt: skip
    assert torch.equal(frames, made(plain))


def test_the_kernel_is_that_of_self_attention_only(plain):
    engine = loaded()
    use_kernel(engine.transformer, "_native_math")
    kernels = {(str(b.attn1.processor._attention_backend), str(b.attn2.processor._attention_backend))
               for b in (*engine.transformer.blocks, *engine.transformer.vace_blocks)}  # fmt: skip
    assert {(a.rpartition(".")[2].lower(), b.rpartition(".")[2].lower()) for a, b in kernels} == {
        ("_native_math", "native")
    }
    torch.testing.assert_close(made(engine), made(plain), atol=1e-4, rtol=1e-4)


def test_kernels_that_are_not_here_are_named(monkeypatch):
    for name, package in (("flash", "flash_attn"), ("sage", "sageattention")):
        monkeypatch.setattr(devices, "find_spec", lambda package: None)
        with pytest.raises(UnsupportedError, match=f"--attention {name} takes the package {package}"):
            check_attention(name, CPU)
        monkeypatch.setattr(devices, "find_spec", lambda package: object())
        with pytest.raises(UnsupportedError, match=f"--attention {name} runs on CUDA only"):
            check_attention(name, CPU)
    check_attention("auto", CPU)
    check_attention("sdpa", CPU)


def test_compiled_blocks_make_the_same(plain):
    """Whole graphs, without the code generator, which takes a minute: what it makes of a graph is PyTorch's affair."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    engine = loaded()
    engine.transformer.compile_repeated_blocks(fullgraph=True, backend="eager")
    text = text_context(torch.ones(20, 4096), None, 64)
    given = (torch.ones(1, 16, 1, 4, 4), torch.ones(1, 96, 1, 4, 4), text, text, SamplingSettings(steps=1, cfg=1))
    assert torch.equal(engine.sample(*given), plain.sample(*given))
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    # Main blocks, the first VACE block, the other VACE blocks; further steps and texts compile nothing more.
    assert graphs == 3
    engine.sample(*given[:2], text * 2, text, SamplingSettings(steps=3, cfg=1))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == graphs


def test_devices(monkeypatch):
    assert pick_device("cpu") == CPU
    with pytest.raises(InputError, match="warp"):
        pick_device("warp")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(InputError, match=r"--device cuda:1.*PyTorch sees none"):
        pick_device("cuda:1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(InputError, match=r"--device cuda:2.*cuda:0, cuda:1"):
        pick_device("cuda:2")
