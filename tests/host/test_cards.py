"""What the host keeps and sends of our cards: again when nothing ran, and never as the run's picture."""

import graphs
import numpy as np
import pytest
from host_prompts import Graph
from PIL import Image


@pytest.fixture(scope="module")
def square(host):
    """A blue picture in the input folder."""
    Image.new("RGB", (64, 64), (0, 0, 255)).save(host.input_folder / "cards_square.png")
    return "cards_square.png"


def prepared(instruction, media=None):
    """(graph, planner, sources, mask preview) of an instruction; the preview is what makes it run."""
    graph = Graph()
    _, planner = graphs.planned(graph, instruction, media)
    sources = graph.node("UnisonPrepareSources", plan=planner)
    shown = graph.node("PreviewImage", images=graph.node("MaskToImage", mask=sources[2]))
    return graph, planner, sources, shown


def test_sources_are_shown_on_the_card_and_are_no_result(host, square):
    graph, _, sources, shown = prepared("Make a 64x64 video of 9 frames that starts with <image1>.", {"image1": square})
    run = graphs.succeeded(host.run(graph))
    frame, mask = (np.asarray(picture.convert("RGB")) for picture in graphs.card_pictures(host, run, sources))
    assert (frame == (0, 0, 255)).all() and not mask.any()
    with_files = {node for node, output in run.outputs.items() if "images" in output}
    assert with_files == {shown.id} and run.files(sources) == []


def test_sources_of_words_alone_show_no_grey_frame(host):
    graph, _, sources, _ = prepared("Create a 64x64 image of a red circle.")
    run = graphs.succeeded(host.run(graph))
    assert graphs.card_pictures(host, run, sources) == []


def test_the_frame_that_holds_something_is_the_one_shown(host, square):
    graph, _, sources, _ = prepared("Make a 64x64 video of 9 frames that ends with <image1>.", {"image1": square})
    frame, mask = graphs.card_pictures(host, graphs.succeeded(host.run(graph)), sources)
    assert (np.asarray(frame.convert("RGB")) == (0, 0, 255)).all() and not np.asarray(mask).any()


def test_a_run_in_which_nothing_runs_sends_the_cards_again(host):
    if not host.object_info("UnisonPlanner").get("has_intermediate_output"):
        pytest.skip(f"ComfyUI {host.install.version} sends only what ran; the frontend's part remembers")
    graph, planner, *_ = prepared("Create a 64x64 image of a green triangle.")
    first = graphs.succeeded(host.run(graph)).outputs[planner.id]
    again = graphs.succeeded(host.run(graph))
    assert again.executed == [] and again.outputs[planner.id] == first
    assert any(data["node"] == planner.id and data["output"] == first for data in again.of("executed"))
