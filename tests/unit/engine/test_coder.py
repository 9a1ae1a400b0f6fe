"""The VAE whole, in tiles and in 16 bits, on the embedded models; its memory on meta tensors in Wan's own width."""

from math import prod

import pytest
import torch
from diffusers import AutoencoderKLWan

from benchmarks.counting import PeakBytes
from unison_backend.demo import set as demo
from unison_backend.engine import coder as coders
from unison_backend.engine.coder import OVERLAP, TILE, Coder, Counter, cut, peak_bytes, tiles
from unison_backend.errors import Cancelled, UnsupportedError
from unison_backend.weights.wan import load_vae

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def vae():
    return load_vae(demo.shipped().vae, dtype=torch.float32)


@pytest.fixture
def small_tiles(monkeypatch):
    """Tiles of 32 pixels, so that what is cut is small."""
    monkeypatch.setattr(coders, "TILE", 32)
    monkeypatch.setattr(coders, "OVERLAP", 16)


def drawn(frames, height=48, width=64):
    """A disc that moves over a ramp, [1, 3, T, H, W] in -1..1."""
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    made = [torch.stack([rows * 0 + 0.6, columns * 0.3, rows * 0.3]) for _ in range(frames)]
    for step, frame in enumerate(made):
        frame[:, rows**2 + (columns - 0.05 * step) ** 2 < 0.2] = torch.tensor([0.9, -0.8, -0.8])[:, None]
    return torch.stack(made, 1)[None]


def off(one, other):
    """How far apart pixels are: most and mean, of 255."""
    apart = (one - other).abs() * 127.5
    return float(apart.max()), float(apart.mean())


def test_every_length_is_cut_into_tiles_that_cover_it_and_of_which_none_is_a_sliver():
    for length in range(8, 2049, 8):
        size, stride, count = cut(length)
        starts = range(0, length, stride)  # as diffusers walks
        assert len(starts) == count and size <= TILE and stride % 8 == 0
        assert (count == 1) == (length <= TILE)
        assert count == 1 or (size - stride == OVERLAP and length - starts[-1] >= 96)
    assert cut(832).number == 5 and cut(480).number == 3 and tiles(480, 832) == 15 and tiles(256, 256) == 1


@pytest.mark.parametrize("frames", [1, 5])
@torch.no_grad()
def test_tiles_make_nearly_the_same_and_each_part_is_told(vae, small_tiles, frames):
    clip, passes = drawn(frames), []
    whole, tiled = Coder(vae, CPU, tiled=False), Coder(vae, CPU, tiled=True)
    latents = whole.encode(clip)
    expected = whole.decode(latents)
    hook = vae.decoder.register_forward_hook(lambda _, given, made: passes.append(tuple(made.shape[2:])))
    ticks = []
    made = tiled.decode(latents, lambda: ticks.append(1))
    hook.remove()
    assert len(passes) == len(ticks) == tiled.parts(frames, 48, 64) > (frames + 3) // 4
    assert max(map(prod, passes)) <= 4 * 32 * 32
    assert made.shape == clip.shape and not vae.use_tiling
    mean = off(made, expected)[1]
    # Of tiles that see 32 pixels, not the product's 256; a frame shifted by one latent is 30 away.
    assert 0 < mean < 12 and mean < 0.4 * off(expected.roll(8, -1), expected)[1]
    again = tiled.encode(clip)
    assert again.shape == latents.shape
    assert 0 < float((again - latents).abs().mean()) < 0.2 * float(latents.std())
    assert tiled.told == whole.told == {}


@torch.no_grad()
def test_what_one_tile_holds_is_made_as_a_whole(vae):
    clip = drawn(1)
    whole, tiled = Coder(vae, CPU, tiled=False), Coder(vae, CPU, tiled=True)
    assert torch.equal(whole.encode(clip), tiled.encode(clip))
    latents = whole.encode(clip)
    assert torch.equal(whole.decode(latents), tiled.decode(latents)) and tiled.parts(1, 48, 64) == 1


