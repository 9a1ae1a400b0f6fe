"""The flow loss against the plain transformer on 2048 rows, and examples encoded once and kept."""

import math

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch.nn import functional

from unison_backend import demo
from unison_backend.conditioning import CONTEXT_ROWS
from unison_backend.engine_diffusers import Engine
from unison_backend.errors import Cancelled, InputError, ResourceError, WeightsError
from unison_backend.sources import Sources
from unison_backend.training.flow import compact_text, draw_sigmas, flow_loss, pack_rows, text_processors
from unison_backend.training.latents import (
    encode_all,
    encode_example,
    load,
    load_or_make,
    once_for_plain,
    save,
    widths,
)
from unison_backend.vace_context import encode_context, to_signed
from unison_backend.wan import load_transformer, load_vae

SIGMAS = torch.tensor([0.3, 0.9])


@pytest.fixture(scope="module")
def plain():
    return load_transformer(demo.ensure_untrained().vace, dtype=torch.float32)


@pytest.fixture
def compact():
    transformer = load_transformer(demo.ensure_untrained().vace, dtype=torch.float32)
    compact_text(transformer)
    return transformer


def drawn(count=2, frames=1, side=4):
    generator = torch.Generator().manual_seed(1)
    clean, noise = (torch.randn(count, 16, frames, side, side, generator=generator) for _ in range(2))
    context = torch.randn(count, 96, frames, side, side, generator=generator)
    rows = [torch.randn(length, 4096, generator=generator) for length in (3, 11, 7)[:count]]
    return clean, context, rows, noise


def by_hand(transformer, clean, context, rows, sigmas, noise):
    """The loss on the whole context, one sample after the other, as sampling gives it to the model."""
    losses = []
    for number, text in enumerate(rows):
        padded = functional.pad(text, (0, 0, 0, CONTEXT_ROWS - len(text)))[None]
        sigma = float(sigmas[number])
        velocity = transformer(
            hidden_states=((1 - sigma) * clean + sigma * noise)[number, None],
            timestep=torch.tensor([1000 * sigma]),
            encoder_hidden_states=padded,
            control_hidden_states=context[number, None],
            return_dict=False,
        )[0]
        losses.append(functional.mse_loss(velocity, (noise - clean)[number, None]))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_compact_texts_give_the_loss_of_2048_rows(plain, compact, count):
    clean, context, rows, noise = drawn(count)
    sigmas = torch.tensor([0.3, 0.9, 0.05])[:count]
    with torch.no_grad():
        expected = by_hand(plain, clean, context, rows, sigmas, noise)
        made = flow_loss(compact, clean, context, rows, sigmas, noise)
    torch.testing.assert_close(made, expected, atol=1e-6, rtol=1e-5)
    with torch.no_grad():
        unpadded = flow_loss(compact, clean, context, [row[:1] for row in rows], sigmas, noise)
    assert (unpadded - expected).abs() > 1e-4  # the text is heard


def test_the_weight_of_padding_matters(plain, compact, monkeypatch):
    """Without ln(2048 - n) the one row stands for itself alone: another loss, so the test above can fail."""
    clean, context, rows, noise = drawn()
    monkeypatch.setattr("unison_backend.training.flow.CONTEXT_ROWS", 12)
    with torch.no_grad():
        made = flow_loss(compact, clean, context, rows, SIGMAS, noise)
        expected = by_hand(plain, clean, context, rows, SIGMAS, noise)
    assert (made - expected).abs() > 1e-4


def test_gradients_are_those_of_2048_rows(compact):
    clean, context, rows, noise = drawn()
    whole = load_transformer(demo.ensure_untrained().vace, dtype=torch.float32)
    grads = []
    for transformer, loss in ((whole, by_hand), (compact, flow_loss)):
        transformer.requires_grad_(True)
        texts = [row.clone().requires_grad_(True) for row in rows]
        loss(transformer, clean, context, texts, SIGMAS, noise).backward()
        named = {name: parameter.grad for name, parameter in transformer.named_parameters()}
        grads.append(named | {f"text {number}": text.grad for number, text in enumerate(texts)})
    expected, made = grads
    assert expected.keys() == made.keys() and len(made) > 100
    for name, grad in expected.items():
        if grad is None:
            assert made[name] is None
            continue
        torch.testing.assert_close(made[name], grad, atol=2e-5 * float(grad.abs().max()) + 1e-9, rtol=1e-3)
    assert all(float(expected[f"text {number}"].abs().max()) > 0 for number in range(2))


