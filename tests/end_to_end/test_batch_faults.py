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
from unison_backend.batch.attempts import deaths
from unison_backend.batch.job import Job, name_of
from unison_backend.batch.lines import read_jobs
from unison_backend.batch.worker import Worker
from unison_backend.cli import main
from unison_backend.cli.batch import _defaults, _setup
from unison_backend.cli.parser import make_parser
from unison_backend.progress import silent

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


def names(command):
    """What the lines' results are called, those that have one."""
    options = make_parser(*[main] * 5).parse_args(command)
    setup, jobs = _setup(options, silent), read_jobs(options.file, _defaults(options))
    return [name_of(job, setup) for job in jobs if isinstance(job, Job) and not job.prompt.media]


def actor(process):
    """The one process of Ray's that makes lines."""
    for one in process.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "MapWorker" in " ".join(one.cmdline()):
                return one
    raise AssertionError("Ray has no actor")


def test_killed_workers_and_a_killed_driver_of_ray(lines, started, unison, tmp_path, monkeypatch):
    """A worker dies on the first line, which is made by the next; another on the second line, which took one before;
    the driver dies on the third, and takes Ray with it."""
    pytest.importorskip("ray", reason="the optional extra `batch` is not installed")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    command, out = lines(LONG, LONG, LONG), tmp_path / "out"
    one, two, three = names(command)
    marks = out / ".attempts"
    marks.mkdir(parents=True)
    (marks / two).write_bytes(b".")

    process = started([*command, "--ray"])
    left = {one: 1, two: 2}
    while left:  # Ray keeps no order behind a death
        name = until(lambda: next((name for name in left if deaths(out, name) == left[name]), None), process, out)
        worker = actor(process)
        worker.kill()
        psutil.wait_procs([worker], timeout=60)
        if deaths(out, name) == left[name]:  # else it was between two stages
            del left[name]
    until(lambda: {1, 2} <= rows(out).keys(), process, out)
    looked = 0
    for other in process.children(recursive=True):
        if other.name() == "gcs_server":
            for connection in other.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    on_ray._look_for(f"127.0.0.1:{connection.laddr.port}")
                    looked += 1
    assert looked
    family = process.children(recursive=True)
    process.kill()
    process.wait()
    # Ray's own two agents, which hold no model, take a minute or more to see that their node is gone.
    family = [one for one in family if one.is_running() and not one.name().endswith("Agent")]
    assert not psutil.wait_procs(family, timeout=60)[1], "Ray outlives the command that started it"
    first, found = pictures(out), rows(out)
    assert f"{one}.png" in first and f"{two}.png" not in first
    assert (found[1]["status"], found[2]["status"]) == ("done", "failed")

    status, said, _ = unison(*command)
    assert status == 1 and f"5 lines: 2 done ({len(first)} of them before), 2 refused, 1 failed" in said
    found = rows(out)
    assert "died 2 times on this line" in found[2]["error"] and found[2]["path"] is None
    assert pictures(out).items() >= first.items() and set(pictures(out)) == {f"{one}.png", f"{three}.png"}
    assert [path.name for path in marks.iterdir()] == [two]
    alone = tmp_path / "alone.png"
    unison("run", found[1]["prompt"], "--out", alone, "--steps", LONG, "--device", "cpu", "--quiet")
    assert alone.read_bytes() == first[f"{one}.png"][0]
