"""The projector's recipe on the embedded models: manifests, samples, training, evaluation."""

import multiprocessing
import shutil
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from unison_backend.conditioning.projector import Projector, load_projector
from unison_backend.conditioning.text_context import clean_text
from unison_backend.conditioning.text_encoder import load_text_encoder
from unison_backend.demo import set as demo
from unison_backend.engine.engine import Engine
from unison_backend.engine.vace_context import to_signed
from unison_backend.errors import Cancelled, InputError, MediaError, WeightsError
from unison_backend.media.write import write_image, write_video
from unison_backend.plan.prompt import parse_paths
from unison_backend.plan.spec import DEFAULTS, Limits
from unison_backend.planner.qwen.loading import load_qwen
from unison_backend.planner.qwen.planner import QwenPlanner
from unison_backend.training.log import EVALUATIONS_FILE, read_rows
from unison_backend.training.manifest import Pair, make_ready, pair_key, plan_pair, read_manifest
from unison_backend.training.projector import (
    batch_loss,
    evaluate,
    freeze,
    new_projector,
    save_projector,
    start_silent,
    train,
)
from unison_backend.training.projector_data import Sample, encode_pairs, load_sample, sample_key, save_sample
from unison_backend.training.schedule import Schedule
from unison_backend.training.watch import Watching
from unison_backend.weights.wan import load_transformer

from .pairs import manifest, write_shades

SIDE = 32
SCHEDULE = Schedule(steps=6, lr=3e-3, warmup=1, weight_decay=0.0, ema=0.9, seed=4, save_every=100)
TEXT, EDIT, FIRST = (
    f"Draw a fox, {SIDE}x{SIDE} pixels.",
    "Make the fox in ###source.png### red. The mask is ###mask.png###.",
    "Animate ###source.png###, 9 frames: the fox runs.",
)


@pytest.fixture(scope="module")
def models():
    built = demo.ensure_untrained()
    return {
        "engine": Engine.load(built.vace, built.vae, torch.device("cpu")),
        "text_encoder": load_text_encoder(built.text_encoder, dtype=torch.float32),
        "planner": QwenPlanner(load_qwen(built.planner, dtype="fp32")),
    }


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """A folder with a picture, its mask, its target, and videos of 9 and of 5 frames."""
    folder = tmp_path_factory.mktemp("media")
    random = np.random.default_rng(0)
    source, target = (random.random((SIDE, SIDE, 3), dtype=np.float32) for _ in range(2))
    mask = np.zeros((SIDE, SIDE, 3), dtype=np.float32)
    mask[8:24, 4:20] = 1
    for name, pixels in (("source", source), ("mask", mask), ("target", target)):
        write_image(folder / f"{name}.png", pixels)
    write_shades(folder, SIDE, nine=9, five=5)
    return folder


@pytest.fixture(scope="module")
def files(models, media, tmp_path_factory):
    """Encoded samples: a picture from text, an edit with a mask, a video from its first frame."""
    rows = [{"prompt": TEXT, "target": "target.png"}, {"prompt": EDIT, "target": "target.png"}]
    pairs = read_manifest(manifest(media, *rows, {"prompt": FIRST, "target": "nine.mp4"}))
    return encoded(pairs, tmp_path_factory.mktemp("samples") / "deep", **models).files


def encoded(pairs, folder, **options):
    return encode_pairs(make_ready(pairs)[0], folder, **options)


# Samples


