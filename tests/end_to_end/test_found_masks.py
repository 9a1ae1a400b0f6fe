"""Masks found from words on the command line, on a tiny detector and segmenter with random weights."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TINY = Path(__file__).resolve().parents[1] / "unit" / "tiny_annotators.py"
STEPS = ("--steps", "1", "--quiet")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A models folder with a detector and a segmenter in it."""
    spec = importlib.util.spec_from_file_location("tiny_annotators", TINY)
    tiny = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)
    folder = tmp_path_factory.mktemp("models")
    return {"dino": tiny.make_detector(folder / "dino"), "sam": tiny.make_segmenter(folder / "sam")}


@pytest.fixture
def picture(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "a.png"
    Image.fromarray(rng.integers(0, 255, (64, 96, 3), dtype=np.uint8)).save(path)
    return path


def named(models):
    return ("--detector", models["dino"], "--segmenter", models["sam"])


def test_an_edit_finds_what_it_names(unison, models, picture, tmp_path):
    out, kept = tmp_path / "o.png", tmp_path / "kept"
    status, _, errors = unison("run", f"Make the cat in ###{picture}### white.", "--out", out, "--threshold", "0",
                               "--keep-sources", kept, *named(models), *STEPS)  # fmt: skip
    if status:  # random weights may cut out nothing; then that is what is said
        assert status == 2 and "nothing in its box stands out" in errors
        return
    assert "'cat' found in frame 0" in errors
    mask = np.asarray(Image.open(kept / "mask_0001.png"))
    assert set(np.unique(mask)) == {0, 255}
    assert out.is_file()


def test_nothing_found_names_phrase_score_and_threshold(unison, models, picture, tmp_path):
    status, _, errors = unison("run", f"Make it white ###{picture}###.", "--mask-phrase", "blue horse", "--threshold", "1",
                               "--out", tmp_path / "o.png", *named(models), *STEPS)  # fmt: skip
    assert status == 2
    assert "the best match for 'blue horse' scored 0." in errors and "below 1" in errors
    assert not (tmp_path / "o.png").exists()


def test_without_a_target_it_offers_masks_and_phrases(unison, picture, tmp_path):
    out = tmp_path / "o.png"
    status, _, errors = unison("run", f"Take it away ###{picture}###.", "--out", out, *STEPS)
    assert status == 2 and not out.exists()
    assert picture.name in errors and "what to change in it cannot be read" in errors
    assert all(option in errors for option in ("--mask FILE", "--mask-phrase", "main", "'the whole frame'"))


def test_the_main_noun_is_looked_for_on_request(unison, models, picture, tmp_path):
    words = f"Put a hat on the dog in ###{picture}###."
    status, printed, _ = unison("plan", words, "--mask-phrase", "main", "--json")
    assert status == 0 and json.loads(printed)["target"] == "dog"
    status, _, errors = unison("run", words, "--mask-phrase", "main", "--threshold", "1", "--out", tmp_path / "o.png",
                               *named(models), *STEPS)  # fmt: skip
    assert status == 2 and "the best match for 'dog' scored 0." in errors
    status, _, errors = unison("plan", f"Make it white ###{picture}###.", "--mask-phrase", "main")
    assert status == 2 and "no noun can be read from" in errors


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("Turn ###{}### into a watercolor.", ("--mask-phrase", "the whole frame")),
        ("Make ###{}### white.", ("--mask-phrase", "the whole frame")),
    ],
)
def test_the_whole_frame_takes_no_models(unison, picture, tmp_path, words, options):
    out, kept = tmp_path / "o.png", tmp_path / "kept"
    words = words.format(picture)
    status, printed, _ = unison("plan", words, *options)
    assert status == 0 and f"because  target: the whole frame of {picture} is made anew" in printed
    status, _, errors = unison("run", words, *options, "--out", out, "--keep-sources", kept, *STEPS)
    assert status == 0 and out.is_file()
    assert "note: the mask is the whole frame: VACE repaints all of" in errors
    assert set(np.unique(np.asarray(Image.open(kept / "mask_0001.png")))) == {255}


def test_without_the_models_it_says_what_it_takes(unison, picture, tmp_path):
    status, _, errors = unison("run", f"Make the cat in ###{picture}### white.", "--out", tmp_path / "o.png", *STEPS)
    assert status == 1 and "finding 'cat' takes a detector and a segmenter" in errors
    status, _, errors = unison("run", f"Make the cat in ###{picture}### white.", "--out", tmp_path / "o.png",
                               "--detector", tmp_path / "nowhere", *STEPS)  # fmt: skip
    assert status == 2 and "does not exist" in errors
