"""Sample media: copied once, never over a file, gone for ever when deleted; and the nodes that show and hand them out."""

import graphs
import numpy as np
from host_prompts import Graph
from PIL import Image

from unison_backend.demo import samples

TEXT = "a triangle\nand a star \u2605"


def test_they_are_put_into_the_input_folder_once(run_inside):
    found = run_inside("sample_media.py")
    mine = {"unison_star.png": 4}
    assert found["off by the environment"] == found["off by the setting"] == mine
    everything = {file.name: file.stat().st_size for file in samples.files()} | mine
    assert found["first start"] == everything
    assert found["after one was deleted"] == {k: v for k, v in everything.items() if k != "unison_circle.mp4"}
    assert found["missing folder"] is False


def test_a_host_has_them_and_the_stock_loaders_list_them(host):
    for file in samples.files():
        assert (host.input_folder / file.name).read_bytes() == file.read_bytes()
    listed = host.object_info("LoadImage")["input"]["required"]["image"]
    names = listed[0] if isinstance(listed[0], list) else listed[1]["options"]
    assert set(samples.PICTURES.values()) <= set(names)
    assert sum(file.stat().st_size for file in samples.files()) < 300_000


def test_what_is_painted_reaches_the_planner_as_a_mask(host):
    """The painted sample in LoadImage, and the same out of Example Media: a purple picture and a round mask."""
    graph = Graph()
    loaded = graph.node("LoadImage", image="unison_painted.png")
    example = graph.node("UnisonExampleMedia", picture="painted", clip="circle")
    square = graph.node("UnisonExampleMedia", picture="square", clip="edges")
    shown = {}
    for name, node in (("loaded", loaded), ("example", example), ("square", square)):
        shown[name] = graph.node("PreviewImage", images=node[0])
        shown[f"{name} mask"] = graph.node("PreviewImage", images=graph.node("MaskToImage", mask=node[1]))
    frames = graph.node("PreviewImage", images=graph.node("GetVideoComponents", video=square[2])[0])
    run = graphs.succeeded(host.run(graph.prompt))
    pixels = {name: np.asarray(Image.open(run.files(node)[0]).convert("RGB")) for name, node in shown.items()}
    for name in ("loaded", "example"):
        assert tuple(pixels[name][32, 32]) == tuple(pixels[name][60, 32])  # purple, below the hole as well
        assert pixels[f"{name} mask"][32, 32, 0] == 255 and pixels[f"{name} mask"][2, 60, 0] == 0
    assert pixels["square"][32, 32, 0] > 200 > pixels["square"][32, 32, 2] + 100  # the yellow square
    assert pixels["square mask"][32, 32, 0] == 255 and pixels["square mask"][2, 60, 0] == 0
    assert len(run.files(frames)) == 9


def test_an_answer_is_shown_and_given_as_a_file(host):
    graph = Graph()
    text = graph.node("PrimitiveStringMultiline", value=TEXT)
    shown = {name: graph.node("UnisonAnswer", answer=text, save=name == "output") for name in ("temp", "output")}
    run = graphs.succeeded(host.run(graph.prompt))
    for kind, node in shown.items():
        assert run.outputs[node.id]["unison_answer"] == run.outputs[node.id]["text"] == [TEXT]
        (file,) = run.outputs[node.id]["files"]
        assert file["type"] == kind
        path = host.base / kind / file["subfolder"] / file["filename"]
        assert path.read_text("utf-8") == TEXT


def test_a_sample_that_there_is_not_is_refused(host):
    graph = Graph()
    graph.node("PreviewImage", images=graph.node("UnisonExampleMedia", picture="cat", clip="circle"))
    assert host.run(graph.prompt).status == "rejected"
