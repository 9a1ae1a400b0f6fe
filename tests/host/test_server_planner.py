"""A server plans and answers in the real host, on the loopback address; the key is nowhere but in the request.

The host's Python takes the package openai; UNISON_TEST_OPENAI names a folder with it for a host that has none.
"""

import json
import subprocess

import graphs
import pytest
from host_packages import environment_with, unit_module
from host_prompts import Graph

from unison_backend.planner.prompt.plan_schema import EMPTY

KEY = "sk-verysecret0123456789"
RED = json.dumps(EMPTY | {"task": "text_to_image", "width": 64, "height": 64, "other_reading": "text_to_video"})
SKY = json.dumps(EMPTY | {"task": "text_understanding", "answer": "Blue light scatters."})


chat_server = unit_module("chat_server")


@pytest.fixture(scope="module")
def with_openai(host_install):
    """What the host's environment takes so that it can import openai."""
    return environment_with(host_install, "openai", "UNISON_TEST_OPENAI")


@pytest.fixture(scope="module")
def asking(host_install, host_environment, with_openai, tmp_path_factory):
    """A host that can ask servers, with a key in its environment and one in its user folder."""
    import comfy_host

    base = tmp_path_factory.mktemp("asking")
    env = {**host_environment, **with_openai, "UNISON_SERVER_KEY_MINE": KEY}
    (keys := base / "user" / "__unison" / "keys").mkdir(parents=True)
    (keys / "mine.txt").write_text(f"127.0.0.1 {KEY}\n", encoding="utf-8")
    (keys / "other.txt").write_text(f"api.example.com {KEY}\n", encoding="utf-8")
    with comfy_host.ComfyHost(host_install, base=base, env=env) as running:
        yield running


def planned(stub, instruction, **inputs):
    graph = Graph()
    server = graph.node("UnisonServerPlanner", server_url=stub.url, model="tiny", **inputs)
    planner = graph.node("UnisonPlanner", instruction=instruction, planner=server)
    return graph, planner


def test_a_plan_and_its_picture_and_the_key_nowhere(asking):
    with chat_server.serving(RED) as stub:
        graph = Graph()
        server = graph.node("UnisonServerPlanner", server_url=stub.url, model="tiny", key="UNISON_SERVER_KEY_MINE")
        models = graph.node("UnisonDemoModels")
        planner = graph.node("UnisonPlanner", instruction="a red circle", planner=server)
        last = graphs.all_in_one(graph, models, planner, steps=2)
        saved = graphs.save_image(graph, last[0])
        run = graphs.succeeded(asking.run(graph.prompt))
    card = run.outputs[planner.id]["unison_plan"][0]
    assert (card["planner"], card["task"], card["width"]) == ("server", "text_to_image", 64)
    assert any("could also be text to video" in reason["text"] for reason in card["reasons"])
    assert stub.requests[0][1]["Authorization"] == f"Bearer {KEY}"
    picture = run.outputs[saved.id]["images"][0]["filename"]
    assert len(stub.requests) == 1
    files = [path for path in asking.base.rglob("*") if path.is_file() and "keys" not in path.parts]
    assert any(path.name == picture for path in files)
    for path in files:
        if "custom_nodes" not in path.parts:
            assert KEY.encode() not in path.read_bytes(), path
    assert KEY not in asking.log()
    assert KEY not in json.dumps(asking.get("/history"))
    assert KEY not in json.dumps(asking.get("/object_info/UnisonServerPlanner"))
    assert KEY not in json.dumps(run.events, default=str)


def test_a_question_is_answered_with_a_key_from_a_file(asking):
    with chat_server.serving(SKY) as stub:
        graph, planner = planned(stub, "Why is the sky blue?", key="file: mine.txt")
        shown = graph.node("PreviewAny", source=planner[2])
        run = graphs.succeeded(asking.run(graph.prompt))
    assert run.outputs[shown.id]["text"] == ["Blue light scatters."]
    assert stub.requests[0][1]["Authorization"] == f"Bearer {KEY}"
    assert len(stub.requests) == 1


