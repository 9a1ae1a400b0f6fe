"""`unison run` on the embedded models: all nine generation tasks, from words to a file that is opened again."""

import json
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from unison_backend.demo.set import CFG, ensure
from unison_backend.engine.engine import Engine
from unison_backend.engine.settings import SamplingSettings
from unison_backend.media.pictures import load_image
from unison_backend.media.probe import probe
from unison_backend.media.video import load_video
from unison_backend.media.write import read_metadata, write_video
from unison_backend.plan.prompt import parse_pads
from unison_backend.weights.wan import load_transformer

from .conftest import examples, scene

SMALL = ("--steps", 1, "--quiet", "--device", "cpu")
DATA = Path(__file__).parent / "data" / "instructions.jsonl"
OWN = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
FOLDER = examples()
THEIRS = [json.loads(line) for line in (FOLDER / "planning.jsonl").read_text("utf-8").splitlines()] if FOLDER else []


def with_files(record, draw):
    """The instruction with a file at each pad: the example's own where it exists, else a drawn one."""
    prompt = parse_pads(record["prompt"])
    masks = re.search(r"<BOEDIT>(\d+),", record["tokens"])
    paths = []
    for index, kind in enumerate(prompt.kinds):
        named = (record.get("media") or [None] * 9)[index]
        suffix = "mp4" if kind == "video" else "png"
        drawn = draw(f"medium{index}.{suffix}", mask=bool(masks) and int(masks.group(1)) == index)
        paths.append(FOLDER / named if named and FOLDER else drawn)
    left = iter(paths)
    return re.sub("<IMGPAD>|<VIDPAD>", lambda _: f"###{next(left)}###", record["prompt"]), paths


@pytest.fixture
def received(monkeypatch):
    """The sources that the engine is given, the real engine running on."""
    seen = []
    real = Engine.generate

    def generate(self, sources, *arguments):
        seen.append(sources)
        return real(self, sources, *arguments)

    monkeypatch.setattr(Engine, "generate", generate)
    return seen


def run_and_check(record, draw, unison, tmp_path, received):
    text, paths = with_files(record, draw)
    image = record["tokens"].endswith("<CFI>")
    out = tmp_path / ("out.png" if image else "out.mp4")
    settings = ["--set", "width=96", "height=64"] + ([] if image else ["num_frames=8"])
    status, planned, errors = unison("plan", text, "--json", *settings)
    assert status == 0, errors
    planned = json.loads(planned)
    assert planned["task"] == record["task"]
    status, printed, errors = unison("run", text, "--out", out, *SMALL, *settings)
    assert status == 0, errors
    assert printed.strip() == str(out)
    info = probe(out, "image" if image else "video")
    assert (info.width, info.height, info.num_frames) == (planned["width"], planned["height"], planned["kept_frames"])
    if not image:
        assert float(info.fps) == pytest.approx(planned["fps"], rel=1e-4)
    assert json.loads(read_metadata(out)["unison"])["plan"]["task"] == record["task"]
    check_sources(planned, received[-1], paths)


def test_the_embedded_models_have_their_own_guidance(unison, tmp_path):
    def cfg(*options):
        out = tmp_path / f"{len(options)}.png"
        status, _, errors = unison("run", "Draw a red circle, 64x64.", "--out", out, *SMALL, *options)
        assert status == 0, errors
        return json.loads(read_metadata(out)["unison"])["settings"]["cfg"]

    models = ensure()
    given = ("--vace", models.vace, "--vae", models.vae, "--text-encoder", models.text_encoder)
    assert (cfg(), cfg("--cfg", 5), cfg(*given)) == (CFG, 5, SamplingSettings.cfg)
    assert SamplingSettings.cfg == 5  # the reference's


@pytest.mark.parametrize(
    ("text", "options", "size", "frames"),
    [
        ("A red circle.", (), (64, 64), 1),
        ("A red circle.", ("--set", "width=96"), (96, 64), 1),
        ("A video of a red circle that moves to the right.", (), (64, 64), 9),
        ("Make ###{wide}### red.", ("--mask-phrase", "the whole frame"), (128, 64), 1),  # a source keeps its size
    ],
)
def test_what_is_not_said_is_as_the_embedded_models_learned_it(unison, tmp_path, draw, text, options, size, frames):
    draw("wide.png", width=128, height=64)
    out = tmp_path / ("made.png" if frames == 1 else "made.mp4")
    text = text.format(wide=tmp_path / "wide.png")
    status, _, errors = unison("run", text, "--out", out, "--steps", 1, "--device", "cpu", *options)
    assert status == 0, errors
    info = probe(out, "image" if frames == 1 else "video")
    assert ((info.width, info.height), info.num_frames) == (size, frames)
    assert options or "64x64 of the embedded models" in errors
    if not options:  # what is planned for no models is the reference's own
        planned = json.loads(unison("plan", text, "--json")[1])
        assert (planned["width"], planned["height"]) == (832, 480)


