"""The example workflows in the real frontend, in a headless browser: they load whole, look tidy, queue and run.

Needs a host (see tests/host/host_install.py), Chromium (CHROMIUM, else on the path), node, and playwright-core, found
by PLAYWRIGHT_CORE, in a node_modules folder beside this file or in the repository, or installed globally. Without
them the tests are skipped. UNISON_SCREENSHOTS=folder keeps the pictures; scripts/workflow_pictures.py makes thumbnails of
them.
"""

import json
import re
from pathlib import Path
from urllib.parse import unquote

import comfy_host
import node_shapes
import pytest
import sessions
from sessions import MODES, NODES2_RELEASE

ROOT = Path(__file__).resolve().parents[2]
API = ROOT / "tests" / "host" / "api"
TITLES = json.loads((API / "titles.json").read_text("utf-8"))
"""File name in the template browser by the name that a workflow has in tests."""
WORKFLOWS = {
    name: json.loads((ROOT / "workflows" / f"{title}.json").read_text("utf-8")) for name, title in TITLES.items()
}
# Graphs as earlier releases saved them, by a name that files can have.
SAVED = {
    f"saved {path.parent.name} {path.stem}": path
    for path in sorted((ROOT / "tests" / "host" / "saved").glob("*/*.json"))
}
# Every template but the one for models of one's own runs on the first Run (tests/host); here some of each kind.
RUN = ("unison_demo", "unison_auto", "unison_inpaint", "unison_editing", "unison_understanding", "unison_mixed_nodes")
# Templates with nodes that not every host has.
NEWER = {"unison_sam3": {"SAM3_VideoTrack", "SAM3_TrackToMask"}}
# The frontend says this of each bypassed node that has no input to pass on, and where it may not ask a model's site
# how large a file is.
HARMLESS = ("ExecutableNodeDTO.resolveOutput", "Connecting to 'https://", "Fetch API cannot load https://")
# Widgets that a frontend adds of its own, or a newer host has besides.
EXTRA_INPUTS = {"PreviewAny": {"preview", "previewMode"}, "SaveVideo": {"format.codec"}, "CreateVideo": {"bit_depth"}}
EXTRA_INPUTS["LoadVideo"] = {"video-preview"}
EXTRA_INPUTS["PreviewAny"] |= {"preview_markdown", "preview_text", "preview_mode"}


def prompt_of(name):
    """A committed prompt."""
    return json.loads((API / f"{name}.json").read_text("utf-8"))


@pytest.fixture(scope="module", params=MODES)
def seen(request, host, tmp_path_factory):
    """What frontend.mjs found out, in one session of the browser."""
    if request.param == "nodes 2.0" and host.install.release < NODES2_RELEASE:
        pytest.skip(f"ComfyUI {host.install.version} has no finished Nodes 2.0")
    settings = {
        "pack": comfy_host.PACK,
        "workflows": WORKFLOWS | {name: json.loads(path.read_text("utf-8")) for name, path in SAVED.items()},
        "run": RUN,
        "nodes2": request.param == "nodes 2.0",
    }
    return sessions.drive("frontend.mjs", host, settings, sessions.folder(tmp_path_factory, host, request.param))


@pytest.fixture(params=WORKFLOWS)
def case(request, host, seen):
    """(name, the file, what the frontend made of it)."""
    if request.param in NEWER and (lacks := NEWER[request.param] - host.object_info().keys()):
        pytest.skip(f"ComfyUI {host.install.version} has no {', '.join(sorted(lacks))}")
    return request.param, WORKFLOWS[request.param], seen["workflows"][request.param]


def by_id(workflow):
    return {node["id"]: node for node in workflow["nodes"]}


def naming_us(lines):
    """Messages about the pack; the frontend's own troubles (favicons, no network) do not count."""
    ours = (line for line in lines if re.search("unison", line, re.IGNORECASE))
    return [line for line in ours if not any(text in line for text in HARMLESS)]


def test_the_frontend_loads_the_pack_in_silence(seen):
    assert naming_us(seen["console"]) == []


def test_every_node_is_known_and_nothing_is_complained_of(case):
    _, _, found = case
    assert found["missing"] == []
    assert naming_us(found["console"]) == []
    # 1.35 lists models of bypassed loaders too; newer frontends say nothing. The first app is greeted.
    assert all(text.startswith(("Missing Models", "Welcome to Apps")) for text in found["dialogs"])


