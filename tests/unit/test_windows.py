"""Windows' paths and files: drive letters, backslashes, colons in names, a target that another program has open."""

import errno
import sys
from pathlib import Path

import numpy as np
import pytest

from unison_backend.errors import MediaError
from unison_backend.files import replacing, writing
from unison_backend.media.write import write_image
from unison_backend.plan.kinds import kind_of
from unison_backend.plan.prompt import parse_paths

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    "path",
    [
        r"C:\Users\Jo Doe\Pictures\photo 1.PNG",
        "C:/Users/Jo/photo.png",
        r"\\server\share\photo.jpeg",
        r"..\photo.webp",
        r"D:\footage\clip.final.mp4",
        r"\\?\C:\very\long\clip.MOV",
    ],
)
def test_a_path_in_an_instruction_is_kept_as_it_is(path):
    (medium,) = parse_paths(f"Describe ###{path}### in one sentence.").media
    assert medium.path == path and medium.label == path
    assert medium.kind == kind_of(path) == ("video" if path.lower().endswith(("mp4", "mov")) else "image")


def test_drive_letters_and_fields_are_not_mixed_up():
    prompt = parse_paths(r"Make ###C:\a.png### like ###D:\b.png###, ratio 16:9.")
    assert [medium.path for medium in prompt.media] == [r"C:\a.png", r"D:\b.png"]
    assert prompt.text == "Make <IMGPAD> like <IMGPAD>, ratio 16:9."


@pytest.mark.skipif(sys.platform != "win32", reason="only Windows has drive letters and reads backslashes")
def test_a_backslash_path_is_read(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    from unison_backend.media.probe import probe

    assert probe(Path(str(tmp_path / "a.png").replace("/", "\\"))).width == 4


def windows_error(number, winerror):
    """What Windows raises; elsewhere the number that only it has is put on."""
    error = OSError(number, "the process cannot access the file")
    error.winerror = winerror
    return error


@pytest.mark.parametrize("winerror", [32, 33])
def test_a_target_that_another_program_has_open(tmp_path, monkeypatch, winerror):
    """Windows renames over no open file. The old content stays, and nothing is left beside it."""
    target = tmp_path / "out.png"
    target.write_bytes(b"old")

    def refused(*_):
        raise windows_error(errno.EACCES, winerror)

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(MediaError, match=r"out\.png is open in another program: close it there"):
        write_image(target, np.zeros((4, 4, 3), np.uint8))
    assert target.read_bytes() == b"old" and list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(sys.platform != "win32", reason="elsewhere an open file may be replaced")
def test_a_target_that_is_really_open(tmp_path):
    target = tmp_path / "out.png"
    target.write_bytes(b"old")
    with target.open("rb"), pytest.raises(MediaError, match=r"out\.png"):
        write_image(target, np.zeros((4, 4, 3), np.uint8))
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("name", ["a:b.png", "what?.png", 'say "x".png'])
def test_a_name_that_the_system_refuses(tmp_path, name):
    """Colons and other marks that Windows has no names with: the sentence holds the name."""
    with pytest.raises(MediaError) as caught, writing(tmp_path / name):
        raise windows_error(errno.EINVAL, 123)
    assert name in str(caught.value) and "choose another name" in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
def test_a_colon_in_a_name_is_just_a_letter_elsewhere(tmp_path):
    with replacing(tmp_path / "at 12:30.png") as temporary:
        temporary.write_bytes(b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["at 12:30.png"]
