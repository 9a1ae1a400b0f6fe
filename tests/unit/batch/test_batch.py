"""What a batch does with its folder: names, resuming, refusing before anything loads, the lock, lines that kill."""

import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from unison_backend.batch.attempts import attempt, deaths, forget
from unison_backend.batch.batch import _problem, run_batch
from unison_backend.batch.job import Job, Setup, name_of
from unison_backend.batch.lines import read_jobs
from unison_backend.batch.log import Log, Row, locked
from unison_backend.batch.worker import failure
from unison_backend.engine.settings import EngineOptions, Lora
from unison_backend.errors import Cancelled, InputError, ResourceError
from unison_backend.media import probe as probing
from unison_backend.media.write import write_image
from unison_backend.plan.prompt import Prompt
from unison_backend.progress import never, silent
from unison_backend.weights.find import ModelPaths

DEFAULTS = Job(number=0, prompt=Prompt(("-",)))


@pytest.fixture
def folder(tmp_path):
    """`folder(rows)` writes a batch's lines and gives (file, setup)."""

    def write(*rows):
        file = tmp_path / "lines.jsonl"
        file.write_text("\n".join(json.dumps(row) if isinstance(row, dict) else row for row in rows), encoding="utf-8")
        return file, Setup(tmp_path / "out", ModelPaths(demo=True), device="cpu")

    return write


class Writing:
    """An executor that writes a picture of one colour for each job, and remembers which it was given."""

    def __init__(self, stop_before=None):
        self.made, self.stop_before = [], stop_before

    def __call__(self, jobs, setup, emit, progress, cancel):
        for job in jobs:
            if job.text == self.stop_before:
                raise Cancelled("the batch")
            self.made.append(job.text)
            Image.new("RGB", (16, 16), (len(self.made), 0, 0)).save(setup.out / f"{job.name}.png")
            emit(Row(job.number, job.name, "done", job.text, path=f"{job.name}.png", seconds=0.1))


def run(file, setup, executor, heard=None):
    heard = [] if heard is None else heard
    return run_batch(file, setup, DEFAULTS, executor, lambda row, tally: heard.append(row), silent, never)