def test_links_survive(case):
    _, workflow, found = case
    assert sorted(map(tuple, found["graph"]["links"])) == sorted(map(tuple, workflow["links"]))


def test_widget_values_survive(case):
    _, workflow, found = case
    loaded = by_id(found["graph"])
    for node in workflow["nodes"]:
        values = node["widgets_values"]
        assert (loaded[node["id"]].get("widgets_values") or [])[: len(values)] == values, node["type"]


def test_modes_titles_and_groups_survive(case):
    _, workflow, found = case
    loaded = by_id(found["graph"])
    named = {nested["id"]: nested["name"] for nested in workflow.get("definitions", {}).get("subgraphs", ())}
    for node in workflow["nodes"]:
        assert loaded[node["id"]]["mode"] == node["mode"]
        # A node's usual title, of a subgraph its name, is not saved.
        usual = named.get(node["type"], node["type"])
        assert loaded[node["id"]].get("title", usual) == node.get("title", loaded[node["id"]].get("title", usual))
    assert [group["title"] for group in found["graph"]["groups"]] == [group["title"] for group in workflow["groups"]]


def test_no_node_outgrows_its_place(case):
    """The file's rectangles do not overlap (a unit test); so the drawn ones do not either, nor with results shown."""
    _, workflow, found = case
    for sizes in filter(None, (found["sizes"], found.get("sizesAfterRun"))):
        for node in workflow["nodes"]:
            x, y, width, height = sizes[str(node["id"])]
            assert [x, y] == pytest.approx(node["pos"], abs=1)
            assert width <= node["size"][0] + 1, node["type"]
            assert height <= node["size"][1] + 1, node["type"]


def compare(queued, wanted):
    """What the frontend would queue is the committed prompt, but for widgets that it or a newer host has besides."""
    assert set(queued) == set(wanted)
    for node, entry in wanted.items():
        assert queued[node]["class_type"] == entry["class_type"]
        inputs = queued[node]["inputs"]
        assert set(inputs) - set(entry["inputs"]) <= EXTRA_INPUTS.get(entry["class_type"], set()), entry["class_type"]
        assert {key: inputs.get(key) for key in entry["inputs"]} == entry["inputs"]


def test_what_is_queued_is_the_committed_prompt(case):
    name, _, found = case
    compare(found["prompt"], prompt_of(name))


@pytest.mark.parametrize("name", SAVED)
def test_a_saved_graph_loads_and_queues_what_it_did(seen, name):
    found, path = seen["workflows"][name], SAVED[name]
    assert found["missing"] == [] and naming_us(found["console"]) == []
    wanted = json.loads((path.parent / "api" / path.name).read_text("utf-8"))
    ours = node_shapes.load(node_shapes.OURS)
    for node, entry in wanted.items():  # what came later has its default, with which the node does what it did
        optional = ours.get(entry["class_type"], {"inputs": {}})["inputs"].get("optional", {})
        for later in (set(found["prompt"][node]["inputs"]) - set(entry["inputs"])) & set(optional):
            assert found["prompt"][node]["inputs"][later] == optional[later][1]["default"], (node, later)
            entry["inputs"][later] = found["prompt"][node]["inputs"][later]
    compare(found["prompt"], wanted)


@pytest.mark.parametrize("name", RUN)
def test_run_runs(seen, name):
    status, detail = seen["workflows"][name]["run"]
    assert status == "execution_success", detail


def test_the_template_browser_shows_them_with_thumbnails(host, seen):
    assert set(host.get("/workflow_templates")[comfy_host.PACK]) == set(TITLES.values())
    asked = {unquote(path): status for path, status in seen["templates"].items()}
    assert set(asked) == {f"/api/workflow_templates/{comfy_host.PACK}/{title}.jpg" for title in TITLES.values()}
    assert set(seen["templates"].values()) == {200}
    for path in seen["templates"]:
        status, body = host.request(path)
        assert status == 200 and body.startswith(b"\xff\xd8"), path


def test_the_committed_core_nodes_are_this_hosts(host):
    committed = node_shapes.load(node_shapes.CORE).get(host.install.version)
    if committed is None:
        pytest.skip(f"no definitions of ComfyUI {host.install.version} are committed")
    assert {name: node_shapes.shape(host.object_info(name)) for name in committed} == committed