def check_sources(planned, sources, paths):
    """Outside the mask the engine is given the source's own pixels."""
    assert sources.video.shape[:3] == sources.mask.shape == (planned["num_frames"], planned["height"], planned["width"])
    assert len(sources.references) == len(planned["references"])
    if planned["source"] is None:
        return
    kept = sources.mask <= 0.5
    assert kept.any() and not kept.all()
    assert (sources.video[~kept] == 0.5).all()
    source = paths[planned["source"]]
    info = probe(source, "video" if source.suffix == ".mp4" else "image")
    if (info.width, info.height, info.num_frames) == (planned["width"], planned["height"], planned["num_frames"]):
        pixels = torch.from_numpy(load_video(source) if info.kind == "video" else load_image(source)[None])
        assert torch.equal(sources.video[kept], pixels[kept])


@pytest.mark.parametrize("record", OWN, ids=lambda r: f"{r['task']}-{len(r['prompt'])}")
def test_own_instructions(record, draw, unison, tmp_path, received):
    run_and_check(record, draw, unison, tmp_path, received)


@pytest.mark.parametrize(("length", "frames"), [((), 6), (("--length", "reference"), 5)])
def test_a_whole_video_comes_back(draw, unison, tmp_path, length, frames):
    """As many frames as came in, at their rate, the source's own outside the mask, padded frames cut again."""
    clip, mask, out = draw("a.mp4", frames=6), draw("m.mp4", mask=True, frames=6), tmp_path / "o.mp4"
    words = f"Make the square in ###{clip}### white."
    status, _, errors = unison("run", words, "--mask", mask, "--out", out, "--feather", 0, *length, *SMALL[:2])
    assert status == 0, errors
    made, source = load_video(out), load_video(clip)
    assert len(made) == frames
    assert probe(out, "video").fps == (8 if not length else Fraction(20, 3))
    outside = load_video(mask)[..., 0] < 0.01
    picked = [0, 1, 2, 3, 4, 5] if not length else [0, 1, 2, 4, 5]
    for frame, number in zip(made, picked, strict=True):
        shown = outside[number]
        assert np.abs(frame - source[number])[shown].mean() < 0.02
    assert ("9 are made (4 k + 1), the last one repeated" in errors) == (not length)


def test_all_nine_tasks_are_among_them():
    assert len({record["task"] for record in OWN}) == 9


@pytest.mark.skipif(not THEIRS, reason="the paper's instructions are not here (UNISON_EXAMPLES names their folder)")
@pytest.mark.parametrize("record", [r for r in THEIRS if r["tokens"]], ids=lambda r: f"{r['task']}-{len(r['prompt'])}")
def test_the_papers_instructions(record, draw, unison, tmp_path, received):
    run_and_check(record, draw, unison, tmp_path, received)


@pytest.mark.skipif(not THEIRS, reason="the paper's instructions are not here (UNISON_EXAMPLES names their folder)")
@pytest.mark.parametrize("record", THEIRS, ids=lambda r: f"{r['task']}-{len(r['prompt'])}")
def test_the_papers_plans(record, unison, tmp_path):
    (tmp_path / "one.jsonl").write_text(json.dumps({"prompt": record["prompt"]}), encoding="utf-8")
    status, printed, _ = unison("plan", "--jsonl", tmp_path / "one.jsonl")
    planned = json.loads(printed)
    assert (status, planned["task"], planned["tokens"]) == (0, record["task"], record["tokens"])


def test_a_size_and_length_that_the_demo_models_do_not_know(unison, tmp_path):
    text = (
        "Please create a video with a width of 128 pixels and a height of 96 pixels, that is 1 seconds long, "
        "of a lion walking around in its habitat."
    )
    status, _, errors = unison("run", text, "--out", tmp_path / "lion.mp4", "--device", "cpu", "--steps", 10)
    assert status == 0
    info = probe(tmp_path / "lion.mp4", "video")
    assert (info.width, info.height, info.num_frames, info.fps) == (128, 96, 25, 24)
    assert "coloured shapes" in errors and "sampling" in errors
    clip = load_video(tmp_path / "lion.mp4")
    assert np.isfinite(clip).all() and clip.std() > 0.02


