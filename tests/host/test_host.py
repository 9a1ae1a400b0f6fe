"""The pack in a real ComfyUI: it loads in silence and at no cost, and the host answers. Also what the driver reports.

Only the host's own nodes appear here, and a few of a test pack where the host has none of the kind.
"""

import os
import socket
import subprocess
import sys
from io import BytesIO

import comfy_host
import graphs
import pytest
from comfy_host import PACK, ComfyHost
from host_install import HostError
from host_prompts import Graph
from PIL import Image

GATES = '''
from comfy_api.latest import ComfyExtension, io
from comfy_execution.graph import ExecutionBlocker
from comfy_execution.graph_utils import GraphBuilder
from comfy.utils import ProgressBar
from PIL import Image
from server import PromptServer


class Gate(io.ComfyNode):
    """Blocks, with the message if there is one."""

    @classmethod
    def define_schema(cls):
        inputs = [io.Image.Input("image"), io.String.Input("message")]
        return io.Schema("TestGate", inputs=inputs, outputs=[io.Image.Output()])

    @classmethod
    def execute(cls, image, message):
        return io.NodeOutput(ExecutionBlocker(message or None))


class Source(io.ComfyNode):
    """Has no inputs at all."""

    @classmethod
    def define_schema(cls):
        return io.Schema("TestSource", inputs=[], outputs=[io.Int.Output()])

    @classmethod
    def execute(cls):
        return io.NodeOutput(64)


class Expand(io.ComfyNode):
    """Becomes two stock nodes, one of which shows something."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            "TestExpand", inputs=[io.Image.Input("image")], outputs=[io.Image.Output()], enable_expand=True
        )

    @classmethod
    def execute(cls, image):
        graph = GraphBuilder()
        inverted = graph.node("ImageInvert", image=image)
        graph.node("PreviewImage", images=inverted.out(0))
        return io.NodeOutput(inverted.out(0), expand=graph.finalize())


class Talk(io.ComfyNode):
    """Reports progress, shows a preview and says something."""

    @classmethod
    def define_schema(cls):
        inputs, outputs = [io.Image.Input("image")], [io.Image.Output()]
        return io.Schema("TestTalk", inputs=inputs, outputs=outputs, hidden=[io.Hidden.unique_id])

    @classmethod
    def execute(cls, image):
        bar = ProgressBar(3, node_id=cls.hidden.unique_id)
        bar.update_absolute(1, 3)
        bar.update_absolute(2, 3, ("JPEG", Image.new("RGB", (32, 16)), None))
        PromptServer.instance.send_progress_text("half way", cls.hidden.unique_id)
        return io.NodeOutput(image)


class Fail(io.ComfyNode):
    """Raises."""

    @classmethod
    def define_schema(cls):
        return io.Schema("TestFail", inputs=[io.Image.Input("image")], outputs=[io.Image.Output()])

    @classmethod
    def execute(cls, image):
        raise ValueError("as it must")


class Extension(ComfyExtension):
    async def get_node_list(self):
        return [Gate, Source, Expand, Talk, Fail]


async def comfy_entrypoint():
    return Extension()
'''

BROKEN = """
import warnings

warnings.warn("something about us")


async def comfy_entrypoint():
    raise ValueError("does not load")
"""


def picture(graph, color=0, size=64, batch=1):
    """A plain picture; the color keeps the prompts of different tests apart in the shared host's cache."""
    return graph.node("EmptyImage", width=size, height=size, batch_size=batch, color=color)


@pytest.fixture(scope="module")
def plain_host(host_install, host_environment, tmp_path_factory):
    """A host that runs main.py itself, with nothing of ours but the pack."""
    base = tmp_path_factory.mktemp("host")
    with ComfyHost(host_install, base=base, env=host_environment, watch=False) as running:
        yield running


@pytest.fixture(scope="module")
def gates(host_install, tmp_path_factory):
    """A host without a cache that has the test pack, and one that does not load, beside ours."""
    folder = tmp_path_factory.mktemp("packs")
    for name, text in (("test-gates", GATES), ("test-broken", BROKEN)):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(text, "utf-8")
    packs = [folder / "test-gates", folder / "test-broken"]
    base = tmp_path_factory.mktemp("host")
    with ComfyHost(host_install, "--cache-none", base=base, packs=packs) as running:
        yield running


# ------------------------------------------------------------------------------------------------ the pack


def test_the_pack_loads_without_a_word(plain_host, host):
    assert plain_host.startup_faults() == []
    assert host.startup_faults() == []


