"""Items that processes make ahead are the same as those made here; errors are ours, and no process stays behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unison_backend.errors import InputError, MediaError, ResourceError
from unison_backend.training.feed import Feed

ON_POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals and process groups")
BATCHES = [[3, 1], [4], [1, 5, 9], [2]]


class Squares:
    """Squares, beside the process that made them; 7 cannot be made, 8 is too much."""

    def __getitem__(self, index):
        if index == 7:
            raise MediaError("line 7: no picture")
        if index == 8:
            os.kill(os.getpid(), signal.SIGKILL)
        return index * index, os.getpid()


class Copied:
    """Whether the process that makes this is a copy of one in which something was set after the start."""

    set_later = False

    def __getitem__(self, index):
        return type(self).set_later


def test_processes_are_no_copies_of_one_whose_libraries_run_threads(monkeypatch):
    monkeypatch.setattr(Copied, "set_later", True)
    feed = Feed(Copied(), 1)
    with feed.made_ahead(lambda: [[1]]):
        assert feed.take([1]) == [False]


def test_an_error_that_is_kept_keeps_no_process():
    feed = Feed(Squares(), 2)
    with pytest.raises(MediaError) as kept, feed.made_ahead(lambda: [[1], [7], [2], [3]]):
        feed.take([1])
        iterator = feed._ahead
        feed.take([7])
    assert kept.value and iterator is not None and multiprocessing.active_children() == []


def test_batches_are_the_same_with_and_without_processes():
    with_two, alone = Feed(Squares(), 2), Feed(Squares())
    with with_two.made_ahead(lambda: BATCHES), alone.made_ahead(lambda: BATCHES):
        found = [(with_two.take(batch), alone.take(batch)) for batch in BATCHES]
    for ahead, here in found:
        assert [square for square, _ in ahead] == [square for square, _ in here]
    makers = {pid for ahead, _ in found for _, pid in ahead}
    assert len(makers) == 2 and os.getpid() not in makers
    assert {pid for _, here in found for _, pid in here} == {os.getpid()}
    assert multiprocessing.active_children() == []


def test_what_is_taken_outside_is_made_here_and_what_is_left_over_is_nothing():
    feed = Feed(Squares(), 1)
    with feed.made_ahead(lambda: BATCHES):
        assert feed.take(BATCHES[0])[0][1] != os.getpid()
    assert feed.take([5]) == [(25, os.getpid())]


def test_an_error_is_the_one_that_was_raised():
    feed = Feed(Squares(), 1)
    with pytest.raises(MediaError) as caught, feed.made_ahead(lambda: [[1], [7]]):
        feed.take([1])
        feed.take([7])
    assert str(caught.value) == "line 7: no picture" and multiprocessing.active_children() == []


@ON_POSIX
def test_a_process_that_dies_is_said_and_what_to_do():
    feed = Feed(Squares(), 1)
    died = pytest.raises(ResourceError, match=r"a process that reads ahead died .*fewer --workers")
    with died, feed.made_ahead(lambda: [[8]]):
        feed.take([8])
    assert multiprocessing.active_children() == []
    with pytest.raises(RuntimeError, match="mine"), feed.made_ahead(lambda: [[1]]):
        raise RuntimeError("mine")
    with pytest.raises(InputError, match="--workers is -2"):
        Feed(Squares(), -2)


TRAINING = """
import sys
sys.path.insert(0, sys.argv[1])
from test_feed import Squares
from unison_backend.cli.stopping import stop_signal
from unison_backend.training.feed import Feed

feed, pids = Feed(Squares(), 2), set()
with stop_signal(patient=True) as cancel, feed.made_ahead(lambda: ([1] for _ in iter(int, 1))):
    while not cancel():
        pids.add(feed.take([1])[0][1])
        if len(pids) == 2:
            print(*pids, flush=True)
            pids.clear()
    feed.take([1])  # the step that is under way
print("saved", flush=True)
"""


@ON_POSIX
@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM"])
def test_a_stop_that_all_processes_hear_ends_the_step_first_and_leaves_none(sent):
    command = [sys.executable, "-c", TRAINING, str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        makers = [int(pid) for pid in process.stdout.readline().split()]
        os.killpg(process.pid, getattr(signal, sent))
        rest = process.communicate(timeout=120)[0]
    assert rest.splitlines()[-1] == "saved" and process.returncode == 0
    deadline = time.monotonic() + 60
    while alive := [pid for pid in makers if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.1)
