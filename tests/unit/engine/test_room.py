"""What a forward pass takes, counted on meta tensors, against what the engine reckons with."""

import pytest
import torch
from diffusers import AutoencoderKLWan, WanVACETransformer3DModel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.counting import PeakBytes
from unison_backend.engine.engine import Engine
from unison_backend.engine.room import activation_bytes, fits_twice, free_bytes
from unison_backend.engine.settings import SamplingSettings

META = torch.device("meta")
SIZES = {"1.3B": {"num_attention_heads": 12, "ffn_dim": 8960}, "14B": {"num_attention_heads": 40, "ffn_dim": 13824}}


def meta_engine(size, dtype=torch.bfloat16, blocks=4):
    """The real widths with a few blocks."""
    with META:
        transformer = WanVACETransformer3DModel(num_layers=blocks, vace_layers=list(range(0, blocks, 2)), **SIZES[size])
        vae = AutoencoderKLWan(base_dim=8)
    for name, parameter in transformer.named_parameters():
        if set(name.split(".")).isdisjoint(transformer._keep_in_fp32_modules):
            parameter.data = parameter.data.to(dtype)
    return Engine(transformer, vae, META)


def counted(engine, frames, cfg):
    """Bytes at the worst moment of a step at 832x480, with 61 rows of text a side."""
    shape = (1, 16, (frames - 1) // 4 + 1, 60, 104)
    zero, text = torch.zeros(1, 1, 1, 1, 1), torch.zeros(1, 200, 4096)
    text[:, :61] = 1
    with PeakBytes() as counter:
        settings = SamplingSettings(steps=1, cfg=cfg)
        engine.sample(zero.expand(shape), zero.expand(1, 96, *shape[2:]), text, text, settings)
    return counter.peak


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_reckoned_is_more_than_counted_and_not_much_more(size, dtype):
    engine = meta_engine(size, dtype)
    for frames in (1, 81):
        reckoned = activation_bytes(engine.transformer, torch.Size((1, 16, (frames - 1) // 4 + 1, 60, 104)))
        for cfg, sides in ((1.0, 1), (5.0, 2)):
            assert 0.6 * sides * reckoned < counted(engine, frames, cfg) < sides * reckoned


def test_a_clip_too_long_for_the_memory_runs_its_sides_apart():
    transformer = meta_engine("1.3B").transformer
    cpu = torch.device("cpu")
    assert 0 < free_bytes(cpu) < 2**50
    assert fits_twice(transformer, torch.Size((1, 16, 1, 8, 8)), cpu)
    assert not fits_twice(transformer, torch.Size((1, 16, 10**6, 60, 104)), cpu)


def test_the_loop_copies_nothing_between_host_and_device():
    """A forward pass takes and makes tensors of the device alone; on meta a look at a value would be an error."""
    engine, places = meta_engine("1.3B", blocks=2), []

    class Places(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            made = function(*args, **(kwargs or {}))
            leaves = tree_leaves((args, kwargs, made))
            places.extend(leaf.device.type for leaf in leaves if isinstance(leaf, torch.Tensor))
            return made

    velocity = engine._velocity

    def watched(*given):
        with Places():
            return velocity(*given)

    engine._velocity = watched
    counted(engine, 1, 5.0)
    assert len(places) > 100
    assert set(places) == {"meta"}


def test_the_14b_transformer_runs_in_22_gb_when_its_blocks_come_and_go():
    """Weights resident at once under --offload group, and activations of 81 frames, both sides: counted."""
    engine = meta_engine("14B", blocks=40)
    transformer = engine.transformer
    transformer.vace_blocks = transformer.vace_blocks[:8]  # the published 14B has eight
    transformer.register_to_config(vace_layers=list(range(0, 40, 5)))

    def size(*modules):
        return sum(p.numel() * p.element_size() for module in modules for p in module.parameters())

    blocks = [*transformer.blocks, *transformer.vace_blocks]
    assert 34e9 < size(transformer) < 36e9
    outside = size(transformer) - size(*blocks)
    resident = outside + 2 * max(size(block) for block in blocks)  # one that works, one that is fetched
    whole = resident + counted(engine, 81, 5.0)
    assert whole < 22e9