def test_a_port_that_another_program_took_meanwhile_is_not_the_last_word(host_install, host_environment, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ports = [other.getsockname()[1]]

        class Late(ComfyHost):
            def free_port(self) -> int:
                return ports.pop() if ports else super().free_port()

        with Late(host_install, base=tmp_path, env=host_environment, watch=False) as running:
            assert not ports and running.alive and running.port != other.getsockname()[1]


def test_faults_are_found(gates):
    faults = "\n".join(gates.startup_faults("test-broken"))
    assert "UserWarning: something about us" in faults
    assert "does not load" in faults and "IMPORT FAILED" in faults
    assert gates.startup_faults("test-gates") != []  # the other pack's failure is in the same log
    assert not [line for line in gates.startup_faults() if "nison" in line]


def test_the_pack_imports_nothing_but_itself_to_load(run_inside):
    found = run_inside("imports.py")
    assert found["nodes"] > 10
    assert found["came"] == []


def test_the_host_describes_its_nodes(host):
    everything = host.object_info()
    assert host.object_info("EmptyImage") == everything["EmptyImage"]
    strangers = {info["python_module"] for info in everything.values() if info["python_module"].startswith("custom_")}
    assert strangers <= {f"custom_nodes.{PACK}"}
    with pytest.raises(KeyError):
        host.object_info("NoSuchNode")


# ------------------------------------------------------------------------------------------------ bad prompts


@pytest.mark.parametrize(
    ("prompt", "about"),
    [
        ({"1": {"class_type": "NoSuchNode", "inputs": {}}}, "NoSuchNode"),
        ({"1": {"inputs": {}}}, "class_type"),
        ({}, "no outputs"),
        (
            {"1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}}},
            "no outputs",
        ),
        ({"1": {"class_type": "PreviewImage", "inputs": {}}}, "images"),
        (
            {
                "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
                "2": {
                    "class_type": "EmptyImage",
                    "inputs": {"width": ["1", 0], "height": 8, "batch_size": 1, "color": 0},
                },
                "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
            },
            "width",
        ),
        (
            {
                "1": {"class_type": "EmptyImage", "inputs": {"width": -1, "height": 8, "batch_size": 1, "color": 0}},
                "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
            },
            "width",
        ),
    ],
    ids=["unknown class", "no class", "empty", "no output node", "missing input", "wrong type", "out of range"],
)
def test_bad_prompts_are_refused_and_the_host_lives(host, prompt, about):
    run = host.run(prompt)
    assert run.status == "rejected" and run.prompt_id is None and not run.events
    assert about in run.why
    graph = Graph()
    graph.node("PreviewImage", images=picture(graph))
    assert host.run(graph).status == "success"


def test_what_is_no_prompt_at_all_is_refused_and_the_host_lives(host):
    for body in (b"{", b"[]", b'{"prompt": 1}', b"\xff\xfe"):
        status, _ = host.request("/prompt", body, headers={"Content-Type": "application/json"})
        assert status >= 400
    assert host.get("/system_stats")["devices"][0]["type"] == "cpu"


def test_a_good_output_runs_beside_a_bad_one(host):
    graph = Graph()
    good = graph.node("PreviewImage", images=picture(graph, 1))
    bad = graph.node("PreviewImage")
    run = host.run(graph)
    assert run.status == "success" and list(run.node_errors) == [bad.id] and len(run.files(good)) == 1


# ------------------------------------------------------------------------------------------------ runs


def test_a_run_gives_a_file_and_the_second_is_cached(host):
    graph = Graph()
    source = picture(graph, 0xFF8000)
    shown = graph.node("PreviewImage", images=source)
    first = host.run(graph)
    assert first.status == "success", first.why
    assert first.reached == first.executed == [source.id, shown.id] and first.cached == [] == first.blocked
    (path,) = first.files(shown)
    assert path.parent == host.folders["temp"]
    assert Image.open(path).getpixel((5, 5)) == (255, 128, 0)
    second = host.run(graph)
    assert second.status == "success" and second.reached == second.executed == []
    assert set(second.cached) == {source.id, shown.id} and second.files(shown) == [path]
    assert first.progress and first.seconds >= 0


def test_saving_and_loading(host):
    buffer = BytesIO()
    Image.new("RGB", (24, 16), (1, 2, 3)).save(buffer, "PNG")
    name = host.upload("blue picture.png", buffer.getvalue())
    assert (host.input_folder / name).is_file()
    graph = Graph()
    saved = graph.node("SaveImage", images=graph.node("LoadImage", image=name), filename_prefix="sub/picture")
    run = host.run(graph)
    assert run.status == "success", run.why
    (path,) = run.files(saved)
    assert path.parent == host.output_folder / "sub" and Image.open(path).size == (24, 16)


def test_only_the_targets_run(host):
    graph = Graph()
    first = graph.node("PreviewImage", images=picture(graph, 2))
    second = graph.node("PreviewImage", images=picture(graph, 3))
    run = host.run(graph, partial_execution_targets=[second.id])
    assert run.status == "success" and first.id not in run.reached and second.id in run.executed


def test_an_unwanted_branch_is_not_reached(host):
    graph = Graph()
    wanted, unwanted = picture(graph, 4), picture(graph, 5)
    chosen = graph.node("ComfySwitchNode", switch=True, on_true=wanted, on_false=unwanted)
    shown = graph.node("PreviewImage", images=chosen)
    run = host.run(graph)
    assert run.status == "success", run.why
    assert run.visits == [chosen.id, wanted.id, chosen.id, shown.id]  # it asks, gets, and works
    assert run.executed == [wanted.id, chosen.id, shown.id] and set(run.calls.values()) == {1}
    assert unwanted.id not in run.reached and run.blocked == []


def test_the_twin_of_a_node_is_not_reached(host):
    graph = Graph()
    twins = picture(graph, 13), picture(graph, 13)
    shown = [graph.node("PreviewImage", images=twin) for twin in twins]
    run = host.run(graph)
    assert run.status == "success", run.why
    assert len({twin.id for twin in twins} & set(run.reached)) == 1 and run.cached == []
    assert all(run.files(node) for node in shown)


def test_a_run_that_takes_too_long_is_given_up(host):
    graph = Graph()
    image = picture(graph, 14, size=512, batch=2)
    for step in range(30):
        image = graph.node("ImageBlur", image=image, blur_radius=31, sigma=1 + step / 10)
    graph.node("PreviewImage", images=image)
    with pytest.raises(HostError, match=r"no such event in 0\.25 s"):
        host.run(graph, timeout=0.25)
    after = Graph()
    after.node("PreviewImage", images=picture(after, 15))
    assert host.run(after).status == "success"
    assert host.get("/prompt")["exec_info"]["queue_remaining"] == 0


def test_a_node_mapped_over_a_list_is_called_for_each(host):
    graph = Graph()
    parts = graph.node("RebatchImages", images=picture(graph, 6, batch=3), batch_size=1)
    inverted = graph.node("ImageInvert", image=parts)
    shown = graph.node("PreviewImage", images=inverted)
    run = host.run(graph)
    assert run.status == "success", run.why
    assert run.calls[inverted.id] == 3 and run.visits.count(inverted.id) == 1 and len(run.files(shown)) == 3


@pytest.mark.parametrize("only_this", [False, True], ids=["whatever runs", "this prompt"])
def test_cancel_ends_a_run_and_the_host_lives(host, only_this):
    graph = Graph()
    image = first = picture(graph, 1000 + only_this, size=512, batch=2)
    for step in range(30):
        image = graph.node("ImageBlur", image=image, blur_radius=31, sigma=1 + step / 10)
    shown = graph.node("PreviewImage", images=image)
    handle = host.start(graph)
    handle.wait_for_node("2")
    handle.interrupt(only_this=only_this)
    run = handle.result()
    assert run.status == "interrupted", run.why
    assert first.id in run.executed and shown.id not in run.reached
    after = Graph()
    after.node("PreviewImage", images=picture(after, 8))
    assert host.run(after).status == "success"


# ------------------------------------------------------------------------------------------------ what events mean


@pytest.mark.parametrize("message", ["", "not today"])
def test_a_blocked_node_is_reached_but_not_executed(gates, message):
    graph = Graph()
    source = picture(graph, 9)
    gate = graph.node("TestGate", image=source, message=message)
    hit = graph.node("ImageInvert", image=gate)
    after = graph.node("ImageInvert", image=hit)
    shown = graph.node("PreviewImage", images=after)
    run = gates.run(graph)
    assert run.status == "success" and run.error is None, run.why
    assert run.reached == [source.id, gate.id, hit.id, after.id, shown.id]
    assert run.executed == [source.id, gate.id]
    assert run.blocked == [hit.id, after.id, shown.id] and run.files(shown) == []
    assert list(run.blocks) == ([hit.id] if message else [])
    last = run.progress[-1]["data"]["nodes"]
    assert last[after.id]["state"] == "finished"  # why progress_state cannot tell


def test_a_node_without_inputs_counts_as_executed(gates):
    graph = Graph()
    source = graph.node("TestSource")
    graph.node("PreviewImage", images=graph.node("EmptyImage", width=source, height=8, batch_size=1, color=0))
    run = gates.run(graph)
    assert run.status == "success", run.why
    assert run.executed[0] == source.id and run.blocked == []


def test_an_expansion_is_shown_as_the_node_that_expanded(gates):
    graph = Graph()
    expanded = graph.node("TestExpand", image=picture(graph, 10))
    shown = graph.node("PreviewImage", images=expanded)
    run = gates.run(graph)
    assert run.status == "success", run.why
    inner = [node for node in run.executed if node not in graph.prompt]
    assert len(inner) == 2 and {run.display[node] for node in inner} == {expanded.id}
    assert run.calls[expanded.id] == 1 and len(run.files(expanded)) == 1 == len(run.files(shown))


def test_progress_previews_and_texts_are_told(gates):
    graph = Graph()
    talking = graph.node("TestTalk", image=picture(graph, 12))
    graph.node("PreviewImage", images=talking)
    run = gates.run(graph)
    assert run.status == "success", run.why
    states = [e["data"]["nodes"].get(talking.id) for e in run.progress if e["type"] == "progress_state"]
    steps = [state["value"] for state in states if state and state["max"] == 3 and state["state"] == "running"]
    assert steps == [1, 2]
    (preview,) = run.previews
    assert preview["node_id"] == talking.id and Image.open(BytesIO(preview["image"])).size == (32, 16)
    assert run.texts == [(talking.id, "half way")]


def test_an_error_ends_the_run_and_is_told(gates):
    graph = Graph()
    failed = graph.node("TestFail", image=picture(graph, 11))
    shown = graph.node("PreviewImage", images=failed)
    run = gates.run(graph)
    assert run.status == "error" and run.error["node_id"] == failed.id and "as it must" in run.why
    assert failed.id in run.executed and shown.id not in run.reached
    with pytest.raises(RuntimeError, match="succeeded"):
        _ = run.blocked


# ------------------------------------------------------------------------------------------------ the driver


def test_a_host_that_is_not_watched_says_so(plain_host):
    graph = Graph()
    shown = graph.node("PreviewImage", images=picture(graph))
    run = plain_host.run(graph)
    assert run.status == "success" and shown.id in run.reached
    with pytest.raises(RuntimeError, match="watch=True"):
        _ = run.executed


def test_arguments_reach_the_host(gates):
    graph = Graph()
    shown = graph.node("PreviewImage", images=picture(graph))
    for _ in range(2):
        run = gates.run(graph)
        assert run.status == "success" and shown.id in run.executed and run.cached == []


def test_a_host_that_cannot_start_says_why(fresh_host):
    with pytest.raises(HostError, match="unrecognized arguments: --no-such-option"):
        fresh_host("--no-such-option")


def test_scripts_run_inside_the_host(run_inside, host_install):
    facts = run_inside("versions.py", 1, "two")
    assert facts["version"] == host_install.version and facts["device"] == "cpu"
    assert facts["package"] == "ComfyUI_Unison" and not facts["on_path"] and facts["arguments"] == [1, "two"]
    assert str(host_install.folder) not in facts["input"]
    with pytest.raises(HostError, match="no_such_script"):
        run_inside("no_such_script.py")


def test_without_a_host_the_summary_says_what_was_left_out(tmp_path):
    environment = {**os.environ, "COMFYUI_PATH": str(tmp_path / "nowhere")}
    command = [sys.executable, "-m", "pytest", "-q", "tests/host/test_host.py", "-k", "saving or targets"]
    done = subprocess.run(command, cwd=comfy_host.REPOSITORY, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "host tests: 2 skipped: no ComfyUI in" in done.stdout and "nowhere (COMFYUI_PATH)" in done.stdout


def test_a_library_that_does_not_load_is_told_on_the_node(fresh_host, tmp_path):
    """One sentence that names library, file and cure; the graph is alive once the library is."""
    package = tmp_path / "path" / "ftfy"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise OSError('/x/libftfy.so: undefined symbol: fix')\n")
    host = fresh_host(env={"PYTHONPATH": str(package.parent)})
    graph = Graph()
    models, planner = graphs.planned(graph, "Create a 64x64 picture of a cat.")
    context, _ = graphs.conditioned(graph, models, planner)
    graph.node("PreviewAny", source=context[0])
    run = host.run(graph.prompt)
    assert run.status == "error"
    (error,) = run.of("execution_error")
    assert error["node_type"] == "UnisonTextContext"
    told = error["exception_message"].strip()
    assert (
        told.startswith("the library ftfy ") and " cannot be loaded: OSError: /x/libftfy.so: undefined symbol" in told
    )
    assert "-m uv sync" not in told  # that is a clone's cure, not ComfyUI's
    assert str(package / "__init__.py") in told and "\n" not in told and "mend it with: " in told
    (package / "__init__.py").write_text("def fix_text(text):\n    return text\n")
    graphs.succeeded(host.run(graph.prompt))
