"""`unison batch` while its processes are killed: nothing is lost, nothing stands twice in the log, and the same command
again makes what is missing and nothing else."""

import contextlib
import json
import subprocess
import sys
import time

import psutil
import pytest

from unison_backend.batch import on_ray
from unison_backend.batch.worker import Worker

# Long enough to be met at work.
LONG = 40
WAIT = 900
FEW = ("--steps", "2", "--quiet", "--device", "cpu")


@pytest.fixture
def lines(tmp_path):
    """`lines(steps, ...)`: a file with so many lines, one of nonsense and one whose file is not there, and its command."""

    def write(*steps):
        shapes = ("circle", "square", "triangle", "star")
        rows = [
            {"prompt": f"Create a 64x64 image of a red {shape}.", "steps": count}
            for shape, count in zip(shapes, steps, strict=False)
        ]
        rows.append({"prompt": "Make ###gone.png### red."})
        file = tmp_path / "lines.jsonl"
        file.write_text("\n".join([*map(json.dumps, rows), "nonsense"]), encoding="utf-8")
        return ["batch", str(file), "--out", str(tmp_path / "out"), *FEW]

    return write


@pytest.fixture
def started(tmp_path):
    """`started(command)`: a `unison` process of its own; what is left of it in the end is killed."""
    processes = []

    def start(command):
        whole = [sys.executable, "-m", "unison_backend.cli", *command]
        with (tmp_path / "told.txt").open("wb") as told:
            processes.append(psutil.Popen(whole, stdout=subprocess.DEVNULL, stderr=told))
        return processes[-1]

    yield start
    for process in processes:
        with contextlib.suppress(psutil.Error):
            for one in (*process.children(recursive=True), process):
                with contextlib.suppress(psutil.Error):
                    one.kill()
        process.wait()


def until(condition, process, out):
    """What `condition` gives once it is something; the process, which writes to `out`, has to live until then."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        if found := condition():
            return found
        assert process.poll() is None, (out.parent / "told.txt").read_text(encoding="utf-8")
        time.sleep(0.1)
    raise AssertionError(f"not within {WAIT} seconds")


def rows(out):
    """Rows by line; each line has one."""
    found = [json.loads(row) for row in (out / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len({row["line"] for row in found}) == len(found)
    return {row["line"]: row for row in found}


def pictures(out):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in out.glob("[!.]*.png")}


def test_the_same_command_again_makes_only_what_a_killed_one_did_not(lines, started, unison, tmp_path, monkeypatch):
    command, out = lines(2, LONG), tmp_path / "out"
    process = started(command)
    until(lambda: list(out.glob("[!.]*.png")), process, out)
    process.suspend()
    status, _, told = unison(*command)
    assert status == 2 and f"another unison batch works in {out}" in told
    process.kill()
    process.wait()
    first = pictures(out)
    assert len(first) == 1, "it was killed too late"

    status, said, _ = unison(*command)
    assert status == 2 and "4 lines: 2 done (1 of them before), 2 refused, 0 failed" in said
    found = rows(out)
    assert [found[line]["status"] for line in (1, 2, 3, 4)] == ["done", "done", "refused", "refused"]
    assert "gone.png does not exist" in found[3]["error"]
    assert pictures(out).items() > first.items()
    assert {found[1]["path"], found[2]["path"]} == set(pictures(out))
    assert not list((out / ".attempts").iterdir()) and not list(out.glob(".unison-*"))

    def load(*_):
        raise AssertionError("a model is loaded for nothing")

    monkeypatch.setattr(Worker, "__init__", load)
    monkeypatch.setattr(on_ray.OnRay, "__call__", load)
    for more in ((), ("--ray",)):
        before = pictures(out)
        status, said, _ = unison(*command, *more)
        assert status == 2 and "2 done (2 of them before)" in said and rows(out) == found and pictures(out) == before