def test_media_reach_the_server(asking):
    edit = json.dumps(EMPTY | {"task": "image_editing", "source": 0, "target": "wall"})
    with chat_server.serving(edit) as stub:
        graph = Graph()
        server = graph.node("UnisonServerPlanner", server_url=stub.url, model="tiny")
        picture = graph.node("EmptyImage", width=64, height=64, batch_size=1, color=0xFF0000)
        planner = graph.node("UnisonPlanner", instruction="paint the wall", planner=server, image1=picture)
        details = graph.node("UnisonPlanDetails", plan=planner[0])
        graph.node("PreviewAny", source=details[16])
        run = graphs.succeeded(asking.run(graph.prompt))
    card = run.outputs[planner.id]["unison_plan"][0]
    assert (card["task"], card["source"], card["target"]) == ("image_editing", 0, "wall")
    parts = stub.requests[0][0]["messages"][1]["content"]
    assert [part["type"] for part in parts].count("image_url") == 1


def test_cancel_closes_the_connection(asking):
    with chat_server.serving(chat_server.silent) as stub:
        graph, planner = planned(stub, "a red square")
        graph.node("PreviewAny", source=planner[2])
        handle = asking.start(graph.prompt)
        handle.wait_for_node(planner)
        assert stub.asked.wait(60)
        handle.interrupt()
        run = handle.result()
        assert run.status == "interrupted", run.why
        assert stub.left.wait(1)


@pytest.mark.parametrize(("on_failure", "status"), [("rules", "success"), ("error", "error")])
def test_a_wrong_address(asking, on_failure, status):
    with chat_server.serving(RED) as stub:
        pass
    graph, planner = planned(stub, f"a blue square, {on_failure}", on_failure=on_failure)
    graph.node("PreviewAny", source=planner[2])
    run = asking.run(graph.prompt)
    if status == "error":
        assert f"nobody answers at {stub.url}/v1" in run.why
    else:
        graphs.succeeded(run)
        card = run.outputs[planner.id]["unison_plan"][0]
        assert card["task"] == "text_to_image"
        assert any("planned by the rules: nobody answers" in notice for notice in card["notices"])


def test_a_server_that_fails_echoes_no_key(asking):
    with chat_server.serving(chat_server.error(500, f"quota of {KEY} is used up")) as stub:
        graph, planner = planned(stub, "a grey cat", key="UNISON_SERVER_KEY_MINE", on_failure="error")
        graph.node("PreviewAny", source=planner[2])
        run = asking.run(graph.prompt)
    assert "quota of (key) is used up" in run.why
    assert KEY not in asking.log()
    assert KEY not in json.dumps(run.events, default=str)


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"server_url": "  "}, "server_url is empty"),
        ({"server_url": "http://me:pw@host"}, "keys belong into the environment variable"),
        ({"server_url": "ftp://host"}, "is none: write it as"),
        ({"server_url": "http://localhost:1", "key": "HOME"}, "'HOME' is not here"),
        ({"server_url": "http://localhost:1", "key": "file: ../../secret.txt"}, "is not here"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(asking, inputs, told):
    graph = Graph()
    planner = graph.node("UnisonPlanner", instruction="a cat", planner=graph.node("UnisonServerPlanner", **inputs))
    graph.node("PreviewAny", source=planner[2])
    assert told in asking.run(graph.prompt).why


def test_a_key_of_another_server_stays_here(asking):
    with chat_server.serving(RED) as stub:
        graph, planner = planned(stub, "a green cat", key="file: other.txt", on_failure="error")
        graph.node("PreviewAny", source=planner[2])
        run = asking.run(graph.prompt)
    assert "names another server, so it is not sent to 127.0.0.1" in run.why
    assert stub.requests == []


def test_without_the_package_the_node_says_how_to_get_it(host, host_install):
    tried = subprocess.run([str(host_install.python), "-c", "import openai"], capture_output=True, check=False)
    if not tried.returncode:
        pytest.skip("this host has the package openai")
    with chat_server.serving(RED) as stub:
        graph, planner = planned(stub, "a kite")
        graph.node("PreviewAny", source=planner[2])
        run = host.run(graph.prompt)
    assert "the library openai is not installed" in run.why
    assert "install" in run.why
