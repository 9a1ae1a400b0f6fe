"""Each workflow, and each blueprint beside them."""

import pytest

from .shipped import BLUEPRINTS, NAMES, SUBGRAPHS, TITLES, read, workflow_of


@pytest.fixture(scope="module", params=NAMES)
def workflow(request):
    return workflow_of(request.param)


@pytest.fixture(scope="module", params=(*NAMES, *BLUEPRINTS))
def graph(request):
    """A workflow as it is, or the inside of a blueprint's subgraph, whose links from outside are left out."""
    if request.param in TITLES:
        return workflow_of(request.param)
    (nested,) = read(SUBGRAPHS / f"{request.param}.json")["definitions"]["subgraphs"]
    links = [
        [link["id"], link["origin_id"], link["origin_slot"], link["target_id"], link["target_slot"], link["type"]]
        for link in nested["links"]
    ]
    return {"name": nested["name"], "nodes": nested["nodes"], "groups": nested["groups"], "links": links}