@torch.no_grad()
def test_memory_that_is_short_takes_tiles_and_says_so(vae, small_tiles, monkeypatch):
    clip = drawn(1)
    tiled, itself = Coder(vae, CPU, tiled=True), Coder(vae, CPU)
    latents = itself.encode(clip)
    assert itself.told == {} and not torch.equal(latents, tiled.encode(clip))
    monkeypatch.setattr(coders, "free_bytes", lambda device: peak_bytes(vae, 1, 48, 64, decodes=False) * 1.2)
    assert torch.equal(itself.encode(clip), tiled.encode(clip))
    assert torch.equal(itself.decode(latents), tiled.decode(latents))
    assert [*itself.told] == ["encoded", "decoded"] and "more than is free" in itself.told["decoded"]
    never = Coder(vae, CPU, tiled=False)
    assert torch.equal(never.encode(clip), latents) and never.told == {}


@torch.no_grad()
def test_memory_that_runs_out_takes_tiles_once(vae, small_tiles, monkeypatch):
    latents, real, tried = Coder(vae, CPU).encode(drawn(1)), vae.decode, []

    def decode(given, **options):
        tried.append(vae.use_tiling)
        if not vae.use_tiling:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(given, **options)

    monkeypatch.setattr(vae, "decode", decode)
    itself = Coder(vae, CPU)
    assert torch.equal(itself.decode(latents), Coder(vae, CPU, tiled=True).decode(latents))
    assert tried == [False, True, True] and "ran out of memory" in itself.told["decoded"]
    with pytest.raises(torch.OutOfMemoryError):
        Coder(vae, CPU, tiled=False).decode(latents)
    monkeypatch.setattr(coders, "TILE", 256)  # one tile is the whole
    with pytest.raises(torch.OutOfMemoryError):
        itself.decode(latents)


@torch.no_grad()
def test_all_processes_of_a_result_take_tiles_where_one_has_to(vae, small_tiles):
    asked, itself = [], Coder(vae, CPU)
    itself.agree = lambda answer: asked.append(answer)
    assert torch.equal(itself.encode(drawn(1)), Coder(vae, CPU, tiled=True).encode(drawn(1)))
    assert asked == [True]


@torch.no_grad()
def test_cancel_is_heard_before_each_tile_and_leaves_nothing_behind(vae, small_tiles):
    coder, shown = Coder(vae, CPU, tiled=True), []
    latents = coder.encode(drawn(1))
    expected, total = coder.decode(latents), coder.parts(1, 48, 64)
    counter = Counter("decoding", total, lambda *step: shown.append(step), lambda: len(shown) > 3)
    with pytest.raises(Cancelled, match="decoding"):
        coder.decode(latents, counter)
    assert shown == [("decoding", done, total) for done in (0, 0, 1, 2)]
    assert not vae.use_tiling and not vae.decoder._forward_pre_hooks
    assert torch.equal(coder.decode(latents), expected)


@torch.no_grad()
def test_in_16_bits_pixels_are_near_and_what_overflows_is_refused(vae):
    clip, plain = drawn(1, 24, 32), Coder(vae, CPU)
    latents = plain.encode(clip)
    expected = plain.decode(latents)
    for dtype, most, mean in ((torch.bfloat16, 12, 1.0), (torch.float16, 2, 0.15)):
        half = Coder(load_vae(demo.shipped().vae, dtype=dtype), CPU)
        assert half.encode(clip).dtype is torch.float32
        seen = off(half.decode(latents).float(), expected)
        assert 0 < seen[0] < most and seen[1] < mean
    half.vae.post_quant_conv.bias.fill_(torch.finfo(torch.float16).max)
    with pytest.raises(UnsupportedError, match=r"fp16.*bf16 or fp32"):
        half.decode(latents * 1e4)


@pytest.mark.parametrize(("dtype", "frames"), [(torch.float32, 1), (torch.float32, 9), (torch.bfloat16, 5)])
@torch.no_grad()
def test_reckoned_is_more_than_counted_and_not_much_more(dtype, frames):
    """Wan's own width. The peak of more frames grows by the frames alone."""
    with torch.device("meta"):
        wan = AutoencoderKLWan().to(dtype)
        clip = torch.zeros(1, 3, frames, 32, 32, dtype=dtype)
        latents = torch.zeros(1, 16, (frames + 3) // 4, 4, 4, dtype=dtype)
    with PeakBytes() as counter:
        wan.encode(clip)
    assert 0.75 < counter.peak / peak_bytes(wan, frames, 32, 32, decodes=False) < 1
    with PeakBytes() as counter:
        wan.decode(latents)
    assert 0.75 < counter.peak / peak_bytes(wan, frames, 32, 32, decodes=True) < 1
