"""What is not understood or cannot be done is said, and no file that was asked for is missing with exit 0."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from unison_backend.media import write
from unison_backend.media.pictures import load_image
from unison_backend.media.probe import probe
from unison_backend.media.video import load_video

STEPS = ("--steps", "2", "--seed", "3", "--quiet")


@pytest.mark.parametrize(("name", "wanted"), [("x.png", "picture"), ("x.mp4", "video"), ("x.WEBP", "picture")])
def test_a_file_for_an_answer_is_refused_before_anything_loads(unison, tmp_path, name, wanted):
    status, out, errors = unison("run", "What is a mask?", "--out", tmp_path / name)
    assert status == 2 and out == ""
    assert f"names a {wanted}" in errors and f"--make {wanted}" in errors
    assert list(tmp_path.iterdir()) == []


def test_what_is_to_come_out_wins(unison, tmp_path):
    status, _, errors = unison(
        "run", "What is a red circle?", "--make", "picture", "--set", "width=64", "height=64",
        "--out", tmp_path / "x.png", *STEPS,
    )  # fmt: skip
    assert status == 0, errors
    assert load_image(tmp_path / "x.png").shape == (64, 64, 3)
    status, out, _ = unison("plan", "--json", "--make", "answer", "Create a picture of a red circle.")
    assert status == 0 and json.loads(out)["task"] == "text_understanding"


def test_a_prompt_without_an_order_makes_a_picture(unison, tmp_path):
    status, _, errors = unison("run", "red circle, 64x64", "--out", tmp_path / "x.png", *STEPS)
    assert status == 0, errors
    assert load_image(tmp_path / "x.png").shape == (64, 64, 3)


def test_a_file_that_stands_as_words_is_pointed_at(unison, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("plain.png")
    status, _, errors = unison("plan", "Make plain.png blue.")
    assert status == 0 and "did you mean ###plain.png###?" in errors
    _, _, errors = unison("plan", "Make ###plain.png### blue, not gone.png.")
    assert "did you mean" not in errors


@pytest.mark.parametrize("form", ['"{}"', "'{}'", "file://{}", "{}"])
def test_paths_as_people_paste_them(unison, tmp_path, form):
    Image.new("RGB", (32, 16)).save(tmp_path / "a b.png")
    path = form.format(tmp_path / "a b.png").replace("a b", "a%20b" if "file:" in form else "a b")
    status, out, errors = unison("plan", "--json", f"Make the sky in ###{path}### red.")
    assert status == 0, errors
    assert json.loads(out)["width"] is not None


def test_the_home_folder(unison, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    Image.new("RGB", (32, 16)).save(tmp_path / "a.png")
    status, out, errors = unison("plan", "--json", "Make the sky in ###~/a.png### red.")
    assert status == 0, errors
    assert json.loads(out)["width"] is not None


def test_words_grow_a_picture_beyond_its_edges(unison, tmp_path):
    Image.fromarray(np.full((32, 32, 3), 200, np.uint8)).save(tmp_path / "a.png")
    status, _, errors = unison(
        "run", f"Outpaint ###{tmp_path / 'a.png'}### to the right by 32 pixels.", "--out", tmp_path / "o.png",
        "--feather", "0", "--keep-sources", tmp_path / "kept", *STEPS,
    )  # fmt: skip
    assert status == 0, errors
    assert "grows to 64x32 (32 pixels right)" in errors
    made = load_image(tmp_path / "o.png")
    width = made.shape[1]
    assert made.shape[1] == 2 * made.shape[0]
    assert np.allclose(made[:, : width // 2 - 2], 200 / 255, atol=0.01)
    assert (np.asarray(Image.open(tmp_path / "kept" / "mask_0001.png"))[:, width // 2 + 2 :] == 255).all()


def test_a_mask_that_marks_what_stays_is_turned_round(unison, tmp_path):
    picture, mask = np.full((32, 32, 3), 90, np.uint8), np.zeros((32, 32), np.uint8)
    mask[:, :16] = 255
    Image.fromarray(picture).save(tmp_path / "a.png")
    Image.fromarray(mask).save(tmp_path / "m.png")
    text = f"Keep the white part of the mask ###{tmp_path / 'm.png'}### as it is, change all the rest of " \
           f"###{tmp_path / 'a.png'}### to a red square."  # fmt: skip
    status, _, errors = unison("run", text, "--out", tmp_path / "o.png", "--feather", "0",
                               "--keep-sources", tmp_path / "kept", *STEPS)  # fmt: skip
    assert status == 0, errors
    assert "marks what stays" in errors
    kept = np.asarray(Image.open(tmp_path / "kept" / "mask_0001.png"))
    half = kept.shape[1] // 2
    assert (kept[:, : half - 2] == 0).all() and (kept[:, half + 2 :] == 255).all()


def test_a_new_look_takes_the_shapes_that_can_be_had(unison, tmp_path):
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[16:48, 16:48] = 220
    Image.fromarray(picture).save(tmp_path / "a.png")
    status, _, errors = unison("run", f"Turn ###{tmp_path / 'a.png'}### into a watercolour.", "--out",
                               tmp_path / "o.png", *STEPS)  # fmt: skip
    assert status == 0, errors
    assert "scribble" in errors and "no depth model here" in errors and "faces and colours may change" in errors
    assert (tmp_path / "o.png").is_file()


def test_a_video_goes_on_with_its_own_frames_in_their_places(unison, tmp_path, clip, monkeypatch):
    written = []
    real = write.write_video

    def keep(path, frames, fps, **options):
        written.append(frames)
        real(path, frames, fps, **options)

    monkeypatch.setattr(write, "write_video", keep)
    order = f"Continue ###{clip}### by 4 frames."
    status, _, errors = unison("run", order, "--out", tmp_path / "o.mp4", *STEPS, "--set", "width=32", "height=32")
    assert status == 0, errors
    assert f"the 9 frames of {clip}, then 4 new ones" in errors
    assert (written[0][:9] == load_video(clip)).all()
    new = written[0][9:]
    assert new.shape == (4, 32, 32, 3) and new.std() > 0.01  # neither grey nor black
    info = probe(tmp_path / "o.mp4", "video")
    assert (info.num_frames, info.fps) == (13, 12)


def test_the_embedded_models_say_when_nothing_they_know_is_asked_for(unison, tmp_path):
    _, _, errors = unison("run", "a castle at dawn, 64x64", "--out", tmp_path / "c.png", *STEPS)
    assert "names none of the shapes that the embedded models know" in errors and "wan_2.1_vae.safetensors" in errors
    _, _, errors = unison("run", "two red circles, 64x64", "--out", tmp_path / "o.png", *STEPS)
    assert "names none of the shapes" not in errors
    assert (tmp_path / "c.png").is_file() and (tmp_path / "o.png").is_file()
    status, answer, errors = unison("run", "What is the capital of France?", "--quiet")
    assert status == 0 and answer.strip()
    assert "never saw: capital, France. Its answer is a guess" in errors and "Qwen2.5-VL" in errors
    _, _, errors = unison("run", "What is the capital of France?", "--planner", "qwen", "--quiet")
    assert "never saw: capital, France. Its answer is a guess" in errors


def test_each_line_of_a_batch_says_so_too(unison, tmp_path):
    asked = ("a castle at dawn, 64x64", "two red circles, 64x64", "What is the capital of France?")
    lines = tmp_path / "lines.jsonl"
    lines.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in asked), encoding="utf-8")
    assert unison("batch", lines, "--out", tmp_path / "out", "--quiet", *STEPS)[0] == 0
    rows = map(json.loads, (tmp_path / "out" / "results.jsonl").read_text(encoding="utf-8").splitlines())
    castle, circles, capital = (" ".join(row["notices"]) for row in sorted(rows, key=lambda row: row["line"]))
    assert "names none of the shapes" in castle and "names none of the shapes" not in circles
    assert "never saw: capital, France" in capital and "`unison doctor`" in capital