def test_half_precision_takes_the_bias_too(compact):
    clean, context, rows, noise = drawn()
    with torch.no_grad():
        expected = flow_loss(compact, clean, context, rows, SIGMAS, noise)
        with torch.autocast("cpu", torch.bfloat16):
            made = flow_loss(compact, clean, context, rows, SIGMAS, noise)
    assert made.dtype == torch.float32
    torch.testing.assert_close(made, expected, atol=0, rtol=0.02)


def test_without_a_bias_the_processors_are_diffusers_own(plain, compact):
    clean, context, rows, noise = drawn()
    assert all(processor.bias is None for processor in text_processors(compact))
    assert len(text_processors(compact)) == 4 + 2
    with torch.no_grad():
        one, other = (by_hand(transformer, clean, context, rows, SIGMAS, noise) for transformer in (plain, compact))
    assert torch.equal(one, other)


def test_noise_alone_is_predicted_at_the_end(compact):
    """At sigma 1 the model sees noise only, at 0 the clean latents only."""
    seen = []
    clean, context, rows, noise = drawn()
    real = compact.forward
    compact.forward = lambda **given: seen.append(given) or real(**given)
    with torch.no_grad():
        flow_loss(compact, clean, context, rows, torch.tensor([0.0, 1.0]), noise)
    assert torch.equal(seen[0]["hidden_states"][0], clean[0]) and torch.equal(seen[0]["hidden_states"][1], noise[1])
    assert seen[0]["timestep"].tolist() == [0, 1000]


# Rows and noise levels


def test_packed_rows_and_their_bias():
    rows = [torch.ones(2, 8), 2 * torch.ones(5, 8)]
    packed, bias = pack_rows(rows)
    assert packed.shape == (2, 6, 8) and bias.shape == (2, 1, 1, 6)
    assert packed[:, :, 0].tolist() == [[1, 1, 0, 0, 0, 0], [2, 2, 2, 2, 2, 0]]
    wanted = [[0, 0, -math.inf, -math.inf, -math.inf, math.log(2046)], [0, 0, 0, 0, 0, math.log(2043)]]
    assert torch.allclose(bias[:, 0, 0], torch.tensor(wanted))


@pytest.mark.parametrize("length", [2048, 2049])
def test_too_many_rows_are_refused(length):
    with pytest.raises(InputError, match=f"{length} rows; at most 2047"):
        pack_rows([torch.zeros(3, 2), torch.zeros(length, 2)])
    assert pack_rows([torch.zeros(2047, 2)])[0].shape == (1, 2048, 2)


@pytest.mark.parametrize("shift", [1.0, 3.0, 5.0])
def test_noise_levels_are_uniform_before_the_shift(shift):
    sigmas = draw_sigmas(20_000, torch.Generator().manual_seed(0), shift)
    assert sigmas.min() >= 0 and sigmas.max() <= 1
    u = sigmas / (shift - (shift - 1) * sigmas)
    for share in (0.1, 0.5, 0.9):
        assert (u < share).float().mean() == pytest.approx(share, abs=0.02)
    assert torch.equal(sigmas, draw_sigmas(20_000, torch.Generator().manual_seed(0), shift))
    assert sigmas.mean() > 0.49 + 0.05 * (shift > 1)


# Encoded examples


def pooled(clip):
    """A stand-in for a VAE: 16 channels of means."""
    clip = clip[:, :, ::4]
    return functional.avg_pool3d(clip, (1, 8, 8)).repeat(1, 6, 1, 1, 1)[:, :16]


