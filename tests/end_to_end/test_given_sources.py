"""Files beside the instruction, mask options, composite and kept sources, on the command line."""

import json
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from unison_backend.media.pictures import load_image
from unison_backend.media.write import write_video

STEPS = ("--steps", "1", "--quiet")


@pytest.fixture
def pictures(tmp_path):
    """A gradient with a yellow square, its mask, and another picture; 96x64 PNGs."""
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, 96)
    pixels[20:40, 30:50] = (240, 220, 20)
    mask = np.zeros((64, 96), np.uint8)
    mask[18:42, 28:52] = 255
    found = {"a": pixels, "mask": mask, "b": pixels[::-1]}
    for name, picture in found.items():
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    return {name: tmp_path / f"{name}.png" for name in found}


def planned(unison, *arguments):
    status, output, errors = unison("plan", "--json", *arguments)
    assert status == 0, errors
    return json.loads(output)


def test_a_given_mask_makes_an_edit_of_anything(unison, pictures):
    for text in ("Make the square green ###{a}###.", "What is this? ###{a}###", "A picture of ###{a}### in the snow."):
        plan = planned(unison, text.format(**pictures), "--mask", pictures["mask"])
        assert (plan["task"], plan["source"], plan["mask"], plan["references"]) == ("image_editing", 0, 1, [])


def test_a_mask_is_turned_round(unison, pictures, tmp_path):
    words = (f"Make the square green ###{pictures['a']}###.", "--mask", pictures["mask"])
    assert [planned(unison, *words, *options)["mask_keeps"] for options in ((), ("--mask-invert",))] == [False, True]
    shown = []
    for number, options in enumerate(((), ("--mask-invert",))):
        kept = tmp_path / f"kept{number}"
        status, _, errors = unison("run", *words, *options, "--out", tmp_path / "o.png", "--keep-sources", kept, *STEPS)
        assert status == 0, errors
        shown.append(np.asarray(Image.open(kept / "mask_0001.png"))[..., 0] > 127)
    assert (shown[0] != shown[1]).all()
    status, _, errors = unison("plan", "Create a picture of a dog.", "--mask-invert")
    assert status == 2 and "nothing is edited here" in errors


def test_a_mask_of_0_and_1_is_said_and_scaled(unison, pictures, tmp_path):
    ones = np.asarray(Image.open(pictures["mask"]).convert("L")) // 255
    Image.fromarray(ones).save(tmp_path / "ones.png")
    words = (f"Make the square green ###{pictures['a']}###.", "--mask", tmp_path / "ones.png")
    status, _, errors = unison("run", *words, "--out", tmp_path / "o.png", *STEPS)
    assert status == 2 and "ones.png (--mask) marks nothing: its brightest value is 1 of 255" in errors
    options = ("--mask-scale", "--out", tmp_path / "o.png", "--keep-sources", tmp_path / "kept", *STEPS)
    status, _, errors = unison("run", *words, *options)
    assert status == 0 and "1 of 255, counts as white" in errors, errors
    assert (np.asarray(Image.open(tmp_path / "kept" / "mask_0001.png"))[..., 0] == ones * 255).all()