def rows(setup):
    text = (setup.out / "results.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_a_row_for_each_line_and_no_more_after_another_run(folder):
    file, setup = folder({"prompt": "a star"}, "nonsense", {"prompt": "a circle"}, {"prompt": "a star"})
    first = Writing()
    tally = run(file, setup, first)
    assert first.made == ["a star", "a circle"]
    assert (tally.lines, tally.done, tally.refused, tally.failed) == (4, 3, 1, 0)
    assert sorted(row["line"] for row in rows(setup)) == [1, 2, 3, 4]
    names = {row["line"]: row["name"] for row in rows(setup)}
    assert names[1] == names[4] != names[3]
    again = Writing()
    tally = run(file, setup, again)
    assert again.made == [] and (tally.found, tally.done, tally.refused) == (3, 0, 1)
    assert sorted(row["line"] for row in rows(setup)) == [1, 2, 3, 4]


def test_only_what_is_missing_is_made_again(folder):
    file, setup = folder({"prompt": "a star"}, {"prompt": "a circle"}, {"prompt": "a square"})
    with pytest.raises(Cancelled):
        run(file, setup, Writing(stop_before="a square"))
    assert [row["line"] for row in rows(setup)] == [1, 2]
    (setup.out / rows(setup)[0]["path"]).unlink()
    again = Writing()
    run(file, setup, again)
    assert again.made == ["a star", "a square"]
    assert sorted(row["line"] for row in rows(setup)) == [1, 2, 3]


def test_a_row_that_was_cut_off_is_found_by_its_file(folder):
    file, setup = folder({"prompt": "a star"}, {"prompt": "a circle"})
    run(file, setup, Writing())
    log = setup.out / "results.jsonl"
    log.write_text(log.read_text(encoding="utf-8")[:-40], encoding="utf-8")
    whole = Log(setup.out).read()[0].name
    (cut,) = (path.stem for path in setup.out.glob("*.png") if path.stem != whole)
    marks = setup.out / ".attempts"
    marks.mkdir()
    (marks / cut).write_bytes(b".")
    again = Writing()
    run(file, setup, again)
    assert again.made == []
    assert [row["line"] for row in rows(setup)] == [1, 2]
    assert "run that was killed" in rows(setup)[1]["notices"][0]
    assert deaths(setup.out, cut) == 0


def test_rows_of_another_file_stay(folder):
    file, setup = folder({"prompt": "a star"})
    run(file, setup, Writing())
    file, setup = folder({"prompt": "a circle"})
    run(file, setup, Writing())
    assert [row["prompt"] for row in rows(setup)] == ["a star", "a circle"]


def test_what_can_be_refused_never_reaches_a_worker(folder, tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "p.png")
    file, setup = folder(
        {"prompt": "Make the cat in ###gone.png### white."},
        {"prompt": "Make the cat in ###p.png### white.", "mask": "gone.png"},
        {"prompt": "a star", "steps": 0},
        {"prompt": "a star", "settings": {"width": 99999}},
        {"prompt": "Replace the cat in ###p.png### with a dog."},
    )
    executor = Writing()
    tally = run(file, setup, executor)
    assert executor.made == [] and tally.refused == 5
    told = {row["line"]: row["error"] for row in rows(setup)}
    assert "gone.png does not exist" in told[1] and "gone.png does not exist" in told[2]
    assert "steps is 0" in told[3] and "99999" in told[4] and "without a mask" in told[5]


def test_a_line_that_killed_its_worker_twice_is_not_tried_again(folder):
    file, setup = folder({"prompt": "a star"}, {"prompt": "a circle"})
    killer = next(replace(job, name=name_of(job, setup)) for job in read_jobs(file, DEFAULTS))
    setup.out.mkdir()
    dies = "import os, pathlib, sys; from unison_backend.batch.attempts import attempt\n"
    dies += "line = pathlib.Path(sys.argv[1]), sys.argv[2]\n"
    dies += "with attempt(*line): pass\n"  # it is planned, and dies as it is made
    dies += "with attempt(*line): os._exit(7)"
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", dies, str(setup.out), killer.name]).returncode == 7
    assert deaths(setup.out, killer.name) == 2
    executor = Writing()
    tally = run(file, setup, executor)
    assert executor.made == ["a circle"] and tally.failed == 1
    assert "died 2 times" in rows(setup)[0]["error"]
    with attempt(setup.out, "other"):
        assert deaths(setup.out, "other") == 1
    assert deaths(setup.out, "other") == 0
    with attempt(setup.out, killer.name):
        assert deaths(setup.out, killer.name) == 3
    assert deaths(setup.out, killer.name) == 2
    forget(setup.out, killer.name)
    assert deaths(setup.out, killer.name) == 0


def test_two_batches_never_share_a_folder(folder):
    file, setup = folder({"prompt": "a star"})
    failed = []

    def second():
        try:
            run(file, setup, Writing())
        except InputError as error:
            failed.append(str(error))

    with locked(setup.out):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert "another unison batch works in" in failed[0]
    run(file, setup, Writing())


def test_a_folder_of_something_else_is_left_alone(folder):
    file, setup = folder({"prompt": "a star"})
    setup.out.mkdir()
    (setup.out / "results.jsonl").write_text('{"mine": 1}\n{"mine": 2}\n', encoding="utf-8")
    with pytest.raises(InputError, match="no row of a batch"):
        run(file, setup, Writing())
    assert (setup.out / "results.jsonl").read_text(encoding="utf-8") == '{"mine": 1}\n{"mine": 2}\n'


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1}, {"steps": 3}, {"cfg": 2.0}, {"settings": {"width": 96}}, {"make": "video"}, {"negative": "x"},
        {"planner": "qwen"}, {"feather": 0}, {"cfg_low": 5.0}, {"boundary": 0.9}, {"length": "reference"}, {"prompt": Prompt(("a circle",))},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_the_name_says_all_that_makes_the_result(change, tmp_path):
    setup = Setup(tmp_path, ModelPaths(), device="cpu")
    job = Job(number=1, prompt=Prompt(("a star",)))
    assert name_of(job, setup) == name_of(replace(job, number=5), setup)
    assert name_of(job, setup) != name_of(replace(job, **change), setup)


def test_the_name_says_what_the_engine_changes(tmp_path):
    setup = Setup(tmp_path, ModelPaths(), device="cpu")
    job = Job(number=1, prompt=Prompt(("a star",)))
    lora = tmp_path / "style.safetensors"
    lora.write_bytes(b"12345678")
    others = [
        EngineOptions(loras=(Lora(lora, 0.5),)),
        EngineOptions(loras=(Lora(lora, 0.7),)),
        EngineOptions(cache=0.1),
        EngineOptions(vae_dtype="bf16"),
        EngineOptions(vae_tiled=True),
    ]
    names = {name_of(job, replace(setup, engine=engine)) for engine in (EngineOptions(), *others)}
    assert len(names) == 6
    assert name_of(job, replace(setup, engine=EngineOptions(offload="model"))) in names


def test_a_name_stays_what_it_was_before_there_were_two_experts(tmp_path):
    job, lora = Job(number=1, prompt=Prompt(("a star",))), tmp_path / "style.safetensors"
    lora.write_bytes(b"12345678")
    plain = Setup(tmp_path, ModelPaths(), device="cpu")
    assert name_of(job, plain) == "a4897c0c5bd389e921e2"
    both = replace(plain, models=ModelPaths(vace_low=lora))
    sides = [replace(plain, engine=EngineOptions(loras=(Lora(lora, 1.0, side),))) for side in ("", "high", "low")]
    assert len({name_of(job, setup) for setup in (plain, both, *sides)}) == 5


