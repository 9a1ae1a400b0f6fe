"""`unison download`, against a server on the loopback address that speaks the hub's routes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from unison_backend import cli
from unison_backend.demo.fallback import resolve_models
from unison_backend.weights import download as downloads
from unison_backend.weights.find import find
from unison_backend.weights.roots import user_folder

from ..hub_server import Hub, serving

MIB = 1 << 20
PROJECTOR = os.urandom(4 * MIB + 999)
SOURCE = "ali-vilab/Unison"
NAME = "weights/projector.safetensors"
ADAPTER = {
    "lora/adapter_config.json": b"{}",
    "lora/adapter_model.safetensors": b"a" * 100,
    "lora/optimizer.pt": b"no",
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "UNISON_MODELS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HF_HOME", "XDG_DATA_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    with serving(Hub({SOURCE: {NAME: PROJECTOR, **ADAPTER}})) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def download(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `unison download ...`: status, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        status = cli.main(["download", *map(str, arguments)])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_it_says_everything_before_and_is_found_by_itself_behind(hub: Hub, download: Run) -> None:
    status, out, err = download("projector", "lora", "--yes")
    own = user_folder()
    assert status == 0, err
    assert files(own) == [
        *("unison/planning_lora/adapter_config.json", "unison/planning_lora/adapter_model.safetensors"),
        "unison/projector.safetensors",
    ]
    assert (own / "unison" / "projector.safetensors").read_bytes() == PROJECTOR
    for told in (
        "projector: https://huggingface.co/ali-vilab/Unison",
        "licence: see its page",
        "not pinned in this release",
        f"projector.safetensors to {own / 'unison' / 'projector.safetensors'} (4 MB)",
        f"4 MB to fetch into {own}",
    ):
        assert told in out
    assert f"1/3 {own / 'unison' / 'projector.safetensors'} (4 MB fetched, " in err and "/s)" in err
    assert find(own).projector == own / "unison" / "projector.safetensors"
    assert resolve_models(None, {}).demo  # nothing there makes pictures yet

    hub.requests.clear()
    status, out, err = download("projector", "--yes")
    assert status == 0 and "there already" in out and "everything is there" in err and not hub.requests


def test_nothing_is_fetched_unasked(hub: Hub, download: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    status, out, _ = download("projector", "--dry-run", "--models", tmp_path / "m")
    assert status == 0 and "to fetch into" in out
    status, _, err = download("projector", "--models", tmp_path / "m")
    assert status == 2 and "add --yes" in err

    class Terminal:
        def __init__(self, answer: str) -> None:
            self.answer = answer

        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return self.answer

    monkeypatch.setattr(sys, "stdin", Terminal("\n"))
    status, _, err = download("projector", "--models", tmp_path / "m")
    assert status == 1 and "Fetch 1 file? [y/N]" in err and "nothing was fetched" in err
    assert not hub.requests and not (tmp_path / "m").exists()
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert download("projector", "--models", tmp_path / "m")[0] == 0
    assert files(tmp_path / "m") == ["unison/projector.safetensors"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_download_goes_on_where_it_was(hub: Hub, download: Run, tmp_path: Path) -> None:
    hub.hold_after = 2 * MIB + 500_000
    command = (sys.executable, "-m", "unison_backend.cli", "download", "projector", "--yes", "--models", str(tmp_path))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    folder = tmp_path / "unison"
    deadline = time.monotonic() + 60
    while not any(part.stat().st_size >= 2 * MIB for part in folder.glob(".*.part")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    (part,) = folder.iterdir()
    kept = part.stat().st_size
    assert 2 * MIB <= kept < len(PROJECTOR)

    hub.hold_after = None
    status, out, err = download("projector", "--yes", "--models", tmp_path)
    assert status == 0 and "of it to come" in out, err
    assert hub.starts(NAME) == [0, kept] and hub.sent[1] == len(PROJECTOR) - kept
    assert files(tmp_path) == ["unison/projector.safetensors"]
    assert (folder / "projector.safetensors").read_bytes() == PROJECTOR


def test_what_cannot_be_had_is_one_line_and_the_rest_comes(hub: Hub, download: Run, tmp_path: Path) -> None:
    hub.damaged.add(NAME)
    status, _, err = download("projector", "lora", "--yes", "--models", tmp_path)
    assert status == 1 and files(tmp_path) == [
        *("unison/planning_lora/adapter_config.json", "unison/planning_lora/adapter_model.safetensors")
    ]
    complaints = [line for line in err.splitlines() if line.startswith("unison:")]
    assert len(complaints) == 1 and "projector.safetensors" in complaints[0] and "sha256" in complaints[0]


def test_a_closed_repository(hub: Hub, download: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub.gated.add(SOURCE)
    status, _, err = download("projector", "--yes", "--models", tmp_path)
    assert status == 1 and err.count("\n") == 1 and "accept" in err and "https://huggingface.co/ali-vilab/Unison" in err
    monkeypatch.setenv("HF_TOKEN", "right")
    assert download("projector", "--yes", "--models", tmp_path)[0] == 0
    assert hub.requests == [(NAME, 0, None)]  # the host that the bytes come from is told no token


def test_what_the_hub_does_not_have(hub: Hub, download: Run, tmp_path: Path) -> None:
    hub.repositories[SOURCE] = {"README.md": b"#"}
    status, _, err = download("projector", "qwen", "vae", "--yes", "--models", tmp_path)
    told = [line for line in err.splitlines() if line.startswith("unison:")]
    assert status == 1 and not files(tmp_path)
    assert "has no *projector*.safetensors or *projector*.pth; it holds README.md" in told[0]
    assert "Qwen/Qwen2.5-VL-3B-Instruct at 66285546" in told[1] and "does not exist or is private" in told[1]
    assert "wan_2.1_vae.safetensors" in told[2]


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("HF_HUB_OFFLINE", "1", "HF_HUB_OFFLINE is set"),
        ("HF_ENDPOINT", "http://127.0.0.1:9", "there is no connection"),
    ],
)
def test_offline(
    hub: Hub, download: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, value: str, told: str
) -> None:
    monkeypatch.setenv(variable, value)
    status, _, err = download("projector", "--yes", "--models", tmp_path)
    assert status == 1 and told in err and err.count("\n") == 1 and not files(tmp_path)


def test_a_full_disk(hub: Hub, download: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(downloads, "_free", lambda _: 50_000_000)
    status, _, err = download("projector", "--yes", "--models", tmp_path)
    assert status == 1 and "50 MB free, and 4 MB are to come" in err and not hub.requests and not files(tmp_path)


def test_an_item_that_is_none(download: Run, tmp_path: Path) -> None:
    status, _, err = download("wan", "--models", tmp_path)
    assert status == 2 and "'wan' is no item; there are minimal" in err
    status, _, err = download("vae", "--comfy", tmp_path)
    assert status == 2 and "is no ComfyUI" in err
