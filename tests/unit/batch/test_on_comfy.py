"""Lines made by servers: each once, those of a server that is gone by the others."""

import json
from contextlib import ExitStack

import pytest

from unison_backend.batch.batch import run_batch
from unison_backend.batch.job import Job, Setup
from unison_backend.batch.on_comfy import OnComfy
from unison_backend.comfy import make as making
from unison_backend.comfy.models import ServerModels
from unison_backend.comfy.server import Server
from unison_backend.errors import ServerError
from unison_backend.plan.prompt import Prompt
from unison_backend.progress import never, silent
from unison_backend.sources.prepare import Annotators
from unison_backend.weights.find import ModelPaths

from ..comfy_server import Comfy, serving

COLOURS = ("red", "green", "blue", "yellow")


@pytest.fixture
def batch(tmp_path, monkeypatch):
    """`batch(*servers)` makes four lines by servers and gives (tally, rows by prompt, notes)."""
    monkeypatch.setattr(making, "_POLL", (0.01, 0.01))
    monkeypatch.setattr(making, "_PATIENCE", 0.0)
    lines = [{"prompt": f"Create an image of a {colour} circle"} for colour in COLOURS]
    file = tmp_path / "lines.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    setup = Setup(tmp_path / "out", ModelPaths(demo=True), device="cpu", there=Annotators())
    with ExitStack() as stack:

        def run(*comfys):
            servers = [Server(stack.enter_context(serving(comfy)).url) for comfy in comfys]
            notes, heard = [], []
            executor = OnComfy(servers, ServerModels(), ModelPaths, notes.append)
            job = Job(number=0, prompt=Prompt(("-",)))
            tally = run_batch(file, setup, job, executor, lambda row, _: heard.append(row), silent, never)
            return tally, heard, notes

        run.out = setup.out
        yield run


def test_two_servers_share_the_lines(batch):
    one, two = Comfy(), Comfy()
    tally, rows, _ = batch(one, two)
    assert (tally.done, tally.failed) == (4, 0)
    assert len(one.graphs) + len(two.graphs) == 4
    assert sorted(row.path for row in rows) == sorted(file.name for file in batch.out.glob("*.png"))
    again, rows, _ = batch(Comfy())
    assert (again.found, again.done, rows) == (4, 0, [])


def test_a_server_that_goes_hands_its_line_on(batch):
    gone = Comfy(forgets=True)  # as one that was killed and started without the pack
    gone.nodes.clear()
    tally, rows, notes = batch(gone, Comfy())
    assert (tally.done, tally.failed) == (4, 0)
    assert len(rows) == 4
    if gone.graphs:
        assert len(notes) == 1 and gone.url in notes[0]


def test_the_last_server_to_go_ends_the_batch_and_what_is_made_stays(batch):
    gone = Comfy(forgets=True)
    gone.nodes.clear()
    with pytest.raises(ServerError, match="was it started anew"):
        batch(gone)
    tally, _, _ = batch(Comfy())
    assert tally.done == 4


def test_a_line_that_takes_its_server_down_twice_is_a_row(batch):
    """The server is there again each time, so the others are made by it."""
    tally, rows, _ = batch(Comfy(forgets=True))
    assert tally.failed == 4
    assert all("started anew" in row.error for row in rows)


def test_an_error_of_a_node_is_a_row_and_never_the_end(batch):
    tally, rows, _ = batch(Comfy(error={"node_type": "VAEDecode", "exception_message": "out of memory"}))
    assert tally.failed == 4
    assert all("VAEDecode on" in row.error and "out of memory" in row.error for row in rows)