def test_the_source_as_its_own_mask_is_refused_by_file(unison, pictures, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    photo = tmp_path / "photo.png"
    Image.fromarray(pixels).save(photo)
    words = (f"Make the square green ###{photo}###.", "--mask", photo)
    status, _, errors = unison("run", *words, "--out", tmp_path / "o.png", *STEPS)
    assert status == 2 and f"the mask {photo} (--mask) is {photo} itself, without a transparent part" in errors


def test_the_alpha_of_the_picture_itself_is_a_mask(unison, pictures, tmp_path):
    pixels = np.asarray(Image.open(pictures["a"]).convert("RGBA")).copy()
    pixels[18:42, 28:52, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "hole.png")
    words = (f"Make the square green ###{pictures['a']}###.", "--mask", tmp_path / "hole.png")
    kept = tmp_path / "kept"
    status, _, errors = unison("run", *words, "--out", tmp_path / "o.png", "--keep-sources", kept, *STEPS)
    assert status == 0 and "hole.png (--mask) is the picture itself with a hole" in errors
    marked = np.asarray(Image.open(kept / "mask_0001.png"))[..., 0] > 127
    assert marked[18:42, 28:52].all() and marked.sum() == 24 * 24


def test_a_phrase_takes_the_place_of_a_mask(unison, pictures):
    plan = planned(unison, f"Make it green ###{pictures['a']}###.", "--mask-phrase", "yellow square")
    assert (plan["target"], plan["mask"], plan["source"]) == ("yellow square", None, 0)


def test_frames_references_and_control_join_the_plan(unison, pictures):
    plan = planned(unison, "Create a video of a dog.", "--first-frame", pictures["a"], "--last-frame", pictures["b"],
                   "--reference", pictures["b"], "--reference", pictures["a"])  # fmt: skip
    assert plan["task"] == "image_to_video"
    assert plan["frames"] == [[2, "first"], [3, "last"]]
    assert plan["references"] == [0, 1]

    plan = planned(unison, "Create a picture of a house.", "--control", pictures["a"], "--control-kind", "depth")
    assert (plan["task"], plan["control"]) == ("image_control", "depth")
    plan = planned(
        unison, f"Draw a house that follows the depth map ###{pictures['a']}###.", "--control", pictures["b"]
    )
    assert (plan["task"], plan["control"], plan["plan"]["media"]) == ("image_control", "map", ["image"])


def test_words_that_ask_for_nothing_make_what_the_files_say(unison, pictures):
    """A bare description says what is to be seen; a file beside it says whether that is a picture or a video."""
    clip = pictures["a"].with_suffix(".mp4")
    write_video(clip, [load_image(pictures["a"])] * 5, Fraction(24))
    for kind, file in (("image", pictures["a"]), ("video", clip)):
        plan = planned(unison, "A robot dancing in a hall.", "--control", file, "--control-kind", "canny")
        assert (plan["task"], plan["control"], plan["plan"]["media"]) == (f"{kind}_control", "canny", [kind])
    plan = planned(unison, "A storm.", "--first-frame", pictures["a"])
    assert (plan["task"], plan["frames"]) == ("image_to_video", [[0, "first"]])
    plan = planned(unison, "A woman with a letter.", "--reference", pictures["a"])
    assert (plan["task"], plan["references"]) == ("image_reference", [0])
    plan = planned(unison, "A woman with a letter.", "--reference", pictures["a"], "--set", "output=video")
    assert (plan["task"], plan["references"]) == ("video_reference", [0])


def test_what_has_nothing_to_belong_to_is_refused(unison, pictures):
    status, _, errors = unison("plan", "Create a picture of a dog.", "--mask", pictures["mask"])
    assert status == 2 and "put one into the instruction" in errors
    for borders in ("1,2,3", "a,b,c,d", "0,0,0,0", "-1,0,0,0", "9999,0,0,0"):
        status, _, errors = unison("plan", f"Extend ###{pictures['a']}###.", f"--outpaint={borders}")
        assert status == 2 and "outpaint is" in errors


def test_an_edit_keeps_the_source_to_the_bit_and_its_sources_as_files(unison, pictures, tmp_path):
    kept = tmp_path / "kept"
    status, _, errors = unison("run", f"Make the square green ###{pictures['a']}###.", "--mask", pictures["mask"],
                               "--out", tmp_path / "o.png", "--keep-sources", kept, "--feather", "0", *STEPS)  # fmt: skip
    assert status == 0, errors
    source, made = load_image(pictures["a"]), load_image(tmp_path / "o.png")
    inside = np.asarray(Image.open(pictures["mask"])) > 127
    assert np.array_equal(made[~inside], source[~inside])
    assert np.abs(made[inside] - source[inside]).mean() > 0.05

    assert sorted(path.name for path in kept.iterdir()) == ["contact_sheet.png", "control_0001.png", "mask_0001.png"]
    control = np.asarray(Image.open(kept / "control_0001.png"))
    assert np.array_equal(control[~inside], np.asarray(Image.open(pictures["a"]))[~inside])
    assert set(np.unique(control[inside])) <= {127, 128}
    assert np.array_equal(np.asarray(Image.open(kept / "mask_0001.png"))[..., 0] > 127, inside)


def test_without_composite_the_picture_is_the_engines_own(unison, pictures, tmp_path):
    text = f"Make the square green ###{pictures['a']}###."
    for name, option in (("on", "--composite"), ("off", "--no-composite")):
        assert (
            unison("run", text, "--mask", pictures["mask"], "--out", tmp_path / f"{name}.png", option, *STEPS)[0] == 0
        )
    on, off = (load_image(tmp_path / f"{name}.png") for name in ("on", "off"))
    assert not np.array_equal(on[:8], off[:8])
    assert np.array_equal(on[24:36, 32:48], off[24:36, 32:48])


def test_outpainting_grows_the_canvas(unison, pictures, tmp_path):
    kept = tmp_path / "kept"
    status, _, errors = unison("run", f"Extend ###{pictures['a']}###.", "--outpaint", "32,0,0,16", "--mask-grow", "2",
                               "--out", tmp_path / "o.png", "--keep-sources", kept, "--feather", "0", *STEPS)  # fmt: skip
    assert status == 0, errors
    made = load_image(tmp_path / "o.png")
    assert made.shape == (80, 128, 3)
    assert np.array_equal(made[:62, 34:], load_image(pictures["a"])[:62, 2:])
    assert (np.asarray(Image.open(kept / "mask_0001.png"))[:62, :34] == 255).all()


def test_bad_options_name_themselves(unison, pictures, tmp_path):
    text = f"Make the square green ###{pictures['a']}###."
    for option, words in ((("--mask-grow", "9999"), "mask grow is 9999"), (("--feather", "-1"), "feather is -1")):
        status, _, errors = unison(
            "run", text, "--mask", pictures["mask"], "--out", tmp_path / "o.png", *option, *STEPS
        )
        assert status == 2 and words in errors, errors
        assert not (tmp_path / "o.png").exists()
