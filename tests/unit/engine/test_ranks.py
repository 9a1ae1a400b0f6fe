"""Two processes for one result, over gloo on the CPU: each makes one guidance side, both have the same latents."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from unison_backend.cli import main
from unison_backend.engine.ranks import VARIABLE

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = Path(__file__).with_name("ranks_script.py")


def together(out, what="make", count=2):
    """Runs the script in `count` processes to their end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = os.environ | {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {VARIABLE: str(count), "WORLD_SIZE": str(count), "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(
            [sys.executable, SCRIPT, out, what], env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}, cwd=ROOT
        )
        for rank in range(count)
    ]
    assert [process.wait(240) for process in processes] == [0] * count


def test_two_processes_make_what_one_makes(tmp_path):
    together(tmp_path)
    together(tmp_path, count=1)
    one = torch.load(tmp_path / "latents0of1.pt", weights_only=True)
    for rank in range(2):
        made = torch.load(tmp_path / f"latents{rank}of2.pt", weights_only=True)
        assert torch.allclose(made, one, atol=1e-5, rtol=0)
    assert one.std() > 0.1


def test_a_stop_in_one_is_heard_by_both_at_the_same_step(tmp_path):
    together(tmp_path, "stop")
    assert (tmp_path / "stopped0").read_text() == (tmp_path / "stopped1").read_text()
    assert not list(tmp_path.glob("latents*"))


def test_where_one_ends_the_other_does_not_wait(tmp_path):
    together(tmp_path, "leave")
    assert [path.name for path in tmp_path.iterdir()] == ["stopped0"]


def test_what_the_first_refuses_ends_both_with_its_words(tmp_path):
    together(tmp_path, "refuse")
    assert [(tmp_path / f"refused{rank}").read_text() for rank in range(2)] == ["said once"] * 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--gpus", "3"], "--gpus is 3"),
        (["--gpus", "0"], "--gpus is 0"),
        (["--gpus", "2", "--cfg", "1"], "with --cfg 1 there is one"),
        (["--gpus", "2", "--compile"], "does not go with --compile"),
        (["--gpus", "2", "--device", "cuda:1"], "not --device cuda:1"),
        (["--gpus", "2"], "GPUs are here"),
    ],
)
def test_what_cannot_be_shared_is_refused_before_anything_starts(options, said, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert main(["run", "Create an image of a red circle", "--out", str(tmp_path / "a.png"), *options]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
