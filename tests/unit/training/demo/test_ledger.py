"""What a training has cost: added up over runs, told with what is left, and no reason to stop when it cannot be read."""

import json

import pytest

from unison_backend.training.demo import ledger
from unison_backend.training.demo.ledger import COSTS_FILE, USUAL_HOURS, Ledger
from unison_backend.training.demo.stages import STAGES


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set: seconds by the clock, and twice as many of CPU time."""
    now = [0.0]
    monkeypatch.setattr(ledger.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(ledger.time, "process_time", lambda: 2 * now[0])
    return now


def spend(folder, clock, stage, seconds, error=None):
    made = Ledger(folder)
    try:
        with made.counting(stage):
            clock[0] += seconds
            if error:
                raise error
    except ZeroDivisionError:
        pass
    return made


def test_every_stage_has_its_usual_hours():
    assert USUAL_HOURS.keys() == STAGES.keys() and min(USUAL_HOURS.values()) > 0


def test_what_a_stage_cost_adds_up_over_runs_that_were_stopped(tmp_path, clock):
    spend(tmp_path, clock, "vae", 100.0, ZeroDivisionError())
    made = spend(tmp_path, clock, "vae", 50.0)
    spend(tmp_path, clock, "vae", 0.01)  # done already: found in no time
    costs = json.loads((tmp_path / COSTS_FILE).read_text())
    assert costs == made.costs == {"vae": {"seconds": 150.0, "cpu_seconds": 300.0}}


def test_what_is_left_is_reckoned_from_what_was_done(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(ledger, "USUAL_HOURS", {"vae": 2.0, "text": 0.5, "vace": 3.0})
    spend(tmp_path, clock, "vae", 7200.0)
    assert Ledger(tmp_path).told("vae", ["text", "vace"]) == (
        "vae: took 2.0 h (4.0 h of CPU time); left: text, vace, about 3.5 h"
    )
    spend(tmp_path, clock, "text", 5400.0)  # three times as slow as usual
    assert Ledger(tmp_path).told("text", ["vace"]).endswith("left: vace, about 4.2 h")
    spend(tmp_path, clock, "vace", 45.0)
    assert Ledger(tmp_path).told("vace", []) == "vace: took 45 s (2 min of CPU time)"


def test_nothing_is_reckoned_from_nothing(tmp_path):
    assert Ledger(tmp_path).told("vae", ["text"]) == "vae: was done; left: text"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"vae": 3}', '{"vae": {"seconds": "x"}}', '{"other": {"seconds": 1}}']
)
def test_costs_that_cannot_be_read_are_begun_again(text, tmp_path, clock):
    (tmp_path / COSTS_FILE).write_text(text)
    assert spend(tmp_path, clock, "text", 5.0).costs == {"text": {"seconds": 5.0, "cpu_seconds": 10.0}}
