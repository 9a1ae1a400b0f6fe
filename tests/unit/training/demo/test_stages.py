"""The demo set's own recipes at a thousandth of their size: VAE, text encoder and video model learn and resume."""

import json
from dataclasses import replace
from random import Random

import pytest
import torch
from torch.nn import functional

from unison_backend.conditioning.text_encoder import load_text_encoder
from unison_backend.demo import build as models
from unison_backend.demo import set as demo
from unison_backend.demo.world.questions import draw_thing, question
from unison_backend.demo.world.shapes import Scene, Thing, render, silhouette
from unison_backend.demo.world.tasks import kinds, meanings
from unison_backend.demo.world.wording import NOTHING
from unison_backend.engine.engine import Engine
from unison_backend.errors import Cancelled
from unison_backend.planner.qwen.loading import load_qwen
from unison_backend.training.demo import (
    qwen as demo_qwen,
)
from unison_backend.training.demo import (
    text as demo_text,
)
from unison_backend.training.demo import (
    vace as demo_vace,
)
from unison_backend.training.demo import (
    vae as demo_vae,
)
from unison_backend.training.demo import (
    vision as demo_vision,
)
from unison_backend.training.demo.clips import batch
from unison_backend.training.log import LOG_FILE
from unison_backend.training.schedule import Schedule
from unison_backend.weights.wan import load_transformer, load_vae

FIELDS = ("colour", "shape", "background", "size", "place", "motion")
FRAMES = {"images": 1, "images_with_reference": 2, "videos": 3, "videos_with_reference": 4}
OTHERS = {  # time, height and width of the latents of other sizes and lengths
    "images_wide": (1, 8, 12),
    "images_tall": (1, 12, 8),
    "images_wide_with_reference": (2, 8, 12),
    "images_tall_with_reference": (2, 12, 8),
    "videos_wide": (3, 8, 12),
    "videos_tall": (3, 12, 8),
    "videos_long": (5, 8, 8),
    "videos_long_with_reference": (6, 8, 8),
}


def vae():
    return load_vae(demo.ensure_untrained().vae, dtype=torch.float32)


def text_encoder():
    return load_text_encoder(demo.ensure_untrained().text_encoder, dtype=torch.float32)