def example(references=0, frames=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    video, target = (torch.rand(frames, 16, 24, 3, generator=generator) for _ in range(2))
    mask = (torch.rand(frames, 16, 24, generator=generator) > 0.5).float()
    return Sources(video, mask, tuple(torch.rand(references, 16, 24, 3, generator=generator))), target


@pytest.mark.parametrize("references", [0, 1, 2])
def test_references_stand_in_front_of_the_target(references):
    sources, target = example(references)
    clean, context = encode_example(sources, target, pooled)
    assert clean.shape == (16, references + 2, 2, 3) and context.shape == (96, references + 2, 2, 3)
    assert torch.equal(context, encode_context(sources, pooled)[0])
    for number, reference in enumerate(sources.references):
        assert torch.equal(clean[:, number], pooled(to_signed(reference[None]))[0, :, 0])
    assert torch.equal(clean[:, references:], pooled(to_signed(target))[0])


def test_plain_clips_are_encoded_once_and_only_those():
    calls = []

    def encode(clip):
        calls.append(clip)
        return clip.mean((3, 4))

    remembered = once_for_plain(encode)
    grey, white = torch.zeros(1, 3, 1, 8, 8), torch.ones(1, 3, 1, 8, 8)
    longer, mixed = torch.zeros(1, 3, 5, 8, 8), torch.zeros(1, 3, 1, 8, 8)
    mixed[0, 2, 0, 7, 7] = 1e-3
    for clip, expected in ((grey, 1), (grey.clone(), 1), (white, 2), (longer, 3), (mixed, 4), (mixed, 5), (grey, 5)):
        assert torch.equal(remembered(clip), clip.mean((3, 4)))
        assert len(calls) == expected


def test_encoding_goes_through_the_engines_own_vae():
    engine = Engine(None, load_vae(demo.ensure_untrained().vae, dtype=torch.float32), torch.device("cpu"))
    sources, target = example(references=1)
    grey = Sources(torch.full((5, 16, 24, 3), 0.5), torch.ones(5, 16, 24))
    seen = []
    with torch.no_grad():
        made = encode_all(
            [(sources, target, "a"), (Sources(grey.video, grey.mask, sources.references), target, "b")],
            2,
            engine.encode,
            progress=lambda *step: seen.append(step),
        )
        expected = engine.encode(to_signed(target))[0]
    assert made.clean.shape == (2, 16, 3, 2, 3) and made.clean.dtype == torch.float16 and made.texts == ("a", "b")
    assert torch.equal(made.clean[0, :, 1:], expected.half())
    assert [step[1:] for step in seen] == [(1, 2), (2, 2)] and len(made) == 2
    assert widths([made]) == [3 * 2 * 3 // 4]


def test_encoding_can_be_stopped():
    asked = []
    with pytest.raises(Cancelled):
        encode_all([(*example(), "a")] * 3, 3, pooled, cancel=lambda: asked.append(1) or len(asked) > 4)


def made():
    return encode_all([(*example(seed=seed), text) for seed, text in enumerate(("a fox", "\u72d0\n\u2028"))], 2, pooled)


def test_latents_are_kept_as_they_are(tmp_path):
    latents = made()
    save(latents, tmp_path / "deep" / "set.safetensors")
    read = load(tmp_path / "deep" / "set.safetensors")
    assert torch.equal(read.clean, latents.clean) and torch.equal(read.context, latents.context)
    assert read.texts == latents.texts


def test_what_is_there_is_not_made_again(tmp_path):
    path = tmp_path / "set.safetensors"
    first = load_or_make(path, made)
    again = load_or_make(path, lambda: pytest.fail("made again"))
    assert torch.equal(first.clean, again.clean)


@pytest.mark.parametrize("kind", ["junk", "foreign", "cut"])
def test_a_damaged_file_is_said_and_not_replaced(tmp_path, kind):
    path = tmp_path / "set.safetensors"
    save(made(), path)
    if kind == "junk":
        path.write_bytes(b"junk")
    elif kind == "foreign":
        save_file({"clean": torch.zeros(1)}, path)
    else:
        path.write_bytes(path.read_bytes()[:-100])
    before = path.read_bytes()
    with pytest.raises(WeightsError, match=r"set\.safetensors holds no encoded examples.*remove it"):
        load_or_make(path, made)
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="make room"):
        save(made(), tmp_path / "file" / "set.safetensors")
    (tmp_path / "taken.safetensors").mkdir()
    with pytest.raises(ResourceError, match="make room"):
        save(made(), tmp_path / "taken.safetensors")


@pytest.mark.parametrize("error", [OSError(28, "No space left"), SafetensorError("I/O error: No space left")])
def test_a_write_that_breaks_off_leaves_the_older_file(tmp_path, monkeypatch, error):
    def broken(tensors, path, metadata):
        path.write_bytes(b"half")
        raise error

    path = tmp_path / "set.safetensors"
    save(made(), path)
    before = path.read_bytes()
    monkeypatch.setattr("unison_backend.training.writing.save_file", broken)
    with pytest.raises(ResourceError, match=r"set\.safetensors cannot be written .*No space left"):
        save(made(), path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
