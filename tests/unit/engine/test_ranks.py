"""Several processes for one result, over gloo on the CPU: they share guidance sides and tokens, and make what one does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from unison_backend.cli import main
from unison_backend.engine.ranks import check_heads, shared_sides
from unison_backend.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = Path(__file__).with_name("ranks_script.py")
GROUPS = {
    2: ["one side", "uneven heads", "offload"],
    3: ["both sides"],
    4: ["picture", "unplanned", "video", "uneven", "uneven sides", "strength 0", "two experts", "cache"],
}
ENDINGS = ["4:stop", "4:fail", "3:leave", "2:refuse"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of what all processes made; every one of them has ended."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the script forks its processes")
    folder = tmp_path_factory.mktemp("ranks")
    groups = [f"{count}:{'+'.join(cases)}" for count, cases in GROUPS.items()]
    command = [sys.executable, str(SCRIPT), str(folder), *groups, *ENDINGS]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize(("count", "case"), [(count, case) for count, cases in GROUPS.items() for case in cases])
def test_several_processes_make_what_one_makes(made, count, case):
    one = torch.load(made / f"{case}.{count}.one.pt", weights_only=True)
    assert one.std() > 0.1
    for rank in range(count):
        latents = torch.load(made / f"{case}.{count}.{rank}.pt", weights_only=True)
        assert torch.allclose(latents, one, atol=1e-5, rtol=0)


def test_cases_differ(made):
    """The rows of a plan, a strength and a second expert are seen by the processes."""
    drawn = {path.name: torch.load(path, weights_only=True) for path in made.glob("*.4.one.pt")}
    assert len(drawn) == len(GROUPS[4])
    same_shape = [("picture", "unplanned"), ("uneven", "uneven sides"), ("uneven sides", "strength 0")]
    for one, other in same_shape:
        assert (drawn[f"{one}.4.one.pt"] - drawn[f"{other}.4.one.pt"]).abs().max() > 1e-3


def endings(folder, case, count):
    """(does it speak, the status of all, error and words) of each process that was stopped."""
    told = [(folder / f"{case}.{count}.{rank}.txt").read_text(encoding="utf-8") for rank in range(count)]
    return [tuple(text.split(" ", 2)) for text in told]


def test_a_stop_in_one_is_heard_by_all_before_the_same_step(made):
    told = endings(made, "stop", 4)
    assert [words for *_, words in told] == ["Cancelled: cancelled during sampling"] * 4
    assert [speaks for speaks, *_ in told].count("True") == 1
    assert len({status for _, status, _ in told}) == 1


def test_where_one_fails_its_words_are_said_once_and_all_have_its_status(made):
    told = endings(made, "fail", 4)
    assert told[3] == ("True", "6", "ResourceError: no memory left in the last one")
    for speaks, status, words in told[:3]:
        assert (speaks, status) == ("False", "6")
        assert words.startswith("Gone: another process")


def test_where_one_ends_the_others_do_not_wait(made):
    assert [path.name for path in made.glob("leave*")] == ["leave.3.0.txt"]
    speaks, _, words = (made / "leave.3.0.txt").read_text(encoding="utf-8").split(" ", 2)
    assert speaks == "True"
    assert words.startswith("Gone: another process")


def test_what_the_first_refuses_ends_all_with_its_words_said_once(made):
    told = endings(made, "refuse", 2)
    assert [words for *_, words in told] == ["UnisonError: said by the first"] * 2
    assert [speaks for speaks, *_ in told].count("True") == 1


@pytest.mark.parametrize(("count", "sides", "apart"), [(2, 2, 2), (2, 1, 1), (3, 2, 1), (4, 2, 2), (8, 1, 1)])
def test_an_even_number_takes_the_guidance_sides_apart(count, sides, apart):
    assert shared_sides(count, sides) == apart


@pytest.mark.parametrize(("count", "sides", "heads"), [(4, 2, 2), (8, 2, 12), (8, 1, 40), (6, 1, 40), (3, 2, 12)])
def test_heads_that_go_among_the_processes(count, sides, heads):
    check_heads(count, sides, heads)


@pytest.mark.parametrize(
    ("count", "sides", "heads", "fit"),
    [(3, 2, 2, "1, 2, 4"), (4, 1, 2, "1, 2"), (8, 1, 12, "1, 2, 3, 4, 6, 12"), (7, 2, 12, "1, 2, 3, 4, 6, 8, 12, 24")],
)  # fmt: skip
def test_heads_that_do_not_are_refused_with_the_numbers_that_do(count, sides, heads, fit):
    with pytest.raises(InputError, match=f"--gpus {count} .* {heads} attention heads .*one of {fit}$"):
        check_heads(count, sides, heads)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--gpus", "0"], "--gpus is 0"),
        (["--gpus", "9", "--device", "cpu"], "with 8 processes at most"),
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