def clips(length, count=1, seed=0):
    return torch.rand(count, 3, length, 64, 64, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def logged(folder):
    return [json.loads(line) for line in (folder / LOG_FILE).read_text().splitlines()]


# VAE


@pytest.mark.parametrize("length", [1, 5])
def test_a_single_frame_as_a_picture_is_exact(length):
    model, clip = vae().requires_grad_(True), clips(length)[..., :32, :32]

    def both():
        latents = demo_vae.encode(model, clip)
        return latents, demo_vae.decode(model, latents)

    plain = both()
    with demo_vae.single_frames_as_pictures():
        quick = both()
    for one, other in zip(plain, quick, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    weight = model.encoder.conv_in.weight
    gradients = [torch.autograd.grad(pixels.square().mean(), weight)[0] for _, pixels in (plain, quick)]
    torch.testing.assert_close(*gradients, atol=1e-5 * float(gradients[0].abs().max()), rtol=1e-3)


def test_it_is_a_plain_convolution_inside_and_only_there(monkeypatch):
    from diffusers.models.autoencoders.autoencoder_kl_wan import WanCausalConv3d

    before, model, flat = WanCausalConv3d.forward, vae(), []
    real = functional.conv2d
    monkeypatch.setattr(functional, "conv2d", lambda *given, **named: flat.append(1) or real(*given, **named))
    demo_vae.encode(model, clips(1))
    outside = len(flat)
    with pytest.raises(ZeroDivisionError), demo_vae.single_frames_as_pictures():
        demo_vae.encode(model, clips(1))
        raise ZeroDivisionError
    assert len(flat) - outside > outside + 10 and WanCausalConv3d.forward is before


def test_the_decoders_phase_leaves_latents_alone(tmp_path):
    model, clip = vae(), clips(5)
    latents = demo_vae.encode(model, clip)
    before = demo_vae.decode(model, latents)
    schedule = replace(demo_vae.DECODER.schedule, steps=2, warmup=1)
    demo_vae.train_phase(
        model, tmp_path, replace(demo_vae.DECODER, lengths=(5,), sizes=((40, 40),), pixels=8000, schedule=schedule)
    )
    assert torch.equal(demo_vae.encode(model, clip), latents)
    assert not torch.allclose(demo_vae.decode(model, latents), before)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_pixels_on_and_near_an_outline_count_more_than_plain_ones():
    scenes = [Scene("white", (Thing("square", "red", 0.5, 0.5, 0.2),)), Scene("black", ())]
    clip = torch.stack([render(scene, 2, 64, 64) for scene in scenes]).permute(0, 4, 1, 2, 3) * 2 - 1
    weight = demo_vae.edge_weight(clip)
    assert weight.shape == (2, 1, 2, 64, 64) and weight.mean().item() == pytest.approx(1)
    row = weight[0, 0, 0, 32]
    edge = (silhouette(scenes[0].things[0], 1, 64, 64)[0, 32] > 0.5).nonzero().min().item()
    assert row[edge] == row[edge - 1] == row[edge + 1] == pytest.approx(7 * row[0].item())
    assert row[edge - 4] == row[edge + 4] == row[32] == row[0] == weight[1].min()
    assert weight[1].unique().numel() == 1


def test_muon_trains_the_vaes_kernels(tmp_path):
    model = vae()
    demo_vae.start_as_identity(model)
    chosen = {name for name, value in model.named_parameters() if demo_vae.is_kernel(name, value)}
    assert "decoder.mid_block.resnets.0.conv1.weight" in chosen and "encoder.conv_in.weight" not in chosen
    before = {name: value.clone() for name, value in model.named_parameters()}
    phase = demo_vae.PHASES[0]
    schedule = replace(phase.schedule, steps=2, warmup=1)
    small = replace(phase, lengths=(5,), sizes=((40, 40),), pixels=8000, schedule=schedule)
    demo_vae.train_phase(model, tmp_path, small)
    same = {name for name, value in model.named_parameters() if torch.equal(value, before[name])}
    assert not same & chosen


def test_decoding_in_parts_is_the_vaes_own_decoding():
    model = vae()
    latents = torch.randn(2, 16, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(demo_vae.decode(model, latents).clamp(-1, 1), model.decode(latents).sample)


@torch.no_grad()
def test_normalised_latents_have_the_configs_moments_and_the_same_pixels():
    model, clip = vae(), clips(5)
    before = demo_vae.decode(model, demo_vae.encode(model, clip))
    demo_vae.normalise(model, 12)
    latents = demo_vae.encode(model, clip)
    torch.testing.assert_close(demo_vae.decode(model, latents), before, atol=1e-4, rtol=1e-4)
    generator = torch.Generator().manual_seed(7)  # clips that it has not seen
    drawn = [batch(generator, (1, 5, 9), demo_vae.WHOLE, 9 * 64 * 64) for _ in range(12)]
    seen = [demo_vae.encode(model, clip).transpose(0, 1).flatten(1) for clip in drawn]
    rows = torch.cat(seen, dim=1)
    wanted_mean, wanted = torch.tensor(model.config.latents_mean), torch.tensor(model.config.latents_std)
    assert ((rows.mean(1) - wanted_mean).abs() < 0.35 * wanted).all()
    assert (rows.std(1) / wanted - 1).abs().max() < 0.3
    spread = model.encode(clip).latent_dist.std
    assert spread.max() < 0.01  # sampling from them is as good as taking their mean


def pictures(schedule, quiet=0, name="pictures", decoder_only=False):
    """A phase of four small pictures a step."""
    return demo_vae.Phase(name, (1,), ((32, 32),), 4 * 32 * 32, schedule, quiet, decoder_only=decoder_only)


@pytest.fixture
def few_moments(monkeypatch):
    monkeypatch.setattr(demo_vae, "MOMENT_BATCHES", 2)


def reconstruction(model):
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        clip = batch(generator, (1,), ((32, 32),), 12 * 32 * 32)
        return float(functional.mse_loss(demo_vae.decode(model, demo_vae.encode(model, clip)), clip))


def test_a_few_steps_make_a_better_vae(few_moments, tmp_path):
    model = vae()
    demo_vae.start_as_identity(model)
    before = reconstruction(model)
    seen = []
    phase = pictures(Schedule(steps=20, lr=1.5e-3, warmup=2))
    decoder = pictures(Schedule(steps=2, lr=1e-3, warmup=1), name="decoder", decoder_only=True)
    demo_vae.train(model, tmp_path, [phase], decoder, progress=lambda *step: seen.append(step))
    assert reconstruction(model) < 0.7 * before
    assert seen[19] == ("training the VAE on pictures", 20, 20) and seen[-1] == ("training the VAE on decoder", 2, 2)
    assert not model.training and not any(parameter.requires_grad for parameter in model.parameters())
    assert set(logged(tmp_path / "pictures")[0]) >= {"mse", "l1"}


@pytest.mark.parametrize("stop", [3, 6, 10])
def test_the_vae_resumes_in_any_phase(stop, few_moments, tmp_path):
    schedule = Schedule(steps=4, lr=1e-3, warmup=1, ema=0.9)
    phases = [pictures(schedule, quiet=2), pictures(schedule, name="more")]  # with and without noise on the latents
    decoder = pictures(schedule, name="decoder", decoder_only=True)
    whole, parts = vae(), vae()
    demo_vae.train(whole, tmp_path / "whole", phases, decoder)
    asked = []
    with pytest.raises(Cancelled, match="VAE"):
        demo_vae.train(parts, tmp_path / "parts", phases, decoder, cancel=lambda: asked.append(1) or len(asked) > stop)
    parts = vae()
    demo_vae.train(parts, tmp_path / "parts", phases, decoder)
    assert all(torch.equal(parts.state_dict()[name], value) for name, value in whole.state_dict().items())


# Text encoder


def test_texts_are_of_all_kinds_and_their_labels_are_meanings():
    drawn = demo_text.draw_texts(30, 5)
    assert len(drawn.texts) == len(drawn.labels) == 30 and len(set(drawn.texts)) > 25
    values = meanings()
    names = list(values)[-drawn.labels.shape[1] :]  # with or without the task, which comes first
    assert {"colour", "shape", "background", "motion"} <= set(names)
    column = drawn.labels[:, names.index("colour")].tolist()
    said = [values["colour"][label] for label in column]
    english = [(text, colour) for text, colour in zip(drawn.texts, said, strict=True) if text.isascii()]
    assert all(colour == NOTHING or colour in text for text, colour in english)
    assert len({colour for _, colour in english}) > 3
    assert demo_text.draw_texts(30, 5).texts == drawn.texts
    assert not set(drawn.texts) & set(demo_text.draw_texts(30, 5, held_out=True).texts)


@torch.no_grad()
def named_right(reading, encoder, data):
    """How often each field is named right."""
    right = torch.zeros(len(demo_text.fields()))
    for text, labels in zip(data.texts, data.labels, strict=True):
        ids, real = demo_text.pad([encoder.tokenize(text)])
        scores = reading(ids, real)
        right += torch.tensor([int(score[0].argmax()) for score in scores]) == labels
    return {name: (v / len(data.texts)).item() for name, v in zip(demo_text.fields(), right, strict=True)}


def test_a_few_steps_read_better(monkeypatch, tmp_path):
    monkeypatch.setattr(demo_text, "BATCH", 8)
    schedule = Schedule(steps=24, lr=3e-3, warmup=2, seed=1)
    encoder = text_encoder()
    reading = demo_text.train(encoder, tmp_path, schedule, count=30)
    first, last = logged(tmp_path)
    assert sum(last[name] for name in FIELDS) < 0.9 * sum(first[name] for name in FIELDS)
    assert encoder.model is reading.encoder and not reading.training
    right = named_right(reading, encoder, demo_text.draw_texts(15, 1))
    assert right.keys() >= set(FIELDS) and min(right.values()) >= 0 and max(right.values()) <= 1
    assert torch.isfinite(encoder.encode("Draw a red circle.")).all()


def test_padding_is_marked():
    ids, real = demo_text.pad([[5, 6, 1], [7]])
    assert ids.tolist() == [[5, 6, 1], [7, 0, 0]] and real.tolist() == [[1, 1, 1], [1, 0, 0]]


# Video model


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    folder = tmp_path_factory.mktemp("groups")
    engine = Engine(None, vae(), torch.device("cpu"))
    with torch.no_grad():
        made = demo_vace.encode_groups(engine.encode, folder, share=0.0005, only=FRAMES)
        again = demo_vace.encode_groups(lambda clip: pytest.fail("encoded again"), folder, share=0.0005, only=FRAMES)
    assert all(torch.equal(made[name].clean, again[name].clean) for name in made)
    return made


def test_groups_hold_every_kind_at_its_length(groups):
    assert groups.keys() == FRAMES.keys() and demo_vace.GROUPS.keys() == FRAMES.keys() | OTHERS.keys()
    for phase in demo_vace.PHASES:
        assert phase.shares.keys() == demo_vace.GROUPS.keys() and sum(phase.shares.values()) == pytest.approx(1)
        assert min(phase.shares.values()) > 0.005
    for name, frames in FRAMES.items():
        counts = [max(1, round(count * 0.0005)) for count in demo_vace.GROUPS[name].counts.values()]
        assert groups[name].clean.shape == (sum(counts), 16, frames, 8, 8)
        assert groups[name].context.shape == (sum(counts), 96, frames, 8, 8)
    assert {kind for group in demo_vace.GROUPS.values() for kind in group.counts} == set(kinds())


def test_groups_of_other_sizes_and_lengths_are_drawn_as_such(monkeypatch, tmp_path):
    """Encoded by what only knows sizes: an encoder is slow."""
    small = {
        name: replace(group, counts=dict([*group.counts.items()][-1:])) for name, group in demo_vace.GROUPS.items()
    }
    monkeypatch.setattr(demo_vace, "GROUPS", small)

    def encode(clip):
        height, width = (side // 8 for side in clip.shape[3:])
        return torch.zeros(len(clip), 16, (clip.shape[2] + 3) // 4, height, width)

    made = demo_vace.encode_groups(encode, tmp_path, share=1e-9, only=OTHERS)
    for name, extent in OTHERS.items():
        assert made[name].clean.shape == (1, 16, *extent) and made[name].context.shape == (1, 96, *extent)
        canvas = small[name].canvas
        said = made[name].texts[0]
        assert "reference" not in name or (str(canvas.width) in said and str(canvas.height) in said)


def test_a_share_of_edits_and_controls_goes_on_from_kept_frames():
    group = demo_vace.GROUPS["videos"]
    kinds_of = ("video_editing remove", "video_control", "text_to_video")
    kept = dict.fromkeys(kinds_of, 0)
    for kind in kinds_of:
        for sources, target, _ in demo_vace._drawn(group, {kind: 20}):
            given = (sources.mask == 0).flatten(1).all(1)
            if given.any():
                count = int(given.sum())
                assert count in (1, 5) and given[:count].all() and torch.equal(sources.video[:count], target[:count])
                kept[kind] += 1
    assert 2 <= kept["video_editing remove"] <= 11 and 2 <= kept["video_control"] <= 11
    assert kept["text_to_video"] == 0


def test_rows_of_several_texts_are_those_of_each_alone():
    encoder = text_encoder()
    texts = ["Draw a red circle.", "Make a video of a small blue star moving to the left, 9 frames."]
    rows = demo_vace.encode_rows(encoder, [encoder.tokenize(text) for text in texts])
    for row, text in zip(rows, texts, strict=True):
        torch.testing.assert_close(row, encoder.encode(text), atol=1e-4, rtol=1e-4)


def test_texts_are_read_once_in_parts_and_may_be_stopped(monkeypatch):
    monkeypatch.setattr(demo_vace, "READ_TOGETHER", 2)
    encoder, seen = text_encoder(), []
    texts = ["Draw a red circle.", "Draw a blue star, 64x64.", "Draw a green square."]
    rows = demo_vace.read_texts(encoder, texts, lambda *step: seen.append(step))
    for row, text in zip(rows, texts, strict=True):
        assert row.dtype == torch.bfloat16
        torch.testing.assert_close(row.float(), encoder.encode(text), atol=2e-2, rtol=2e-2)
    assert [done for _, done, _ in seen] == [2, 3]
    with pytest.raises(Cancelled):
        demo_vace.read_texts(encoder, texts, cancel=lambda: True)


def test_it_starts_with_no_output():
    model = load_transformer(demo.ensure_untrained().vace, dtype=torch.float32)
    demo_vace.start(model)
    with torch.no_grad():
        velocity = model(
            torch.randn(1, 16, 1, 8, 8),
            timestep=torch.tensor([500.0]),
            encoder_hidden_states=torch.randn(1, 4, 4096),
            control_hidden_states=torch.randn(1, 96, 1, 8, 8),
            return_dict=False,
        )
    assert (velocity[0] == 0).all()


def test_a_few_steps_lower_the_loss_and_a_resumed_run_is_the_unbroken_one(groups, monkeypatch, tmp_path):
    monkeypatch.setattr(demo_vace, "PATCHES", 32)
    # Of its kind, but small: Muon computes in bfloat16, and some CPUs take half a minute a step for the shipped size.
    monkeypatch.setattr(models, "WAN", {"dim": 128, "ffn_dim": 128, "num_layers": 2, "vace_layers": 1})
    models.write_wan(tmp_path / "small.safetensors")
    encoder, schedule = text_encoder(), Schedule(steps=36, lr=2e-3, warmup=2, ema=0.9, seed=6)
    first, again = (demo_vace.Phase(name, dict.fromkeys(FRAMES, 0.25), schedule) for name in ("first", "again"))
    phases = [first, replace(again, schedule=replace(schedule, steps=4), muon=True)]

    def run(folder, **options):
        model = load_transformer(tmp_path / "small.safetensors", dtype=torch.float32)
        demo_vace.train(model, encoder, groups, folder, phases, **options)
        return model

    whole = run(tmp_path / "whole")
    early, late = logged(tmp_path / "whole" / "first")
    assert late["images"] < early["images"] and late["videos"] < early["videos"]
    for stop in (13, 40):  # in the first phase, then in the one with Muon
        asked = []
        with pytest.raises(Cancelled, match="video model"):
            run(tmp_path / "parts", cancel=lambda asked=asked, stop=stop: asked.append(1) or len(asked) > stop)
        (tmp_path / "parts").rename(tmp_path / f"stopped at {stop}")
    parts = run(tmp_path / "stopped at 13")
    assert all(torch.equal(parts.state_dict()[name], value) for name, value in whole.state_dict().items())
    assert (tmp_path / "stopped at 40" / "again" / "state.pt").is_file()
    parts = run(tmp_path / "stopped at 40")
    assert all(torch.equal(parts.state_dict()[name], value) for name, value in whole.state_dict().items())
    assert not parts.training


# Understanding model


def small_qwen():
    return load_qwen(demo.ensure_untrained().planner, dtype="fp32")


def test_a_view_says_what_it_shows():
    """Its labels are the thing's, its covered shares add up to the thing's area, in both frames that are shown."""
    qwen = small_qwen()
    for subject in ("image", "video"):
        for seed in range(4):
            view = demo_vision.view(qwen, subject, Random(seed))
            thing, background, _, motion = draw_thing(subject, Random(seed))
            names = [values[label] for values, label in zip(demo_vision.FIELDS.values(), view.labels, strict=True)]
            assert names[:3] == [thing.colour, thing.shape, background]
            assert names[4] == ("still" if subject == "image" else motion)
            assert view.covered.shape == (int(view.grid.prod()) // 4, 2)
            area = silhouette(thing, 9 if subject == "video" else 1, 64, 64)[0].mean()
            torch.testing.assert_close(view.covered[:, 0].mean(), area)
            assert torch.equal(*view.covered.T) == (names[4] == "still")


def test_the_vision_tower_learns_to_look_and_resumes(monkeypatch, tmp_path):
    monkeypatch.setattr(demo_vision, "BATCH", 4)
    schedule, counts = Schedule(steps=40, lr=3e-3, warmup=2, ema=0.9, seed=3), {"image": 4, "video": 4}

    def run(folder, **options):
        qwen = small_qwen()
        demo_vision.train(qwen, folder, schedule, counts=counts, **options)
        return qwen.base.state_dict()

    whole = run(tmp_path / "whole")
    first, last = logged(tmp_path / "whole")
    assert sum(last[name] for name in demo_vision.FIELDS) < 0.9 * sum(first[name] for name in demo_vision.FIELDS)
    asked = []
    with pytest.raises(Cancelled, match="vision tower"):
        run(tmp_path / "parts", cancel=lambda: asked.append(1) or len(asked) > 8 + 7)
    parts = run(tmp_path / "parts")
    assert all(torch.equal(value, whole[name]) for name, value in parts.items())
    before = small_qwen().base.state_dict()
    assert {name for name, value in before.items() if not torch.equal(value, whole[name])} <= {
        name for name in whole if "visual" in name
    }


def test_a_few_steps_answer_better_and_a_resumed_run_is_the_unbroken_one(monkeypatch, tmp_path):
    monkeypatch.setattr(demo_qwen, "BATCH", 4)
    schedule = Schedule(steps=24, lr=3e-3, warmup=2, ema=0.9, seed=3)
    counts = {"image": 4, "video": 2, "text": 2}

    def run(folder, **options):
        qwen = small_qwen()
        demo_qwen.train(qwen, folder, schedule, counts=counts, **options)
        return qwen

    whole = run(tmp_path / "whole")
    first, last = logged(tmp_path / "whole")
    assert last["loss"] < 0.9 * first["loss"]
    asked = []
    with pytest.raises(Cancelled, match="understanding model"):  # 8 questions are drawn first
        run(tmp_path / "parts", cancel=lambda: asked.append(1) or len(asked) > 8 + 7)
    parts = run(tmp_path / "parts")
    theirs = whole.base.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in parts.base.state_dict().items())
    assert not parts.base.training


def test_questions_are_put_as_the_planner_puts_them():
    """Ids, pixels and grids of a question, its answer and the end of the turn behind them."""
    qwen = small_qwen()
    end = qwen.tokenizer.convert_tokens_to_ids("<|im_end|>")
    for subject, key in (("image", "pixel_values"), ("video", "pixel_values_videos"), ("text", None)):
        asked = question(subject, Random(1))
        shown = demo_qwen.show_question(qwen, asked, end)
        written = shown.sample.ids[-shown.sample.learned :]
        assert written[-1] == end and qwen.tokenizer.decode(written[:-1]) == asked.answer
        assert (key in shown.tensors) if key else not shown.tensors
