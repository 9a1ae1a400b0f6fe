"""The whole road of docs/training.md by its own commands, on the embedded models, killed in the middle and gone on.

The commands are copied out of the page. What is done to them is `SHORTER` (options behind them, of which the last
counts) and `WORDS`, and nothing else: an hour's training becomes four steps, a fox the circle that the models know.
"""

import importlib
import json
import multiprocessing
import os
import re
import shlex
import shutil
import signal
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from safetensors.torch import load_file

from unison_backend.cli import main
from unison_backend.demo import set as demo
from unison_backend.media.write import write_image, write_video
from unison_backend.training.log import read_log
from unison_backend.training.loop import Fit

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="a command is a fork, so that PyTorch is read once")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "training.md"
LORA = demo.ensure().lora
SHORTER = {
    "data planning": ["--count", "24"],
    # A planner of four steps has learned nothing: these go on from the embedded one's.
    "train planner": [*["--steps", "4", "--save-every", "2", "--batch", "2", "--keep", "1", "--start"], str(LORA)],
    "run": ["--steps", "2", "--seed", "1"],
    # Of so few pairs the page's 5 % are none.
    "train projector": ["--steps", "4", "--save-every", "2", "--hidden", "32", "--held-out", "0.2"],
}
WORDS = {"fox": "circle", "640x480": "64x64", "2 second": "9 frame"}
HEAVY = (
    "training.planning_lora", "training.projector_run", "planner.qwen.planner", "planner.qwen.merging",
    "engine.engine", "conditioning.text_encoder",
)  # fmt: skip
BASE, MODELS = "Qwen2.5-VL-3B-Instruct", Path("ComfyUI/models")


def page():
    text = PAGE.read_text(encoding="utf-8")
    for word, ours in WORDS.items():
        text = text.replace(word, ours)
    return text


def commands():
    """The page's commands up to its chapter about several GPUs, as arguments, shortened."""
    blocks = re.findall(r"^```\n(.*?)^```", page().split("\n## Several GPUs")[0], re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("unison ")]
    return [shorter(shlex.split(line)[1:]) for line in lines]


def shorter(arguments):
    added = [SHORTER[key] for key in (arguments[0], " ".join(arguments[:2])) if key in SHORTER]
    is_question = arguments[0] == "run" and "--out" not in arguments
    return [*arguments, *([] if is_question else [word for more in added for word in more])]


def lay_out(folder):
    """What the page's commands name: the base, a ComfyUI's models, and the pairs with their files."""
    files = demo.ensure()
    shutil.copytree(files.planner, folder / BASE)
    for name, file in (
        ("diffusion_models/wan2.1_vace_1.3B_fp16", files.vace),
        ("vae/wan_2.1_vae", files.vae),
        ("text_encoders/umt5_xxl_fp16", files.text_encoder),
    ):
        place = folder / MODELS / f"{name}.safetensors"
        place.parent.mkdir(parents=True)
        place.symlink_to(file)
    pairs = [line for line in page().splitlines() if line.startswith('{"prompt"')]
    (folder / "pairs.jsonl").write_text("\n".join(pairs), encoding="utf-8")
    for name in set(re.findall(r"[\w-]+\.(?:png|jpg|mp4)", "\n".join(pairs))):
        draw(folder / name)


def draw(path):
    picture = Image.new("RGB", (64, 64), "black" if path.stem == "mask" else "blue")
    ImageDraw.Draw(picture).ellipse((16, 16, 48, 48), fill="white" if path.stem == "mask" else "red")
    pixels = np.asarray(picture, dtype=np.float32) / 255
    if path.suffix == ".mp4":
        write_video(path, np.stack([np.roll(pixels, step, 1) for step in range(9)]), Fraction(24))
    else:
        write_image(path, pixels)