def test_the_name_is_of_the_files_contents(tmp_path):
    setup = Setup(tmp_path, ModelPaths(), device="cpu")
    names = []
    for name, colour in (("a.png", 10), ("b.png", 10), ("a.png", 20)):
        Image.new("RGB", (8, 8), (colour, 0, 0)).save(tmp_path / name)
        (tmp_path / "lines.jsonl").write_text(json.dumps({"prompt": f"Make ###{name}### white."}), encoding="utf-8")
        (job,) = read_jobs(tmp_path / "lines.jsonl", DEFAULTS)
        names.append(name_of(job, setup))
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize("planner", ["rules", "qwen"])
def test_a_medium_is_looked_up_once_a_line(planner, tmp_path, monkeypatch):
    """Naming and checking a line together; files given beside the words too. One that is damaged is refused by name."""
    looked = []
    probe = probing.probe
    monkeypatch.setattr(probing, "probe", lambda path, kind: looked.append(path.name) or probe(path, kind))
    for name in ("a.png", "m.png"):
        Image.new("RGB", (32, 32), (250, 250, 250)).save(tmp_path / name)
    (tmp_path / "bad.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    rows = [{"prompt": "Make ###a.png### white.", "mask": "m.png"}, {"prompt": "Make ###bad.png### white."}]
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    setup = Setup(tmp_path / "out", ModelPaths(planner=tmp_path), device="cpu")
    good, bad = (replace(job, planner=planner) for job in read_jobs(tmp_path / "lines.jsonl", DEFAULTS))
    for job in (good, bad):
        named = replace(job, name=name_of(job, setup))
        problem = _problem(named, setup)
        assert (problem is None) == (job is good)
    assert problem is not None and "bad.png is not a picture" in (problem.error or "") and problem.status == "refused"
    assert sorted(looked) == (["a.png", "bad.png", "m.png"] if planner == "rules" else ["a.png", "bad.png"])


def test_the_log_is_one_row_a_line(tmp_path):
    log = Log(tmp_path)
    log.start([])
    log.add(Row(1, "a", "done", "\u4e00\n\u2028", answer="b\nc"))
    log.close()
    assert [row.answer for row in log.read()] == ["b\nc"]


def writing_whole(jobs, setup, emit, progress, cancel):
    """An executor that writes as the product does; what goes wrong with a job is its row."""
    for job in jobs:
        path = setup.out / f"{job.name}.png"
        try:
            write_image(path, np.full((16, 16, 3), job.number, np.uint8))
            emit(Row(job.number, job.name, "done", job.text, path=path.name, seconds=0.1))
        except ResourceError as error:
            if error.args[0].startswith(str(path)):
                emit(failure(job, error))
            else:
                raise


@pytest.fixture
def small_disk(tmp_path):
    """`small_disk(size)`: the batch's folder is a disk of so many bytes; called again it has so many."""
    out = tmp_path / "out"

    def mounted(size):
        again = "remount," if os.path.ismount(out) else ""
        out.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"{again}size={size}", "tmpfs", str(out)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("a disk of a few kilobytes takes the right to mount one")

    yield mounted
    if os.path.ismount(out):
        subprocess.run(["umount", "-l", str(out)], check=True)


@pytest.mark.parametrize("pages", [2, 3, 5])
def test_a_full_disk_loses_nothing_and_doubles_nothing(folder, small_disk, pages):
    """Pictures that do not fit are rows; a row that does not fit, half of one, is the end, in one sentence."""
    names = [f"a star {number}" for number in range(30)]
    file, setup = folder(*({"prompt": name} for name in names), "nonsense")
    small_disk(pages * os.sysconf("SC_PAGE_SIZE"))
    with pytest.raises(ResourceError, match="cannot be written, the disk is full"):
        run(file, setup, writing_whole)
    told = (setup.out / "results.jsonl").read_text(encoding="utf-8")
    assert "png cannot be written, the disk is full" in told
    kept = {path.name: path.read_bytes() for path in setup.out.glob("*.png")}
    small_disk(1 << 20)
    tally = run(file, setup, writing_whole)
    assert (tally.found, tally.done, tally.refused, tally.failed) == (len(kept), 30 - len(kept), 1, 0)
    assert sorted(row["line"] for row in rows(setup)) == list(range(1, 32))
    assert all((setup.out / name).read_bytes() == data for name, data in kept.items())
    assert len(list(setup.out.glob("*.png"))) == 30
