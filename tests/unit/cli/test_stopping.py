"""Signals: the next safe point, else the next line of Python, else the end of the process, each within a second more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unison_backend.cli import stopping
from unison_backend.cli.stopping import stop_signal, stop_status

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise")

PLAY = """
import hashlib, sys, time
from pathlib import Path
from unison_backend.cli.stopping import stop_signal, stop_status
from unison_backend.files import replacing
from unison_backend.errors import Cancelled
from unison_backend.progress import check

def library(cancel):
    "One call that takes minutes and lets other threads run, as a convolution does."
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", 2**30)

def loop(cancel):
    "Lines of Python without a safe point."
    while True:
        pass

def safe(cancel):
    while True:
        check(cancel, "it")
        time.sleep(0.01)

try:
    with stop_signal(patient=sys.argv[3] == "patient") as cancel, replacing(Path(sys.argv[1])) as temporary:
        temporary.write_bytes(b"half")
        print("begun", flush=True)
        globals()[sys.argv[2]](cancel)
except Cancelled:
    print("at a safe point")
    sys.exit(stop_status())
except KeyboardInterrupt:
    print("interrupted")
    sys.exit(stop_status())
"""


def play(folder: Path, what: str, number: int, patience: str = "") -> tuple[int, str]:
    """Send the signal to a process that is busy with `what`; its status and what it said."""
    before = signal.signal(number, signal.SIG_DFL)  # under nohup a child would be started deaf to SIGHUP
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", PLAY, str(folder / "a.png"), what, patience],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
    finally:
        signal.signal(number, before)
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    return process.returncode, said.strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_safe_point(tmp_path: Path, number: int) -> None:
    assert play(tmp_path, "safe", number, "patient") == (128 + number, "at a safe point")
    assert list(tmp_path.iterdir()) == []


def test_the_next_line_when_no_safe_point_comes(tmp_path: Path) -> None:
    assert play(tmp_path, "loop", signal.SIGTERM) == (143, "interrupted")
    assert list(tmp_path.iterdir()) == []


def test_inside_a_library_the_process_ends_and_leaves_nothing(tmp_path: Path) -> None:
    assert play(tmp_path, "library", signal.SIGINT) == (130, "")
    assert list(tmp_path.iterdir()) == []


def test_the_second_signal_stops_at_once() -> None:
    with stop_signal(patient=True) as cancel:
        os.kill(os.getpid(), signal.SIGTERM)
        assert cancel() and stop_status() == 143
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
    assert stop_status() == 130


def test_all_is_as_before_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [signal.getsignal(getattr(signal, name)) for name in stopping._NAMES]
    with stop_signal() as cancel:
        assert not cancel()
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(getattr(signal, name)) for name in stopping._NAMES] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_ignored_signals_stay_ignored() -> None:
    """nohup has a run outlive its terminal."""
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signal() as cancel:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not cancel()
    finally:
        signal.signal(signal.SIGHUP, previous)
