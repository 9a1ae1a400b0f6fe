"""Graphs that people saved with earlier releases run as they are: saved graphs are for ever."""

import graphs
import pytest
from test_auto import media  # noqa: F401
from test_shipped_workflows import HERE, WANTING, prompt_of, shrink

SAVED = sorted((HERE / "saved").glob("*/api/*.json"))


def test_there_are_some():
    assert len(SAVED) >= 16


@pytest.mark.parametrize("path", SAVED, ids=lambda path: f"{path.parents[1].name} {path.stem}")
def test_a_saved_prompt_runs(host, media, path):  # noqa: F811
    run = host.run(shrink(prompt_of(path)), timeout=600)
    if path.stem in WANTING:
        assert run.status == "error" and "but that input is not connected" in run.why
        return
    graphs.succeeded(run)
    files = [file for node in run.outputs for file in run.files(node)]
    texts = [value for node in run.outputs.values() for key, value in node.items() if key == "text"]
    assert files or texts
    assert all(file.stat().st_size > 0 for file in files)