def test_samples_hold_what_the_pipeline_would_see(models, media, files):
    assert len({file.name for file in files}) == 3
    for number, (file, frames) in enumerate(zip(files, (1, 1, 3), strict=True)):
        sample = load_sample(file)
        assert sample.clean.shape == (16, frames, SIDE // 8, SIDE // 8)
        assert sample.context.shape == (96, frames, SIDE // 8, SIDE // 8)
        prompt = parse_paths((TEXT, EDIT, FIRST)[number], media)
        assert torch.equal(sample.features, models["planner"].features(prompt)[0].half().float())
        assert torch.equal(sample.rows, models["text_encoder"].encode(clean_text(prompt.text)).half().float())
    text, edit, first = (load_sample(file) for file in files)
    assert torch.equal(text.clean, edit.clean)  # the same target
    assert (text.context[32:] == 1).all() and set(edit.context[32:].unique().tolist()) == {0, 1}
    kept, changed = first.context[:16], first.context[16:32]
    assert torch.equal(text.context[:16], text.context[16:32]) and not torch.equal(kept[:, 0], changed[:, 0])


def test_the_target_is_encoded_by_the_engine(models, media, files):
    from unison_backend.media.from_files import FileMedia
    from unison_backend.plan.prompt import Medium

    pixels = FileMedia([Medium("image", path=str(media / "target.png"))]).picture(0)
    with torch.no_grad():
        expected = models["engine"].encode(to_signed(pixels[None]))[0]
    assert torch.equal(load_sample(files[0]).clean, expected.half().float())


def key(pair, models_key="models", limits=DEFAULTS):
    return sample_key(make_ready([pair], limits)[0][0], models_key)


def test_what_is_there_is_not_encoded_again(models, media, files, tmp_path):
    folder = tmp_path / "samples"
    folder.mkdir()
    pairs = [Pair(TEXT, media / "target.png"), Pair(TEXT, media / "source.png")]
    known = folder / f"{key(pairs[0])}.safetensors"
    known.write_bytes(files[1].read_bytes())
    seen = []
    made = encoded(pairs, folder, **models, models_key="models", progress=lambda *step: seen.append(step))
    assert made.files[0] == known and known.read_bytes() == files[1].read_bytes() and made.files[1].is_file()
    assert made.reused == 1 and encoded(pairs, folder, **models, models_key="models").reused == 2
    assert seen == [("encoding samples", 1, 1)]
    with pytest.raises(Cancelled, match="reading the manifest"):
        make_ready(pairs, cancel=lambda: True)
    with pytest.raises(Cancelled, match="encoding"):
        encoded(pairs, tmp_path, **models, cancel=lambda: True)


def test_another_manifest_of_as_many_lines_uses_none_of_the_first_ones_samples(models, media, tmp_path):
    first = encoded([Pair(TEXT, media / "target.png")], tmp_path, **models)
    other = encoded([Pair(TEXT, media / "mask.png")], tmp_path, **models)
    assert (first.reused, other.reused) == (0, 0)
    assert not torch.equal(load_sample(first.files[0]).clean, load_sample(other.files[0]).clean)


def test_a_sample_of_other_words_files_models_or_settings_is_not_used_again(media, tmp_path):
    for name in ("source.png", "mask.png", "target.png"):
        shutil.copy(media / name, tmp_path / name)
    pair = Pair(EDIT, tmp_path / "target.png", tmp_path)
    first = key(pair)
    assert key(pair) == first == key(Pair(EDIT, media / "target.png", media))
    keys = {first, key(pair, "other models"), key(replace(pair, prompt=EDIT + " Now."))}
    for name in ("mask.png", "target.png"):
        shutil.copy(media / "source.png", tmp_path / name)
        keys.add(key(pair))
    assert len(keys) == 5
    fox = Pair("Draw a fox.", media / "target.png")
    assert key(fox) != key(fox, limits=Limits(16, 16, 9))  # it would be of another size


def test_the_same_words_that_are_planned_otherwise_are_another_sample(media):
    pair = Pair(TEXT, media / "target.png")
    planned = plan_pair(pair)
    turned = replace(planned, plan=replace(planned.plan, width=SIDE, height=2 * SIDE))
    assert pair_key(pair, turned) != pair_key(pair, planned)
    assert pair_key(pair, replace(planned, spec=replace(planned.spec, reasons=()))) == pair_key(pair, planned)


def test_a_line_whose_mask_is_empty_is_named_when_it_is_encoded(models, media, tmp_path):
    write_image(tmp_path / "mask.png", np.zeros((SIDE, SIDE, 3), dtype=np.float32))
    shutil.copy(media / "source.png", tmp_path / "source.png")
    with pytest.raises(InputError, match=r"line 3: .*mask\.png"):
        encoded([Pair(EDIT, media / "target.png", tmp_path, line=3)], tmp_path / "out", **models)
    assert list((tmp_path / "out").iterdir()) == []


def test_processes_that_decode_ahead_make_the_same_samples_and_say_the_same(models, media, files, tmp_path):
    pairs = [Pair(TEXT, media / "target.png"), Pair(FIRST, media / "nine.mp4", media)]
    made = encoded(pairs, tmp_path / "samples", **models, workers=2)
    assert [path.read_bytes() for path in made.files] == [files[index].read_bytes() for index in (0, 2)]
    write_image(tmp_path / "mask.png", np.zeros((SIDE, SIDE, 3), dtype=np.float32))
    shutil.copy(media / "source.png", tmp_path / "source.png")
    said = []
    for workers in (0, 1):
        with pytest.raises(InputError, match=r"line 3: .*mask\.png") as caught:
            encoded([Pair(EDIT, media / "target.png", tmp_path, line=3)], tmp_path / "no", **models, workers=workers)
        said.append(str(caught.value))
    assert said[0] == said[1] and list((tmp_path / "no").iterdir()) == []
    assert multiprocessing.active_children() == []


def test_a_target_of_another_rate_is_taken_by_time(models, media, tmp_path):
    """At 48 a second every second frame belongs to an output of 24."""
    shades = np.arange(17, dtype=np.float32)[:, None, None, None] / 16
    write_video(tmp_path / "fast.mp4", np.broadcast_to(shades, (17, SIDE, SIDE, 3)), Fraction(48))
    seen = []
    real = models["engine"].encode
    engine = SimpleNamespace(encode=lambda clip: seen.append(clip) or real(clip))
    encoded([Pair(FIRST, tmp_path / "fast.mp4", media)], tmp_path / "out", **models | {"engine": engine})
    levels = (seen[-1][0].mean((0, 2, 3)) + 1) / 2
    assert levels.tolist() == pytest.approx([number / 8 for number in range(9)], abs=0.03)


def test_a_damaged_sample_is_said(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"junk")
    save_file({"clean": torch.zeros(1)}, tmp_path / "b.safetensors")
    for name in "ab":
        with pytest.raises(WeightsError, match=rf"{name}\.safetensors is no encoded sample.*remove it"):
            load_sample(tmp_path / f"{name}.safetensors")
    with pytest.raises(MediaError, match=r"c\.safetensors cannot be written"):
        save_sample(Sample(*(torch.zeros(1) for _ in range(4))), tmp_path / "a.safetensors" / "c.safetensors")


# Training


def transformer():
    return load_transformer(demo.ensure_untrained().vace, dtype=torch.float32)


def fresh():
    torch.manual_seed(0)
    return Projector(64, 32)


def trained(files, out, schedule=SCHEDULE, **options):
    projector = fresh()
    train(projector, transformer(), files, out, schedule, **options)
    return projector


def equal(one, other):
    return all(torch.equal(one.state_dict()[name], value) for name, value in other.state_dict().items())


def test_training_changes_the_projector_alone_and_lowers_its_loss(files, tmp_path):
    video, projector = transformer(), fresh()
    before = {name: value.clone() for name, value in video.state_dict().items()}
    train(projector, video, files, tmp_path, replace(SCHEDULE, steps=30, lr=1e-2), batch=2)
    assert all(torch.equal(value, before[name]) for name, value in video.state_dict().items())
    start = dict(fresh().named_parameters())
    assert all(not torch.equal(value, start[name]) for name, value in projector.named_parameters())
    assert not projector.training and not any(p.requires_grad for p in projector.parameters())
    assert evaluate(projector, video, files) < evaluate(fresh(), video, files)


def test_samples_of_one_shape_are_one_pass_and_lose_what_they_do_alone(files):
    """The picture from words and the edit have one shape, the video another; their texts are of unequal length."""
    video, projector, passes = transformer(), fresh().eval(), []
    freeze(video)
    video.register_forward_pre_hook(
        lambda module, given, named: passes.append(len(named["hidden_states"])), with_kwargs=True
    )
    samples = [load_sample(files[index]) for index in (0, 2, 1, 0)]
    generator = torch.Generator().manual_seed(0)
    sigmas = torch.rand(4, generator=generator)
    noises = [torch.randn(sample.clean.shape, generator=generator) for sample in samples]
    with torch.no_grad():
        together = batch_loss(projector, video, samples, sigmas, noises)
        assert passes == [3, 1]
        alone = [
            batch_loss(projector, video, [sample], sigma[None], [noise])
            for sample, sigma, noise in zip(samples, sigmas, noises, strict=True)
        ]
    assert together.item() == pytest.approx(torch.stack(alone).mean().item(), rel=1e-5)
    assert len({round(term.item(), 4) for term in alone}) == 4


@pytest.mark.parametrize("options", [{}, {"batch": 2}])
def test_a_resumed_run_gives_the_same_projector(files, tmp_path, options):
    """Batches, noise and the projector's dropout alike, also where processes read ahead from then on."""
    whole = trained(files, tmp_path / "whole", **options)
    asked = []
    with pytest.raises(Cancelled, match="training the projector"):
        trained(files, tmp_path / "parts", **options, cancel=lambda: asked.append(1) or len(asked) > 3)
    torch.rand(5)
    assert equal(trained(files, tmp_path / "parts", **options, workers=2), whole)
    assert not equal(trained(files, tmp_path / "other", replace(SCHEDULE, seed=5), **options), whole)


def test_a_new_projector_is_its_seeds_and_draws_nothing_from_anyone_else():
    torch.manual_seed(1)
    one = new_projector(64, 32, seed=7)
    drawn = torch.rand(1)
    torch.manual_seed(2)
    assert equal(new_projector(64, 32, seed=7), one) and not equal(new_projector(64, 32, seed=8), one)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), drawn)


