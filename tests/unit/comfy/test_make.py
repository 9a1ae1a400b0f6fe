"""A run on a server, against one that only looks like a ComfyUI: what is sent, what comes back, what fails how."""

import threading
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from unison_backend.comfy import make as making
from unison_backend.comfy.events import tell
from unison_backend.comfy.graph import graph_of, stage_of
from unison_backend.comfy.make import How, run_there, wait
from unison_backend.comfy.models import ServerModels
from unison_backend.comfy.server import Server
from unison_backend.demo.fallback import limits_of
from unison_backend.engine.settings import SamplingSettings
from unison_backend.errors import Cancelled, ServerError
from unison_backend.media.write import read_metadata
from unison_backend.pipeline.planning import make_plan
from unison_backend.plan.as_json import from_json
from unison_backend.plan.prompt import parse_paths
from unison_backend.progress import never, silent
from unison_backend.sources.given import GivenSources

from ..comfy_server import COLOUR, Comfy, serving

RED_CIRCLE = "Create an image of a red circle on a blue background"
EMBEDDED = limits_of(embedded=True)


@pytest.fixture
def comfy():
    with serving(Comfy()) as running:
        yield running


def run(comfy, planned, out, cancel=never, limits=EMBEDDED, **how):
    asked = How(SamplingSettings(4, 3.0, 5.0, 7), limits=limits, **how)
    return run_there(Server(comfy.url), planned, out, ServerModels(), asked, silent, cancel, sleep=lambda _: None)


def inputs(comfy, name):
    return comfy.graphs[-1][name]["inputs"]


def sent_plan(comfy):
    import json

    return from_json(json.loads(inputs(comfy, "plan")["plan"])["plan"])


def test_a_picture_comes_back_with_its_plan_inside(comfy, tmp_path):
    comfy.notices = ["said once", "said once"]
    made = run(comfy, make_plan(parse_paths(RED_CIRCLE), limits=EMBEDDED), tmp_path / "a.png")
    assert np.asarray(Image.open(made.path)).reshape(-1, 3).tolist() == [list(COLOUR)] * 256
    assert RED_CIRCLE in read_metadata(made.path)["unison"]
    assert made.notices == ("said once",)
    assert inputs(comfy, "sampler") | {"seed": 7, "steps": 4, "cfg": 3.0, "shift": 5.0} == inputs(comfy, "sampler")


def test_the_servers_small_models_get_the_size_that_suits_them(comfy, tmp_path):
    run(comfy, make_plan(parse_paths("Create a video of a red circle moving"), limits=EMBEDDED), tmp_path / "a.mp4")
    plan = sent_plan(comfy)
    assert (plan.width, plan.height, plan.num_frames) == (EMBEDDED.width, EMBEDDED.height, EMBEDDED.num_frames)


def test_for_real_models_the_plan_is_sent_as_said(comfy, tmp_path):
    planned = make_plan(parse_paths("Create a video of a red circle moving"))
    run(comfy, planned, tmp_path / "a.mp4", limits=making.DEFAULTS)
    assert sent_plan(comfy) == planned.plan


