"""Drawn media and a way to run the command line inside the test process."""

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unison_backend import cli
from unison_backend.media.write import write_video


def examples():
    """The folder of the paper's and the reference's own instructions and inputs, where a checkout has it beside it."""
    named = os.environ.get("UNISON_EXAMPLES")
    folder = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "examples"
    return folder if (folder / "planning.jsonl").is_file() else None


def scene(width, height, frames):
    """A gradient with a bright square that moves to the right: [T, H, W, 3] float32."""
    rows, columns = np.mgrid[0:height, 0:width]
    clip = np.zeros((frames, height, width, 3), np.float32)
    clip[..., 0], clip[..., 1], clip[..., 2] = columns / width, rows / height, 0.4
    for t, mask in enumerate(moving_mask(width, height, frames)[..., 0] > 0.5):
        clip[t][mask] = (0.9, 0.8, 0.1)
    return clip


def moving_mask(width, height, frames):
    """White where the scene's square is, black elsewhere."""
    clip = np.zeros((frames, height, width, 3), np.float32)
    size = min(width, height) // 3
    for t in range(frames):
        left = (width - size) * t // max(1, frames - 1)
        clip[t, size : 2 * size, left : left + size] = 1
    return clip


@pytest.fixture
def draw(tmp_path):
    """`draw("a.png")`, `draw("m.mp4", mask=True)`: a file with the scene or its mask."""

    def drawn(name, *, mask=False, width=96, height=64, frames=17, fps=8):
        path = tmp_path / name
        still = path.suffix != ".mp4"
        clip = (moving_mask if mask else scene)(width, height, 1 if still else frames)
        if still:
            Image.fromarray((clip[0] * 255).round().astype(np.uint8)).save(path)
        else:
            write_video(path, clip, Fraction(fps))
        return path

    return drawn


@pytest.fixture
def unison(capsys):
    """Run `unison ...`: status, stdout, stderr."""

    def run(*arguments):
        try:
            status = cli.main([str(a) for a in arguments])
        except SystemExit as stop:
            status = stop.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def clip(tmp_path):
    """A video of nine frames."""
    path = tmp_path / "clip.mp4"
    write_video(path, scene(32, 32, 9), Fraction(12))
    return path