def test_held_out_loss_is_measured_on_the_way_and_the_best_projector_kept(files, tmp_path):
    """Of the averaged weights, as at the end; training is the same with it and without."""
    options = {"watching": Watching(eval_every=2, keep_last=1), "held_out": files[:1]}
    schedule = replace(SCHEDULE, save_every=4)
    projector = trained(files[1:], tmp_path / "watched", schedule, **options)
    assert equal(projector, trained(files[1:], tmp_path / "plain"))
    state = torch.load(tmp_path / "watched" / "state.pt")  # dtypes are as docs/training.md has them
    assert {value.dtype for part in ("weights", "averaged") for value in state[part].values()} == {torch.float32}
    assert {value.dtype for value in load_file(files[0]).values()} == {torch.float16}
    assert {value.dtype for value in load_file(tmp_path / "watched" / "projector.safetensors").values()} == {
        torch.float32
    }
    rows = read_rows(tmp_path / "watched" / EVALUATIONS_FILE)
    assert [row["step"] for row in rows] == [2, 4, 6]
    video = transformer()
    train(fresh(), video, files, tmp_path / "ready", replace(SCHEDULE, steps=1))  # makes the video model ready
    assert rows[-1]["loss"] == pytest.approx(evaluate(projector, video, files[:1]), rel=1e-6)
    kept = load_projector(tmp_path / "watched" / "checkpoints" / "step-000004" / "projector.safetensors")
    assert rows[1]["loss"] == pytest.approx(evaluate(kept, video, files[:1]), rel=1e-6) != rows[-1]["loss"]
    best = load_projector(tmp_path / "watched" / "best" / "projector.safetensors")
    assert evaluate(best, video, files[:1]) == pytest.approx(min(row["loss"] for row in rows), rel=1e-6)
    with pytest.raises(InputError, match="--eval-every takes something that is held out"):
        trained(files, tmp_path / "none", watching=options["watching"])


