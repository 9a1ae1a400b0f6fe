"""Examples encoded once and kept: references in front, plain clips once, files whole or not at all."""

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch.nn import functional

from unison_backend.demo import set as demo
from unison_backend.engine.engine import Engine
from unison_backend.engine.vace_context import encode_context, to_signed
from unison_backend.errors import Cancelled, MediaError, ResourceError, WeightsError
from unison_backend.sources.prepare import Sources
from unison_backend.training.latents import (
    encode_all,
    encode_example,
    encode_together,
    load,
    load_or_make,
    once_for_plain,
    save,
    widths,
)
from unison_backend.weights.wan import load_vae


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
    assert [step[1:] for step in seen] == [(2, 2)] and len(made) == 2
    assert widths([made]) == [3 * 2 * 3 // 4]


def test_examples_in_batches_are_those_of_each_alone():
    """Of several sizes, with and without references, some of their clips plain, some halves the same."""
    grey = Sources(torch.full((5, 16, 24, 3), 0.5), torch.ones(5, 16, 24))
    given = [
        example(2),
        example(0, seed=1),
        (grey, example(seed=2)[1]),
        example(1, frames=1, seed=3),
        example(1, seed=4),
    ]
    sizes = []

    def encode(clip):
        sizes.append(len(clip))
        return pooled(clip)

    made = encode_together(given, encode)
    for (clean, context), (sources, target) in zip(made, given, strict=True):
        expected = encode_example(sources, target, pooled)
        assert torch.equal(clean, expected[0]) and torch.equal(context, expected[1])
    assert len(sizes) == 1 + 2 and sum(sizes) == 1 + (5 + 3 + 1 + 4 + 4)  # grey alone, then the two lengths


def test_all_examples_are_encoded_however_many_go_together(monkeypatch):
    given = [(*example(seed=seed), str(seed)) for seed in range(5)]
    together = encode_all(given, 5, pooled)
    monkeypatch.setattr("unison_backend.training.latents.CHUNK", 2)
    seen = []
    made = encode_all(iter(given), 5, pooled, progress=lambda *step: seen.append(step))
    assert torch.equal(made.clean, together.clean) and torch.equal(made.context, together.context)
    assert made.texts == tuple("01234") and [step[1] for step in seen] == [2, 4, 5]


def test_encoding_can_be_stopped(monkeypatch):
    monkeypatch.setattr("unison_backend.training.latents.CHUNK", 1)
    asked, encoded = [], []

    def encode(clip):
        encoded.append(1)
        return pooled(clip)

    with pytest.raises(Cancelled, match="encoding examples"):
        encode_all([(*example(), "a")] * 3, 3, encode, cancel=lambda: asked.append(1) or len(asked) > 1)
    assert len(encoded) == 1  # the three clips of the first example, together


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
    with pytest.raises(MediaError, match=r"set\.safetensors cannot be written|taken\.safetensors is a folder"):
        save(made(), tmp_path / "file" / "set.safetensors")
    (tmp_path / "taken.safetensors").mkdir()
    with pytest.raises(MediaError, match=r"set\.safetensors cannot be written|taken\.safetensors is a folder"):
        save(made(), tmp_path / "taken.safetensors")


@pytest.mark.parametrize("error", [OSError(28, "No space left"), SafetensorError("I/O error: No space left")])
def test_a_write_that_breaks_off_leaves_the_older_file(tmp_path, monkeypatch, error):
    def broken(tensors, path, metadata):
        path.write_bytes(b"half")
        raise error

    path = tmp_path / "set.safetensors"
    save(made(), path)
    before = path.read_bytes()
    monkeypatch.setattr("unison_backend.weights.write.save_file", broken)
    with pytest.raises(ResourceError, match=r"set\.safetensors cannot be written, the disk is full: free space"):
        save(made(), path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
