"""A video as numbered pictures: exact, all or none, and never among those of another one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unison_backend.engine.settings import SamplingSettings
from unison_backend.errors import Cancelled, InputError
from unison_backend.media.sequence import check_free, frame_name, is_sequence, write_sequence
from unison_backend.media.write import read_metadata
from unison_backend.pipeline.places import output_path
from unison_backend.pipeline.planning import make_plan
from unison_backend.pipeline.write import write
from unison_backend.plan.prompt import parse_paths
from unison_backend.progress import never, silent


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("%04d.png", "0001.png"),
        ("a_%d.PNG", "a_1.PNG"),
        ("shot %3d!.png", "shot   1!.png"),
        ("x%02d_y.png", "x01_y.png"),
    ],
)
def test_the_names_of_frames(name, first):
    assert is_sequence(Path(name)) and frame_name(Path("in", name), 1) == Path("in", first)


@pytest.mark.parametrize("name", ["a.png", "%04d.mp4", "%d_%d.png", "%s.png", "100%.png"])
def test_what_names_no_frames(name):
    assert not is_sequence(Path(name))


def test_a_video_becomes_its_frames(tmp_path):
    planned = make_plan(parse_paths("Create a 64x64 video of a red circle, 5 frames."))
    out = output_path(tmp_path / "new" / "%04d.png", planned.plan)
    pixels = torch.randint(0, 256, (5, 16, 16, 3), dtype=torch.uint8)
    path, notices = write(out, pixels.float() / 255, planned, SamplingSettings(), silent, never)
    assert path == out and notices == ()
    files = sorted((tmp_path / "new").iterdir())
    assert [file.name for file in files] == [f"{number:04d}.png" for number in range(1, 6)]
    assert all(
        np.array_equal(np.asarray(Image.open(file)), one.numpy()) for file, one in zip(files, pixels, strict=True)
    )
    assert "red circle" in str(read_metadata(files[0])) and not read_metadata(files[1])


def test_a_still_is_one_file_whatever_its_name(tmp_path):
    planned = make_plan(parse_paths("Create a 64x64 picture of a red circle."))
    frames = torch.zeros(1, 16, 16, 3)
    path, _ = write(
        output_path(tmp_path / "%04d.png", planned.plan), frames, planned, SamplingSettings(), silent, never
    )
    assert path.name == "%04d.png" and path.is_file()


def test_all_or_none(tmp_path):
    written = []

    def frames():
        for number in range(4):
            written.append(number)
            yield np.zeros((8, 8, 3), np.uint8)

    with pytest.raises(Cancelled):
        write_sequence(tmp_path / "%d.png", frames(), cancel=lambda: len(written) > 2)
    assert len(written) == 3 and list(tmp_path.iterdir()) == []


def test_frames_of_another_video_are_not_mixed_with(tmp_path):
    (tmp_path / "0014.png").touch()
    (tmp_path / "0014.txt").touch()
    check_free(tmp_path / "a%04d.png")
    check_free(tmp_path / "missing" / "%04d.png")
    with pytest.raises(InputError, match=r"0014.png is there already; name an empty folder"):
        check_free(tmp_path / "%04d.png")


def test_a_picture_for_a_video_names_the_way(tmp_path):
    planned = make_plan(parse_paths("Create a 64x64 video of a red circle, 5 frames."))
    with pytest.raises(InputError, match=r"for its frames, frames/%04d.png"):
        output_path(tmp_path / "a.png", planned.plan)
