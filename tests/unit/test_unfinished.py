"""Files on their way: whose they are, what dead runs leave, numbers, links, places that cannot be written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from unison_backend import unfinished
from unison_backend.errors import MediaError
from unison_backend.files import check_place, new_file, replacing

DEAD = 2**31 - 2  # above the largest number that a system gives to a process


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "_swept", set())


def left_by(folder: Path, process: int, ending: str = ".png", *, machine: str | None = None) -> Path:
    """What a process with that number was writing."""
    path = folder / f".unison-{machine or unfinished._machine()}-{process}-0123456789ab{ending}"
    path.write_bytes(b"half")
    return path


def write(path: Path, text: str = "new") -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_dead_processes_left_goes_with_the_next_file(tmp_path: Path) -> None:
    left_by(tmp_path, DEAD)
    left_by(tmp_path, DEAD, ".mp4")
    folder = tmp_path / f".unison-{unfinished._machine()}-{DEAD}-00000000000a"
    (folder / "deep").mkdir(parents=True)
    write(tmp_path / "a.png")
    assert names(tmp_path) == ["a.png"]


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    """Files of living processes, of other machines, of other programs, and links."""
    living = left_by(tmp_path, os.getppid())
    own = left_by(tmp_path, os.getpid(), ".mp4")
    other = left_by(tmp_path, DEAD, machine="0badcafe")
    foreign = [tmp_path / name for name in (".unison-notes", ".0123456789abcdef.png", f".unison-1234-{DEAD}-ab.png")]
    for path in foreign:
        path.write_bytes(b"mine")
    target = tmp_path / "kept"
    target.mkdir()
    link = left_by(tmp_path, DEAD, ".link")
    link.unlink()
    link.symlink_to(target)
    before = names(tmp_path)
    write(tmp_path / "a.png")
    assert names(tmp_path) == sorted([*before, "a.png"])
    assert all(path.exists() for path in (living, own, other, target, *foreign))


def test_forgotten_files_and_numbers_given_again(tmp_path: Path) -> None:
    """A day without a byte, of another machine; a process that began long behind the file's last byte."""
    long_ago = time.time() - 2 * 86400
    for path in (left_by(tmp_path, DEAD, machine="0badcafe"), left_by(tmp_path, os.getpid())):
        os.utime(path, (long_ago, long_ago))
    write(tmp_path / "a.png")
    assert names(tmp_path) == ["a.png"]


WRITER = """
import sys, time
from pathlib import Path
from unison_backend.files import replacing
with replacing(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"half")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_a_writer_that_is_killed(tmp_path: Path) -> None:
    """Killed while writing: the older file is whole, and the next writer removes the half one."""
    path = tmp_path / "a.png"
    path.write_bytes(b"older")
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "writing\n"
    write(tmp_path / "b.png")
    assert len(names(tmp_path)) == 3  # it lives: its file stays
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    unfinished._swept.clear()
    write(tmp_path / "b.png")
    assert names(tmp_path) == ["a.png", "b.png"] and path.read_bytes() == b"older"


def test_ending_at_once_removes_what_is_not_finished(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with pytest.raises(MediaError), replacing(path) as temporary:
        temporary.write_bytes(b"half")
        unfinished.remove_own()
        assert names(tmp_path) == []
    assert names(tmp_path) == []


# ---- numbers ---------------------------------------------------------------------------------------------------------


def numbered(folder: Path, text: str, ending: str = ".png") -> Path:
    with new_file(folder / f"unison{ending}", "number") as new:
        new.temporary.write_text(text)
    return new.path


def test_numbers_go_on_and_fill_gaps(tmp_path: Path) -> None:
    assert numbered(tmp_path / "new", "a").name == "unison_0001.png"
    for name in ("unison_0001.mp4", "unison_0003.png"):
        (tmp_path / name).write_bytes(b"older")
    (tmp_path / "unison_0004.png").symlink_to(tmp_path / "nothing")
    assert [numbered(tmp_path, "b").name for _ in range(2)] == ["unison_0002.png", "unison_0005.png"]
    assert (tmp_path / "unison_0003.png").read_bytes() == b"older"
    assert not (tmp_path / "nothing").exists()


def test_runs_at_once_get_a_number_each(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        paths = list(pool.map(lambda number: numbered(tmp_path, str(number)), range(64)))
    assert len(set(paths)) == 64
    assert {path.read_text() for path in paths} == {str(number) for number in range(64)}
    assert len(names(tmp_path)) == 64


def test_a_number_whose_file_fails_is_free_again(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_file(tmp_path / "unison.png", "number") as new:
        new.temporary.write_text("half")
        raise RuntimeError
    assert names(tmp_path) == []


# ---- links and places ------------------------------------------------------------------------------------------------


def test_through_a_link(tmp_path: Path) -> None:
    """The file that a link leads to gets the bytes, there or not, whatever it is called; the link stays."""
    (tmp_path / "far").mkdir()
    for target in (tmp_path / "far" / "old.bin", tmp_path / "far" / "new.bin"):
        link = tmp_path / f"{target.stem}.png"
        link.symlink_to(target)
        (tmp_path / "far" / "old.bin").write_bytes(b"older")
        with new_file(link, "link") as new:
            new.temporary.write_bytes(b"new")
        assert link.is_symlink() and target.read_bytes() == b"new" and new.path == target
    assert names(tmp_path / "far") == ["new.bin", "old.bin"]


def test_a_link_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "b.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    with pytest.raises(MediaError, match="leads to itself"):
        check_place(tmp_path / "a.png", "link")


@pytest.mark.skipif(sys.platform == "win32", reason="no devices with names of their own")
def test_devices_are_not_replaced(tmp_path: Path) -> None:
    """Not even by those who may: replacing /dev/null breaks the machine."""
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "null.png").symlink_to("/dev/null")
    for name in ("pipe.png", "null.png"):
        with pytest.raises(MediaError, match="device or a pipe"):
            check_place(tmp_path / name, "link")
        with pytest.raises(MediaError, match="device or a pipe"), new_file(tmp_path / name, "link"):
            pass
    assert Path("/dev/null").is_char_device()


def test_places_are_looked_at_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(MediaError, match="cannot be written"):
        check_place(tmp_path / "file" / "deep" / "a.png")
    with pytest.raises(MediaError, match="is a folder"):
        check_place(tmp_path / "folder.png")
    check_place(tmp_path / "new" / "deep" / "a.png")
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr(os, "access", lambda *_: False)  # a user who may do anything runs these tests, too
    with pytest.raises(MediaError, match="may not be written"):
        check_place(tmp_path / "new" / "a.png")