def test_media_are_sent_as_they_are_read_here(comfy, tmp_path):
    """Turned by its tag and with its transparency; a mask's own values; names without this machine's folders."""
    turned = Image.new("RGBA", (48, 32), (0, 255, 0, 255))
    turned.putpixel((0, 0), (255, 0, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "source.png", exif=exif)
    Image.new("L", (32, 48), 255).save(tmp_path / "mask.png")
    prompt = parse_paths(f"Change the square in ###{tmp_path}/source.png### to a green circle")
    planned = make_plan(prompt, given=GivenSources(mask=tmp_path / "mask.png"), limits=EMBEDDED)
    run(comfy, planned, tmp_path / "a.png")
    source, mask = (Image.open(BytesIO(data)) for data in comfy.files.values())
    assert (source.size, source.mode) == ((32, 48), "RGBA")
    assert source.getpixel((31, 0)) == (255, 0, 0, 0)
    assert np.asarray(mask).min() == 255
    graph = comfy.graphs[-1]
    assert graph["alpha1"]["class_type"] == "JoinImageWithAlpha"
    assert graph["plan"]["inputs"]["medium1"] == ["alpha1", 0]
    assert graph["plan"]["inputs"]["medium2"] == ["media2", 0]
    assert graph["composite"]["inputs"]["sources"] == ["sources", 0]
    assert str(tmp_path) not in str(graph)
    assert "source.png" in graph["plan"]["inputs"]["plan"]
    assert "mask.png (--mask)" in graph["plan"]["inputs"]["plan"]


def test_an_error_of_a_node_is_told_in_its_words_and_nothing_is_written(comfy, tmp_path):
    comfy.error = {"node_type": "UnisonPrepareSources", "exception_message": "the mask of a.png\nmarks nothing"}
    planned = make_plan(parse_paths(RED_CIRCLE), limits=EMBEDDED)
    with pytest.raises(ServerError, match=r"UnisonPrepareSources on http.*: the mask of a\.png marks nothing"):
        run(comfy, planned, tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_is_none_is_told(comfy, tmp_path):
    comfy.raw = b"<html>"
    with pytest.raises(ServerError, match="sent a picture that cannot be read"):
        run(comfy, make_plan(parse_paths(RED_CIRCLE), limits=EMBEDDED), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_somebody_stopped_it_there(comfy, tmp_path):
    comfy.interrupted = True
    with pytest.raises(Cancelled, match="somebody stopped it"):
        run(comfy, make_plan(parse_paths(RED_CIRCLE), limits=EMBEDDED), tmp_path / "a.png")


def test_cancel_tells_the_server_and_only_of_this_run(comfy, tmp_path):
    comfy.holds, stop = True, threading.Event()
    thread = threading.Thread(target=lambda: (comfy.asked.wait(20), stop.set()))
    thread.start()
    with pytest.raises(Cancelled):
        run(comfy, make_plan(parse_paths(RED_CIRCLE), limits=EMBEDDED), tmp_path / "a.png", stop.is_set)
    thread.join()
    assert comfy.cancelled == ["0", "0"]  # taken out of the queue, and stopped
    assert list(tmp_path.iterdir()) == []


def test_a_broken_connection_is_waited_for(comfy):
    server = Server(comfy.url)
    name = server.queue({})
    comfy.statuses = [0, 502, 0, 503]
    assert wait(server, name, silent, never, lambda _: None)["outputs"]["save"]
    assert comfy.statuses == []


def test_a_server_that_stays_away_is_given_up_with_the_runs_name(comfy, monkeypatch):
    monkeypatch.setattr(making, "_PATIENCE", -1.0)
    server = Server(comfy.url)
    name = server.queue({})
    comfy.statuses = [0]
    with pytest.raises(ServerError, match=r"no answer .* The run is called 0 there, its result goes to output/unison"):
        wait(server, name, silent, never, lambda _: None)


def test_a_server_that_was_started_anew_knows_nothing_of_the_run(comfy):
    comfy.forgets = True
    server = Server(comfy.url)
    with pytest.raises(ServerError, match="was it started anew") as caught:
        wait(server, server.queue({}), silent, never, lambda _: None)
    assert caught.value.lost


def test_events_of_nodes_are_stages_of_the_bar():
    told = []
    graph = {"sampler": {"class_type": "UnisonVACESampler"}, "save": {"class_type": "SaveImage"}}
    progress = lambda *step: told.append(step)  # noqa: E731
    tell({"type": "progress", "data": {"node": "sampler.0.0.4", "value": 3, "max": 20}}, graph, progress)
    tell({"type": "executing", "data": {"node": "x", "display_node": "save"}}, graph, progress)
    tell({"type": "status", "data": {}}, graph, progress)
    assert told == [("sampling", 3, 20), ("writing", 0, 0)]
    assert stage_of(graph, "nothing") == "loading"


def test_real_models_are_loaded_by_the_hosts_own_nodes(comfy, tmp_path):
    planned = make_plan(parse_paths(RED_CIRCLE))
    names = {"vace": "v.safetensors", "text_encoder": "t.safetensors", "vae": "a.safetensors"}
    models = ServerModels(names, (("l.safetensors", 0.5),))
    asked = making.Asked(planned.plan, [], [], SamplingSettings())
    graph = graph_of(asked, models)
    kinds = {name: node["class_type"] for name, node in graph.items()}
    assert kinds["vace"] == "UNETLoader" and kinds["clip"] == "CLIPLoader" and kinds["vae"] == "VAELoader"
    assert graph["lora1"]["inputs"] == {"model": ["vace", 0], "lora_name": "l.safetensors", "strength_model": 0.5}
    assert graph["sampler"]["inputs"]["model"] == ["lora1", 0]
    assert "UnisonDemoModels" not in kinds.values() and "projector" not in kinds
    # Every link leads to a node that is there.
    links = [v for node in graph.values() for v in node["inputs"].values() if isinstance(v, list)]
    assert all(link[0] in graph for link in links)