def test_text_that_is_left_out_has_no_say_and_half_of_it_half_a_say(files, tmp_path):
    """The same samples with other words: with all text left out they train the same projector, to the bit."""
    other = tmp_path / "other.safetensors"
    sample = load_sample(files[0])
    save_sample(replace(sample, rows=sample.rows.flip(1) * 3), other)
    silenced = [trained([file], tmp_path / file.stem, text_dropout=1.0) for file in (files[0], other)]
    heard = [trained([file], tmp_path / f"heard {file.stem}") for file in (files[0], other)]
    assert equal(*silenced) and not equal(*heard)
    half = trained(files[:1], tmp_path / "half", text_dropout=0.5)
    assert not equal(half, heard[0]) and not equal(half, silenced[0])
    assert equal(trained(files[:1], tmp_path / "none", text_dropout=0.0), heard[0])
    with pytest.raises(InputError, match=r"trained otherwise \(text dropout 0.5, now none\)"):
        trained(files[:1], tmp_path / "half")
    with pytest.raises(InputError, match=r"text dropout is 1\.5; it is a share"):
        trained(files, tmp_path / "wrong", text_dropout=1.5)


def test_other_samples_are_no_resume(files, tmp_path):
    trained(files, tmp_path)
    with pytest.raises(InputError, match=r"trained otherwise \(other samples; batch 1, now 2\)"):
        trained(files[:2], tmp_path, batch=2)


def test_without_samples_nothing_is_trained(tmp_path):
    with pytest.raises(InputError, match="no samples"):
        train(fresh(), transformer(), [], tmp_path, SCHEDULE)


def test_evaluation_is_the_same_every_time_and_works_without_a_projector(files, tmp_path):
    video = transformer()
    train(fresh(), video, files, tmp_path, replace(SCHEDULE, steps=1))  # makes the video model ready
    projector = fresh().train()
    losses = [evaluate(projector, video, files) for _ in range(2)]
    assert losses[0] == losses[1] != evaluate(projector, video, files, seed=1)
    bare = evaluate(None, video, files)
    assert bare != losses[0]
    silent = fresh()
    start_silent(silent)  # projected tokens of zero are what the padding is
    assert evaluate(silent, video, files) == pytest.approx(bare, rel=1e-5)
    with pytest.raises(Cancelled, match="evaluating"):
        evaluate(None, video, files, cancel=lambda: True)


def test_a_saved_projector_is_loaded_by_name_and_sizes(tmp_path):
    projector = fresh()
    save_projector(projector, tmp_path / "deep" / "projector.safetensors")
    assert equal(load_projector(tmp_path / "deep" / "projector.safetensors"), projector)