def test_an_edit_of_an_unresized_video_is_exact_and_keeps_its_sound(unison, tmp_path, received, draw):
    source, mask = draw("clip.mp4", width=96, height=64), draw("mask.mp4", mask=True, width=96, height=64)
    status, _, errors = unison("run", f"Paint the square in ###{source}### blue. Here is the mask ###{mask}###.",
                               "--out", tmp_path / "out.mp4", "--segment", 17, *SMALL)  # fmt: skip
    assert status == 0, errors
    pixels, kept = torch.from_numpy(load_video(source)), received[0].mask <= 0.5
    assert torch.equal(received[0].video[kept], pixels[kept])
    # The mask moves: its left edge is not the same in the first and the last frame.
    edges = [int(np.flatnonzero((received[0].mask[t] > 0.5).any(0).numpy())[0]) for t in (0, -1)]
    assert edges[0] < 8 and edges[1] > 48


def test_seed_makes_the_same_picture(unison, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert (
            unison("run", "Draw a fox, 32x32 pixels.", "--out", tmp_path / f"{name}.png", "--seed", seed, *SMALL)[0]
            == 0
        )
    a, b, c = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in "abc")
    assert (a == b).all() and (a != c).any()


def test_a_lora_changes_the_picture_by_its_strength(unison, tmp_path):
    file = tmp_path / "some.safetensors"
    generator = torch.Generator().manual_seed(0)
    key = "diffusion_model.blocks.1.ffn.0"
    weight = load_transformer(ensure().vace, device="meta").blocks[1].ffn.net[0].proj.weight
    down, up = (torch.randn(shape, generator=generator) for shape in ((2, weight.shape[1]), (weight.shape[0], 2)))
    save_file({f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up}, file)
    pictures = {}
    for name, given in {"none": (), "nought": ("--lora", f"{file}:0"), "some": ("--lora", f"{file}:0.5")}.items():
        out = tmp_path / f"{name}.png"
        status, _, errors = unison("run", "Draw a red circle, 32x32.", "--out", out, *SMALL, *given)
        assert status == 0, errors
        pictures[name] = np.asarray(Image.open(out))
        stored = json.loads(read_metadata(out)["unison"])
        assert stored.get("loras") == {"none": None, "nought": {file.name: 0.0}, "some": {file.name: 0.5}}[name]
    assert (pictures["none"] == pictures["nought"]).all() and (pictures["none"] != pictures["some"]).any()


def test_progress_begins_before_the_libraries_and_names_each_wait(unison, tmp_path):
    options = [option for option in SMALL if option != "--quiet"]
    status, _, errors = unison("run", "Draw a red circle, 32x32.", "--out", tmp_path / "a.png", *options)
    assert status == 0, errors
    stages = [line.removesuffix(" ...") for line in errors.splitlines() if line.endswith(" ...")]
    assert [stage for stage in stages if stage != "demo models"] == [
        "loading libraries", "loading the planner", "reading the instruction", "loading the engine",
        "encoding sources", "sampling", "decoding",
    ]  # fmt: skip


def test_a_folder_takes_numbered_files(unison, tmp_path):
    for _ in range(2):
        assert unison("run", "Draw a fox, 32x32 pixels.", "--out", tmp_path, *SMALL)[0] == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["unison_0001.png", "unison_0002.png"]


def test_out_through_a_link(unison, tmp_path):
    (tmp_path / "far.png").write_bytes(b"older")
    (tmp_path / "link.png").symlink_to(tmp_path / "far.png")
    assert unison("run", "Draw a fox, 32x32 pixels.", "--out", tmp_path / "link.png", *SMALL)[0] == 0
    assert (tmp_path / "link.png").is_symlink()
    assert load_image(tmp_path / "far.png").shape == (32, 32, 3)


def test_explicit_fps_and_names_with_spaces(unison, tmp_path):
    out = tmp_path / "with space" / "clip.mp4"
    assert unison("run", "Film a fox, 32x32 pixels, 0.2 seconds.", "--out", out, "--set", "fps=12", *SMALL)[0] == 0
    assert probe(out, "video").fps == 12


def test_a_source_of_fractional_rate(unison, tmp_path, draw):
    source = tmp_path / "film.mp4"
    write_video(source, scene(96, 64, 13), Fraction(24000, 1001))
    mask = draw("mask.png", mask=True)
    out = tmp_path / "out.mp4"
    assert (
        unison("run", f"The mask is ###{mask}###. Remove the square from ###{source}###.", "--out", out, *SMALL)[0] == 0
    )
    assert float(probe(out, "video").fps) == pytest.approx(24000 / 1001, rel=1e-5)
