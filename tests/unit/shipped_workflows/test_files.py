"""The files: made by scripts/build_workflows.py, named as people search, complete."""

import os
import subprocess
import sys

import pytest
from PIL import Image

from .shipped import API, BUILD, FOLDER, NAMES, ROLES, ROOT, TITLES


@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_script_makes_these_files_with_plain_python(seed):
    """-S: without site-packages. A failure says which file differs; `python scripts/build_workflows.py` writes it."""
    env = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run([sys.executable, "-S", BUILD, "--check"], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_changed_file_is_found(tmp_path):
    for folder in ("scripts", "scripts/workflow_notes", "workflows", "subgraphs", "tests/host/api", "tests/host/data"):
        (tmp_path / folder).mkdir(parents=True)
        for path in (ROOT / folder).glob("*.*"):
            (tmp_path / folder / path.name).write_bytes(path.read_bytes())
    changed = tmp_path / "workflows" / f"{TITLES['unison_demo']}.json"
    changed.write_text(changed.read_text("utf-8").replace("red circle", "green circle"), "utf-8")
    command = [sys.executable, tmp_path / "scripts" / "build_workflows.py"]
    done = subprocess.run([*command, "--check"], capture_output=True, text=True)
    assert done.returncode == 1 and changed.name in done.stdout
    subprocess.run(command, check=True, capture_output=True)
    assert changed.read_bytes() == (FOLDER / changed.name).read_bytes()


def test_the_names_are_these():
    """A title is a file name on every system, short enough for its tile, and says what people search."""
    assert {path.stem for path in FOLDER.glob("*.json")} == set(TITLES.values()) and set(TITLES) == set(ROLES)
    said = " ".join(TITLES.values()).lower()
    for title in TITLES.values():
        assert len(title) <= 45 and not set(title) & set('<>:"/\\|?*'), title
    for words in (
        "text to image",
        "image edit",
        "inpaint",
        "video edit",
        "image to video",
        "animate",
        "controlnet",
        "caption",
    ):
        assert words in said, words


@pytest.mark.parametrize("name", NAMES)
def test_each_has_a_thumbnail(name):
    path = FOLDER / f"{TITLES[name]}.jpg"
    assert path.stat().st_size <= 100 * 1024
    with Image.open(path) as picture:
        assert picture.format == "JPEG" and picture.size == (512, 512)


def test_scripts_and_workflows_are_ascii():
    for path in [*(ROOT / "scripts").glob("*.py"), *FOLDER.glob("*.json"), *API.glob("*.json")]:
        assert path.read_text("utf-8").isascii(), path
