"""Progress where there is no terminal: a line a stage, and of a long one a line a minute."""

import pytest

from unison_backend.cli import terminal
from unison_backend.cli.terminal import Bar
from unison_backend.progress import duration


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    return now


def test_a_long_stage_says_each_minute_how_long_it_still_takes(clock, capsys):
    with Bar() as progress:
        for done in range(200, 320):  # a resumed one: what was done before says nothing of the rate
            progress("training", done, 1000)
            clock[0] += 10.0
        progress("saving", 0, 0)
        clock[0] += 600.0
        progress("saving", 1, 0)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "training ..." and lines[-1] == "saving ..."
    told = lines[1:-1]
    assert len(told) == 19 and told[0] == "training: 206 of 1000, about 2.2 h left"
    assert told[-1] == "training: 314 of 1000, about 1.9 h left"


def test_a_short_stage_is_one_line(clock, capsys):
    with Bar() as progress:
        for done in range(6):
            progress("loading", done, 5)
            clock[0] += 9.0
    assert capsys.readouterr().err == "loading ...\n"


def test_quiet_says_nothing(clock, capsys):
    with Bar(quiet=True) as progress:
        for done in range(3):
            progress("training", done, 5)
            clock[0] += 100.0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (59.4, "59 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h")]
)
def test_durations_as_people_say_them(seconds, said):
    assert duration(seconds) == said
