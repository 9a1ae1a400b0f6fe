"""A file from a server: whole, checked, and from where it stopped."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from unison_backend.errors import Cancelled, DownloadError, ResourceError
from unison_backend.weights.transfer import ATTEMPTS, Remote, fetch, part_of

from ..hub_server import COMMIT, Hub, serving

MIB = 1 << 20
CONTENT = os.urandom(5 * MIB + 12345)
NAME, REPOSITORY = "model.safetensors", "owner/name"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub({REPOSITORY: {NAME: CONTENT, "config.json": b"{}\n"}})) as served:
        yield served


@pytest.fixture
def remote(hub: Hub) -> Remote:
    return Remote(
        f"{hub.url}/{REPOSITORY}/resolve/{COMMIT}/{NAME}", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), token="t"
    )


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def at_once(seconds: float) -> None:
    """In place of waiting."""


def test_a_file_comes_whole_and_its_folder_with_it(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    target = tmp_path / "models" / "vae" / "x.safetensors"
    assert fetch(remote, target, lambda *step: seen.append(step)) == len(CONTENT)
    assert target.read_bytes() == CONTENT and files(tmp_path) == [target]
    assert seen[0] == ("x.safetensors", 0, len(CONTENT)) and seen[-1] == ("x.safetensors", len(CONTENT), len(CONTENT))
    assert hub.requests == [(NAME, 0, None)]  # the token stays with the host that it is for


def test_broken_connections_are_gone_on_with(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    hub.break_after = 2 * MIB
    assert fetch(remote, tmp_path / "x", sleep=at_once) == len(CONTENT)
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert hub.starts(NAME) == [0, 2 * MIB, 4 * MIB] and sum(hub.sent) == len(CONTENT)


def test_it_goes_on_in_a_later_call_and_fetches_nothing_twice(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    stop = iter([False, False, False, True])
    with pytest.raises(Cancelled, match="downloading x"):
        fetch(remote, tmp_path / "x", cancel=lambda: next(stop))
    kept = part_of(tmp_path / "x", remote).stat().st_size
    assert 0 < kept < len(CONTENT) and not (tmp_path / "x").exists()
    assert fetch(remote, tmp_path / "x") == len(CONTENT) - kept
    assert hub.starts(NAME) == [0, kept] and files(tmp_path) == [tmp_path / "x"]


def test_a_part_of_another_version_is_not_gone_on_with(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    other = Remote(remote.url, remote.size, "0" * 64)
    part_of(tmp_path / "x", other).write_bytes(b"old")
    fetch(remote, tmp_path / "x")
    assert hub.starts(NAME) == [0] and (tmp_path / "x").read_bytes() == CONTENT


def test_a_server_without_ranges_sends_everything_again(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    hub.ignores_ranges = True
    part_of(tmp_path / "x", remote).write_bytes(CONTENT[:MIB])
    assert fetch(remote, tmp_path / "x") == len(CONTENT)
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_a_server_that_begins_anew_each_time_is_given_up(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    hub.ignores_ranges, hub.break_after = True, MIB
    with pytest.raises(DownloadError, match="the connection ended early"):
        fetch(remote, tmp_path / "x", sleep=at_once)
    assert len(hub.requests) == 1 + ATTEMPTS


def test_what_had_come_whole_is_taken_without_a_request(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    part_of(tmp_path / "x", remote).write_bytes(CONTENT)
    assert fetch(remote, tmp_path / "x") == 0
    assert not hub.requests and (tmp_path / "x").read_bytes() == CONTENT


def test_damage_on_the_way_leaves_nothing(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    hub.damaged.add(NAME)
    with pytest.raises(DownloadError, match=r"x from http.* has the sha256 .*, not .*try again"):
        fetch(remote, tmp_path / "deep" / "x")
    assert files(tmp_path) == []
    hub.damaged.clear()
    assert fetch(remote, tmp_path / "deep" / "x") == len(CONTENT)


def test_a_damaged_part_is_found_out(remote: Remote, tmp_path: Path) -> None:
    part_of(tmp_path / "x", remote).write_bytes(b"\0" * MIB)
    with pytest.raises(DownloadError, match="sha256"):
        fetch(remote, tmp_path / "x")
    assert files(tmp_path) == []


def test_small_files_are_checked_by_gits_sum(hub: Hub, tmp_path: Path) -> None:
    url = f"{hub.url}/{REPOSITORY}/resolve/main/config.json"
    right = hashlib.sha1(b"blob 3\0{}\n").hexdigest()
    assert fetch(Remote(url, 3, blob=right), tmp_path / "config.json") == 3
    with pytest.raises(DownloadError, match="git sum"):
        fetch(Remote(url, 3, blob="0" * 40), tmp_path / "other.json")
    assert files(tmp_path) == [tmp_path / "config.json"]


def test_another_size_is_refused_before_it_is_read(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=rf"is {len(CONTENT)} bytes at .*, not the 77 that are expected"):
        fetch(Remote(remote.url, 77, "0" * 64), tmp_path / "x")
    assert files(tmp_path) == []


def test_a_busy_server_is_asked_again_and_then_given_up(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    waits: list[float] = []
    hub.statuses = [503, 429]
    assert fetch(remote, tmp_path / "x", sleep=waits.append) == len(CONTENT)
    assert waits == [2.0, 4.0]
    hub.statuses = [503] * ATTEMPTS
    part_of(tmp_path / "y", remote).write_bytes(CONTENT[:MIB])
    with pytest.raises(DownloadError, match=r"503 .*what has come is kept"):
        fetch(remote, tmp_path / "y", sleep=at_once)
    assert part_of(tmp_path / "y", remote).stat().st_size == MIB


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (f"/{REPOSITORY}/resolve/{COMMIT}/none.json", r"x has no such file \(404\)"),
        (f"/{REPOSITORY}/resolve/other/{NAME}", r"x has no such revision \(404\)"),
        ("/no/body/resolve/main/x", "x does not exist or is private"),
    ],
)
def test_what_is_not_there_is_said(hub: Hub, path: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=told):
        fetch(Remote(hub.url + path, 3), tmp_path / "new" / "x")
    assert not (tmp_path / "new").exists()


def test_a_closed_repository_takes_a_token(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    hub.gated.add(REPOSITORY)
    with pytest.raises(DownloadError, match=r"accept its licence.*HF_TOKEN"):
        fetch(Remote(remote.url, remote.size, remote.sha256), tmp_path / "x")
    right = Remote(remote.url, remote.size, remote.sha256, token="right")
    assert fetch(right, tmp_path / "x") == len(CONTENT)


def test_nobody_there_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"there is no connection .*HF_ENDPOINT"):
        fetch(Remote("http://127.0.0.1:9/owner/name/resolve/main/x", 3, "0" * 64), tmp_path / "new" / "x")
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit on a file's size")
def test_a_disk_that_fills_up_keeps_what_has_come(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, hard))
    try:
        with pytest.raises(ResourceError, match="the disk is full"):
            fetch(remote, tmp_path / "x")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    kept = part_of(tmp_path / "x", remote).stat().st_size
    assert kept == 2 * MIB
    assert fetch(remote, tmp_path / "x") == len(CONTENT) - kept


def test_two_processes_do_not_write_one_part(remote: Remote, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    part = part_of(tmp_path / "x", remote)
    with part.open("wb") as held:
        held.write(b"a")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(DownloadError, match="is being downloaded by another process"):
            fetch(remote, tmp_path / "x")
