"""What `--comfy` refuses before anything is made, against a server that only looks like a ComfyUI."""

import pytest

from unison_backend.cli import main

from ..comfy_server import Comfy, combo, serving

RED_CIRCLE = "Create an image of a red circle"


@pytest.fixture
def comfy():
    with serving(Comfy()) as running:
        yield running


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--vace", "mine.safetensors"], "has no vace 'mine.safetensors'"),
        (["--offload", "model"], "--offload: of the engine here"),
        (["--vae-dtype", "bf16", "--no-vae-tiled"], "--vae-dtype, --vae-tiled: of the engine here"),
        (["--cfg-low", "2"], "--cfg-low: of the engine here"),
        (["--lora-high", "a.safetensors"], "--lora-high: of the engine here"),
        (["--preset", "fast"], "name the LoRA that the server has"),
        (["--gpus", "2"], "does not go with --comfy"),
    ],
)
def test_options_that_mean_nothing_there(comfy, options, said, capsys, tmp_path):
    assert main(["run", RED_CIRCLE, "--comfy", comfy.url, "--out", str(tmp_path / "a.png"), *options]) == 2
    assert said in capsys.readouterr().err
    assert comfy.graphs == [] and list(tmp_path.iterdir()) == []


def test_frames_as_pictures_are_not_what_a_server_sends(comfy, capsys, tmp_path):
    words = "Create a video of a red circle moving"
    assert main(["run", words, "--comfy", comfy.url, "--out", str(tmp_path / "%04d.png")]) == 2
    assert "the server sends an H.264 video" in capsys.readouterr().err
    assert comfy.graphs == [] and list(tmp_path.iterdir()) == []


def test_an_edit_without_a_mask_takes_a_detector_and_a_segmenter_there(comfy, capsys, tmp_path):
    from PIL import Image

    Image.new("RGB", (64, 64)).save(tmp_path / "room.png")
    words = f"Change the dog in ###{tmp_path / 'room.png'}### to a cat"
    arguments = ["run", words, "--comfy", comfy.url, "--out", str(tmp_path / "a.png"), "--quiet"]
    assert main(arguments) != 0
    assert "finding 'dog' takes a detector and a segmenter" in capsys.readouterr().err
    assert comfy.graphs == []
    comfy.nodes |= combo("UnisonLoadDetector", "detector", ["dino"]) | combo("UnisonLoadSegmenter", "segmenter", ["s"])
    assert main(arguments) == 0
    finders = {name: node["inputs"] for name, node in comfy.graphs[0].items() if name.startswith("load_")}
    assert finders == {"load_detector": {"detector": "dino"}, "load_segmenter": {"segmenter": "s"}}
    assert (tmp_path / "a.png").is_file()
