"""`unison batch`: the files of `unison run`, each line once, in this process and by Ray."""

import json
import socket
from pathlib import Path

import pytest

CIRCLE = "Create a 64x64 image of a red circle on a blue background."
SQUARE = "Create a 64x64 image of a green square on a white background."
FEW = ("--steps", 2, "--quiet", "--device", "cpu")


@pytest.fixture
def lines(tmp_path):
    file = tmp_path / "lines.jsonl"
    rows = [{"prompt": CIRCLE}, {"prompt": SQUARE, "seed": 3}, {"prompt": "Make ###gone.png### red."}]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return file


def rows(folder):
    found = map(json.loads, (folder / "results.jsonl").read_text(encoding="utf-8").splitlines())
    return sorted(found, key=lambda row: row["line"])


def test_a_batch_makes_the_files_that_run_makes(unison, lines, tmp_path):
    out = tmp_path / "out"
    status, said, _ = unison("batch", lines, "--out", out, *FEW)
    assert status == 2 and "3 lines: 2 done (0 of them before), 1 refused, 0 failed" in said
    circle, square, gone = rows(out)
    assert "gone.png does not exist" in gone["error"] and gone["path"] is None
    assert circle["plan"]["task"] == "text_to_image" and circle["seconds"] > 0
    for row, prompt, seed in ((circle, CIRCLE, 0), (square, SQUARE, 3)):
        alone = tmp_path / f"{seed}.png"
        assert unison("run", prompt, "--seed", seed, "--out", alone, *FEW)[0] == 0
        assert (out / row["path"]).read_bytes() == alone.read_bytes()
    assert (out / circle["path"]).read_bytes() != (out / square["path"]).read_bytes()


def test_a_batch_without_its_cluster_says_so_at_once(unison, lines, tmp_path, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    status, _, told = unison("batch", lines, "--out", tmp_path / "out", "--ray", *FEW)
    assert status == 1 and f"no Ray cluster at 127.0.0.1:{port}" in told and "RAY_ADDRESS" in told


def test_ray_makes_the_same_files(unison, lines, tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="the optional extra `batch` is not installed")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    made: dict[str, list[Path]] = {}
    for name, more in (("here", ()), ("ray", ("--ray", "--workers", 2))):
        assert unison("batch", lines, "--out", tmp_path / name, *more, *FEW)[0] == 2
        made[name] = sorted((tmp_path / name).glob("*.png"))
    assert [path.name for path in made["here"]] == [path.name for path in made["ray"]] and len(made["ray"]) == 2
    for here, there in zip(made["here"], made["ray"], strict=True):
        assert here.read_bytes() == there.read_bytes()
