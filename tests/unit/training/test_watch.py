"""Evaluations, the best result, an early end and kept results: the same after a kill wherever it comes."""

import json

import pytest
import torch
from torch import nn

from unison_backend.errors import Cancelled, InputError
from unison_backend.training.kept import checkpoints
from unison_backend.training.log import EVALUATIONS_FILE, read_rows
from unison_backend.training.loop import STATE_FILE, Fit
from unison_backend.training.plots import PLOT_FILE
from unison_backend.training.schedule import Schedule
from unison_backend.training.trackers import CSV_FILE
from unison_backend.training.watch import Watch, Watched, Watching

SCHEDULE = Schedule(steps=40, lr=0.05, warmup=4, weight_decay=0.0, save_every=8, seed=3, ema=0.9)
WATCHING = Watching(("csv",), eval_every=6, keep_last=2)
# What an evaluation of the step finds, besides a trace of the weights: the best is that of step 18.
FOUND = {6: 0.5, 12: 0.4, 18: 0.2, 24: 0.3, 30: 0.25, 36: 0.4, 40: 0.4}


class Killed(Exception):
    """In the place of a kill."""


def fitted(folder, watching=WATCHING, killed=None, evaluation_killed=None, error=Killed, higher=False):
    """A run on a toy; killed: in the training step; evaluation_killed: in the evaluation behind that step."""
    torch.manual_seed(0)
    module = nn.Linear(3, 1)
    torch.manual_seed(1)

    def loss(generator, step):
        if step == killed:
            raise error()
        x = torch.randn(4, 3, generator=generator)
        return {"loss": (module(x)[:, 0] - x.sum(1)).square().mean()}

    def measure():
        torch.rand(5)
        if fit.step == evaluation_killed:
            raise error()
        found = FOUND[fit.step] + 1e-9 * module.weight.sum().item()
        return {"loss": -found if higher else found}

    def write(out):
        (out / "weights.json").write_text(json.dumps(module.weight.tolist()))

    fit = Fit(
        module, SCHEDULE, folder, watch=Watch(watching, Watched(write, measure, higher=higher)), say=(said := []).append
    )
    fit.said = said
    if not (killed or evaluation_killed):
        fit.run(loss, stage="fitting")
        return fit
    with pytest.raises(error):
        fit.run(loss, stage="fitting")
    return fit


def files(folder):
    """All that a run left, but the times in it and pictures of those."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: text for name, text in found.items() if name not in (STATE_FILE, PLOT_FILE, CSV_FILE, "log.jsonl")}


def test_evaluations_come_in_their_steps_and_the_best_result_is_kept(tmp_path):
    fit = fitted(tmp_path)
    rows = read_rows(tmp_path / EVALUATIONS_FILE)
    assert [(row["step"], round(row["loss"], 3)) for row in rows] == list(FOUND.items())
    assert fit.said == [f"best held-out loss: 0.2, after step 18; that result is kept in {tmp_path / 'best'}"]
    csv = (tmp_path / CSV_FILE).read_text().splitlines()
    assert [line.split(",")[0] for line in csv[1:]] == ["6", "12", "18", "20", "24", "30", "36", "40"]
    assert csv[0].split(",").count("eval/loss") == 1
    then = fitted(tmp_path / "then", Watching(), killed=18)  # the averaged weights are the result
    assert json.loads((tmp_path / "best" / "weights.json").read_text()) == then.averaged["weight"].tolist()
    assert then.averaged["weight"].tolist() != then.parameters["weight"].tolist()


def test_watching_changes_no_weight(tmp_path):
    watched, plain = fitted(tmp_path / "a"), fitted(tmp_path / "b", None)
    for name, value in plain.parameters.items():
        assert torch.equal(value, watched.parameters[name]) and torch.equal(
            plain.averaged[name], watched.averaged[name]
        )
    assert {path.name for path in (tmp_path / "b").iterdir()} == {STATE_FILE, "log.jsonl"}


@pytest.mark.parametrize("how", [{"killed": 20}, {"killed": 23}, {"evaluation_killed": 24}, {"evaluation_killed": 40}])
@pytest.mark.parametrize("error", [Killed, Cancelled])
def test_a_kill_changes_nothing_of_it(tmp_path, how, error):
    """Before and behind a save, in an evaluation, in the last one; a stop by the person saves first."""
    whole = fitted(tmp_path / "whole")
    fitted(tmp_path / "parts", **how, error=error)
    again = fitted(tmp_path / "parts")
    assert again.said[0].startswith("best held-out loss: 0.2, after step 18") and again.watch.state == whole.watch.state
    assert files(tmp_path / "parts") == files(tmp_path / "whole")


def test_a_stop_in_an_evaluation_saves_the_step_before_it(tmp_path):
    fitted(tmp_path, evaluation_killed=30, error=Cancelled)
    state = torch.load(tmp_path / STATE_FILE)
    assert (state["step"], state["watch"]["looked"]) == (30, 24)


def test_training_ends_early_and_a_larger_patience_goes_on(tmp_path):
    early = Watching(("csv",), eval_every=6, early_stop=2, keep_last=2)
    fit = fitted(tmp_path, early)
    assert fit.step == 30 and "stopped after step 30 of 40: 2 evaluations brought nothing better" in fit.said[1]
    assert [path.name for path in checkpoints(tmp_path)] == ["step-000016", "step-000024"]
    assert fitted(tmp_path, early).step == 30  # nothing more is done
    assert [row["step"] for row in read_rows(tmp_path / EVALUATIONS_FILE)] == [6, 12, 18, 24, 30]
    assert fitted(tmp_path, Watching(("csv",), eval_every=6, early_stop=4, keep_last=2)).step == 40
    assert files(tmp_path) == files(tmp_path.parent / fitted(tmp_path.parent / f"{tmp_path.name}_whole").folder)
    killed = tmp_path / "killed"
    fitted(killed, early, killed=27)
    assert fitted(killed, early).step == 30


def test_more_can_be_better(tmp_path):
    fit = fitted(tmp_path, higher=True)
    assert fit.said == [f"best held-out loss: -0.2, after step 18; that result is kept in {tmp_path / 'best'}"]


def test_the_last_results_are_kept_and_none_of_a_later_step_than_the_states(tmp_path):
    fitted(tmp_path / "whole")
    assert [path.name for path in checkpoints(tmp_path / "whole")] == ["step-000024", "step-000032"]
    fitted(tmp_path, Watching(keep_last=9), killed=30)
    (tmp_path / "checkpoints" / "step-000036").mkdir()
    (tmp_path / "checkpoints" / "mine").mkdir()
    fitted(tmp_path, Watching(keep_last=3))
    assert [path.name for path in checkpoints(tmp_path)] == ["step-000016", "step-000024", "step-000032"]
    assert (tmp_path / "checkpoints" / "mine").is_dir()
    none = fitted(tmp_path / "none", Watching()).folder
    assert not (none / "checkpoints").exists()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"eval_every": -1}, "--eval-every is -1"),
        ({"early_stop": 3}, "takes --eval-every"),
        ({"keep_last": -1}, "--keep-last is -1"),
    ],
)
def test_what_cannot_be_watched_is_said(asked, said):
    with pytest.raises(InputError, match=said):
        Watching(**asked)
    with pytest.raises(InputError, match="something that is held out"):
        Watch(Watching(eval_every=5), Watched(lambda folder: None))