def run(folder, arguments, *, killed=False):
    """What a command says. killed: the process ends by SIGKILL as soon as its training has saved a state."""
    log = folder / "said.txt"
    process = multiprocessing.get_context("fork").Process(target=inside, args=(folder, arguments, log, killed))
    process.start()
    process.join()
    said = log.read_text(encoding="utf-8")
    assert process.exitcode == (-signal.SIGKILL if killed else 0), said
    return said


def inside(folder, arguments, log, killed):
    os.chdir(folder)
    sys.stdout = sys.stderr = log.open("w", encoding="utf-8")
    if killed:
        save = Fit.save

        def save_and_die(fit):
            save(fit)
            os.kill(os.getpid(), signal.SIGKILL)

        Fit.save = save_and_die
    status = main(arguments)
    sys.stdout.flush()
    os._exit(status)


def renamed(arguments, out):
    return [out if before == "--out" else word for before, word in zip(["", *arguments], arguments, strict=False)]


def steps(folder):
    return [row["step"] for row in read_log(folder)]


@pytest.fixture(scope="module")
def road(tmp_path_factory):
    """The folder in which the page was walked, and what each command said, by its beginning."""
    for module in HEAVY:
        importlib.import_module(f"unison_backend.{module}")  # once, here, not in every fork
    folder = tmp_path_factory.mktemp("road")
    lay_out(folder)
    said = {}
    for arguments in commands():
        if arguments[0] == "train":
            if arguments[1] == "planner":
                run(folder, renamed(arguments, "unbroken"))
            run(folder, arguments, killed=True)
        said[" ".join(arguments[: 2 if arguments[0] in ("data", "train", "eval") else 1]), len(said)] = run(
            folder, arguments
        )
        if arguments[0] == "run" and "--out" not in arguments:
            alone = arguments[: arguments.index("--planner-lora")]
            said["the base's answer", -1] = run(folder, alone)
    return folder, said


def told(said, name):
    return [text for (key, _), text in said.items() if key == name]


def test_the_page_leads_from_data_to_pictures():
    names = [
        " ".join(arguments[:2]) if arguments[0] in ("data", "train", "eval") else arguments[0]
        for arguments in commands()
    ]
    road = ["data planning", "data planning", "train planner", "eval planner", "run", "run", "merge", "plan"]
    assert names == [*road, "train projector", "run"]


def test_a_killed_lora_ends_with_the_weights_of_an_unbroken_one(road):
    folder, said = road
    one, other = (
        load_file(folder / name / "adapter" / "adapter_model.safetensors") for name in ("planner", "unbroken")
    )
    start = load_file(LORA / "adapter_model.safetensors")
    assert one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)
    assert any(not one[name].equal(start[name]) for name in one)
    assert steps(folder / "planner") == steps(folder / "unbroken") == [4]
    (table,) = told(said, "eval planner")
    assert "| | qwen | rules |" in table and "of 24, " in table


def test_the_lora_plans_and_the_base_answers(road):
    folder, said = road
    (planned,) = told(said, "plan")
    assert "<BORES>64,64<EORES><CFI>" in planned
    _, answer, _ = told(said, "run")
    assert answer.splitlines()[-1] == said["the base's answer", -1].splitlines()[-1] != ""
    assert (folder / "planner-merged" / "model.safetensors").is_file()


def test_a_killed_projector_goes_on_without_encoding_anew_and_changes_pictures(road):
    folder, said = road
    (trained,) = told(said, "train projector")
    pairs = len((folder / "pairs.jsonl").read_text(encoding="utf-8").splitlines())
    assert f"0 samples were encoded, {pairs} were there already" in trained and "held out: 1 of " in trained
    assert steps(folder / "projector") == [4]
    pictures = [np.asarray(Image.open(folder / name)) for name in ("circle.png", "projected.png")]
    assert [picture.shape for picture in pictures] == [(64, 64, 3)] * 2
    assert not np.array_equal(*pictures)
    samples = list((folder / "projector" / "samples").iterdir())
    assert len(samples) == pairs and json.loads((folder / "planner" / "adapter" / "adapter_config.json").read_text())
