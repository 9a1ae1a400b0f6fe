"""GIF, WebP and PNG of several frames: videos with their own times, or their first frame."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unison_backend.batch.lines import _filled
from unison_backend.errors import MediaError
from unison_backend.media.black_and_white import Look
from unison_backend.media.from_files import FileMedia
from unison_backend.media.moving import is_moving, shown_kind
from unison_backend.media.pictures import load_image
from unison_backend.media.probe import iter_frames, probe
from unison_backend.pipeline.planning import make_plan
from unison_backend.plan.prompt import IMGPAD, Medium, parse_paths
from unison_backend.sources.given import GivenSources

pytestmark = pytest.mark.fast

NAMES = ("a.gif", "a.webp", "a.png", "b.jpg")
SHADES = (40, 120, 200)


def animation(path: Path, durations: Any = (100, 250, 40), **options: Any) -> Path:
    """Three frames of one grey each with a white square that moves, 48x32; a GIF under a strange name."""
    frames = []
    for number, shade in enumerate(SHADES):
        pixels = np.full((32, 48, 3), shade, np.uint8)
        pixels[8:16, 8 + 10 * number : 16 + 10 * number] = 255
        frames.append(Image.fromarray(pixels))
    form = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG"}.get(path.suffix, "GIF")
    lossless = {"lossless": True} if form == "WEBP" else {}
    save: dict[str, Any] = {"append_images": frames[1:], "duration": durations, "loop": 0} | lossless | options
    frames[0].save(path, format=form, save_all=True, **save)
    return path


@pytest.mark.parametrize("name", NAMES)
def test_frames_and_their_times(tmp_path: Path, name: str) -> None:
    path = animation(tmp_path / name)
    assert is_moving(path) and shown_kind(path) == "video"
    info = probe(path, "video")
    assert (info.kind, info.width, info.height, info.notes) == ("video", 48, 32, ())
    assert info.starts == (0, Fraction(1, 10), Fraction(35, 100))
    assert info.duration == Fraction(39, 100)
    shown = list(iter_frames(path))
    assert [round(float(frame[0, 0, 0]) * 255) for frame in shown] == pytest.approx(SHADES, abs=2)
    assert [int((frame[12, :, 0] > 0.95).argmax()) for frame in shown] == [8, 18, 28]
    some = list(iter_frames(path, [1, 1, 2]))
    assert all((a == b).all() for a, b in zip(some, [shown[1], shown[1], shown[2]], strict=True))
    with pytest.raises(MediaError, match="has 3 frames, there is no frame 3"):
        list(iter_frames(path, [3]))


@pytest.mark.parametrize("name", NAMES)
def test_as_a_picture_the_first_frame_with_a_note(tmp_path: Path, name: str) -> None:
    path = animation(tmp_path / name)
    assert probe(path, "image").notes == ("it moves: the first of 3 frames is taken",)
    assert round(float(load_image(path)[0, 0, 0]) * 255) == pytest.approx(SHADES[0], abs=2)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.jpg", "a.tiff"])
def test_a_still_stays_one(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    Image.new("RGB", (48, 32), "red").save(path)
    assert not is_moving(path) and shown_kind(path) == "image" and probe(path, "image").notes == ()
    with pytest.raises(MediaError, match="is a picture"):
        probe(path, "video")


def test_pages_are_no_motion(tmp_path: Path) -> None:
    Image.new("RGB", (48, 32)).save(tmp_path / "a.tiff", save_all=True, append_images=[Image.new("RGB", (48, 32))])
    assert not is_moving(tmp_path / "a.tiff")


def test_a_still_of_its_own_is_no_frame(tmp_path: Path) -> None:
    cover = Image.new("RGB", (48, 32), "blue")
    frames = [Image.new("RGB", (48, 32), colour) for colour in ("red", "lime")]
    cover.save(tmp_path / "a.png", save_all=True, default_image=True, append_images=frames, duration=200)
    info, shown = probe(tmp_path / "a.png", "video"), list(iter_frames(tmp_path / "a.png"))
    assert (info.num_frames, info.duration) == (2, Fraction(2, 5))
    assert [tuple(frame[0, 0]) for frame in shown] == [(1, 0, 0), (0, 1, 0)]
    assert tuple(load_image(tmp_path / "a.png")[0, 0]) == (0, 0, 1)


def test_frames_without_a_time(tmp_path: Path) -> None:
    info = probe(animation(tmp_path / "a.gif", durations=[0, 10, 30]), "video")
    assert (info.starts, info.duration) == ((0, Fraction(1, 10), Fraction(1, 5)), Fraction(23, 100))
    assert "shown for 100 ms" in info.notes[0]


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    frames = [Image.new("RGBA", (48, 32), (200, 0, 0, alpha)) for alpha in (255, 0)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True, duration=50)
    assert [round(float(frame[0, 0, 1])) for frame in iter_frames(tmp_path / "a.webp")] == [0, 1]


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_a_damaged_one_is_told(tmp_path: Path, name: str) -> None:
    path = animation(tmp_path / name)
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(MediaError, match=name):
        if is_moving(path):
            list(iter_frames(path))
        probe(path, "video")


@pytest.mark.parametrize(
    ("text", "task", "role"),
    [
        ("Make the sky red in ###{}###.", "video_editing", "source"),
        ("What happens in ###{}###?", "video_understanding", "question"),
        ("A video that follows the motion of ###{}###: a robot dances.", "video_control", "control"),
        ("A video of the cat in ###{}### on a beach.", "video_reference", "still"),
        ("Animate this picture: ###{}### a dog runs", "image_to_video", "still"),
    ],
)
@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_the_role_says_what_it_is(tmp_path: Path, name: str, text: str, task: str, role: str) -> None:
    path = animation(tmp_path / name)
    planned = make_plan(parse_paths(text.format(path)))
    told = [reason.text for reason in planned.spec.reasons if "it moves: the first of 3 frames" in reason.text]
    assert planned.plan.task == task
    assert planned.plan.media == planned.prompt.kinds == (("image",) if role == "still" else ("video",))
    assert [str(path) in line for line in told] == ([True] if role == "still" else [])
    assert (planned.media.info(0).num_frames == 3) == (role != "still")
    assert (IMGPAD in planned.prompt.text) == (role == "still")


def test_given_files(tmp_path: Path) -> None:
    moves, still = animation(tmp_path / "a.gif"), tmp_path / "s.png"
    Image.new("RGB", (48, 32), "red").save(still)
    words = parse_paths(f"A picture of ###{moves}### in the snow.")
    edit = make_plan(words, given=GivenSources(mask=animation(tmp_path / "m.webp")))
    assert (edit.plan.task, edit.plan.media) == ("video_editing", ("video", "video"))
    control = make_plan(parse_paths("a robot dances"), given=GivenSources(control_file=moves))
    assert (control.plan.task, control.plan.media) == ("video_control", ("video",))
    given = GivenSources(first_frame=moves, references=(moves,))
    frames = make_plan(parse_paths("A video of a robot"), given=given)
    assert frames.plan.media == ("image", "image")
    assert sum("first of 3 frames is taken" in reason.text for reason in frames.spec.reasons) == 2


def test_pads_follow_the_content(tmp_path: Path) -> None:
    path = animation(tmp_path / "a.webp")
    assert _filled(Medium("video"), path) == Medium("video", path=str(path))
    assert _filled(Medium("image"), path) == Medium("image", path=str(path))


def test_black_and_white_frames_are_seen(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.kron(np.eye(2), np.ones((16, 16))).astype(np.uint8) * v) for v in (255, 254)]
    frames[0].save(tmp_path / "m.png", save_all=True, append_images=frames[1:])
    assert FileMedia((Medium("video", path=str(tmp_path / "m.png")),)).look(0) is Look.MASK
