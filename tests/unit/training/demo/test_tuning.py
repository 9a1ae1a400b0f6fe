"""`unison train demo --from SET`: what draws learns on, what reads stays, and one folder holds one training.

`--with-vae`: the VAE first, made wider by what changes nothing.
"""

import shutil
from random import Random

import pytest
import torch
from safetensors.torch import load_file

from unison_backend.demo import build as models
from unison_backend.demo import set as demo
from unison_backend.demo.world.tasks import example
from unison_backend.engine.settings import SamplingSettings
from unison_backend.errors import InputError
from unison_backend.training.demo import stages
from unison_backend.training.demo import vae as demo_vae
from unison_backend.training.demo.making import load, make
from unison_backend.training.demo.widen import widen
from unison_backend.weights.wan import load_vae

KEPT = (
    "wan_vae.safetensors",
    "umt5.safetensors",
    "projector.safetensors",
    "qwen/model.safetensors",
    "planning_lora/adapter_model.safetensors",
)
SHARE = 0.0004


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    said = []
    finished = stages.train(folder, share=SHARE, begin=demo.shipped().folder, device="cpu", say=said.append)
    return folder, demo.demo_set(finished), said


def test_the_video_model_learns_on_and_the_rest_stays(tuned):
    _, files, said = tuned
    before = demo.shipped()
    for name in KEPT:
        assert (files.folder / name).read_bytes() == (before.folder / name).read_bytes(), name
    vace, old = load_file(files.vace), load_file(before.vace)
    assert vace.keys() == old.keys() and sum(not torch.equal(vace[key], old[key]) for key in vace) > 50
    assert [line.split(":")[0] for line in said] == list(stages.STAGES)


def test_what_was_learned_is_gone_on_from(tuned):
    """Two steps spoil nothing: a picture of before is made as before, nearly."""
    _, files, _ = tuned
    drawn = example("text_to_image", Random("tuned"))
    one, other = (make(load(each), drawn, SamplingSettings(6, 3.0, seed=1)) for each in (files, demo.shipped()))
    assert (one - other).abs().mean() < 0.05


def test_a_folder_is_gone_on_with_as_it_was_begun(tuned, tmp_path):
    folder, files, _ = tuned
    made = files.vace.stat().st_mtime_ns
    with pytest.raises(InputError, match=r"was begun from another set, it cannot go on without --from"):
        stages.train(folder, share=SHARE, device="cpu")
    stages.train(folder, share=SHARE, begin=demo.shipped().folder, device="cpu")
    assert files.vace.stat().st_mtime_ns == made
    (tmp_path / "states" / "vae").mkdir(parents=True)
    with pytest.raises(InputError, match=r"was begun from nothing, it cannot go on with --from"):
        stages.train(tmp_path, share=SHARE, begin=demo.shipped().folder, device="cpu")


def vae_of(path):
    return load_vae(path, dtype=torch.float32)


def clip():
    return torch.rand(1, 3, 9, 40, 48, generator=torch.Generator().manual_seed(3)) * 2 - 1


def test_a_vae_is_made_wider_without_a_change_and_all_of_it_learns(tmp_path):
    models.write_vae(tmp_path / "narrow.safetensors", 8)
    models.write_vae(tmp_path / "wide.safetensors", 12)
    narrow, wide = vae_of(tmp_path / "narrow.safetensors"), vae_of(tmp_path / "wide.safetensors").requires_grad_(True)
    widen(narrow, wide)
    one, other = (demo_vae.encode(vae, clip()) for vae in (narrow, wide))
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(demo_vae.decode(narrow, one), demo_vae.decode(wide, other), atol=1e-4, rtol=1e-4)
    demo_vae.decode(wide, demo_vae.encode(wide, clip())).square().mean().backward()
    first = wide.encoder.conv_in.weight
    assert (first[8:] == 0).all() and (first.grad[8:].abs().amax((1, 2, 3, 4)) > 0).all()


def test_with_its_vae_a_set_learns_on_near_its_own_latents(tmp_path):
    before = demo.shipped()
    with pytest.raises(InputError, match="--with-vae says how a trained set is gone on from; name it with --from"):
        stages.train(tmp_path, share=SHARE, with_vae=True, device="cpu")
    settings = {"share": SHARE, "begin": before.folder, "device": "cpu"}
    files = demo.demo_set(stages.train(tmp_path, **settings, with_vae=True))
    for name in KEPT[1:]:
        assert (files.folder / name).read_bytes() == (before.folder / name).read_bytes(), name
    one, other = vae_of(before.vae), vae_of(files.vae)
    assert other.config.base_dim >= one.config.base_dim and other.config.base_dim == demo_vae.DIM
    assert not torch.equal(one.quant_conv.weight, other.quant_conv.weight)
    latents, learned = demo_vae.encode(one, clip()), demo_vae.encode(other, clip())
    deviation = torch.tensor(one.config.latents_std)[:, None, None, None]
    assert ((latents - learned) / deviation).square().mean() < 0.1
    with pytest.raises(
        InputError, match=r"from another set with its VAE, it cannot go on with --from [^-]+: ask as be"
    ):
        stages.train(tmp_path, **settings)


def test_what_is_no_set_is_said(tmp_path):
    shutil.copytree(demo.shipped().folder, tmp_path / "half", ignore=shutil.ignore_patterns("umt5*", "qwen"))
    with pytest.raises(
        InputError, match=r"half is no trained set to go on from: it has no umt5.safetensors, qwen/model.safetensors"
    ):
        stages.train(tmp_path / "out", begin=tmp_path / "half", device="cpu")
    assert not (tmp_path / "out").exists()
