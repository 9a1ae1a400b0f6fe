"""Masks on sockets: turned round, of 0 and 1, of another shape."""

import graphs
import numpy as np
import pytest
from host_prompts import Graph
from PIL import Image


def corner(graph, value, width=64, height=64):
    """A mask whose upper left quarter has `value`."""
    black = graph.node("SolidMask", value=0.0, width=width, height=height)
    part = graph.node("SolidMask", value=value, width=width // 2, height=height // 2)
    return graph.node("MaskComposite", destination=black, source=part, x=0, y=0, operation="add")


def edit(graph, mask, instruction="Turn the car in <image1> red.", **options):
    """Sources of an edit whose mask comes to Prepare Sources."""
    picture = graph.node("EmptyImage", width=64, height=64, batch_size=1, color=0x2244AA)
    planner = graph.node("UnisonPlanner", instruction=instruction, image1=picture)
    return graph.node("UnisonPrepareSources", plan=planner, mask=mask, **options)


def marked(graph, mask):
    return graph.node("PreviewImage", images=graph.node("MaskToImage", mask=mask))


@pytest.mark.parametrize(
    ("value", "options", "told"),
    [
        (1.0, {}, []),
        (1.0, {"invert_mask": True}, ["turned round"]),
        (1 / 255, {"mask_scale": True}, ["1 of 255, counts as white"]),
        (1 / 255, {"mask_scale": True, "invert_mask": True}, ["1 of 255, counts as white", "turned round"]),
    ],
)
def test_a_mask_is_turned_round_and_scaled(host, value, options, told):
    graph = Graph()
    sources = edit(graph, corner(graph, value), **options)
    shown = marked(graph, sources[2])
    run = graphs.succeeded(host.run(graph.prompt))
    (file,) = run.files(shown)
    wanted = np.zeros((64, 64), bool)
    wanted[:32, :32] = True
    assert ((np.asarray(Image.open(file).convert("L")) > 127) == (wanted != bool(options.get("invert_mask")))).all()
    notices = run.outputs[sources.id]["unison_notices"]
    assert all(any(words in notice for notice in notices) for words in told) and len(notices) >= len(told)


def test_a_mask_of_0_and_1_is_refused_by_its_socket(host):
    graph = Graph()
    marked(graph, edit(graph, corner(graph, 1 / 255))[2])
    (message,) = host.run(graph.prompt).errors
    assert "socket mask marks nothing: its brightest value is 1 of 255" in str(message) and "mask_scale" in str(message)


def test_a_turned_mask_that_is_no_edits_is_said(host):
    graph = Graph()
    sources = edit(graph, None, "Create a 64x48 image of a red circle.", invert_mask=True)
    marked(graph, sources[2])
    run = graphs.succeeded(host.run(graph.prompt))
    assert any("invert_mask is not used: this plan is" in n for n in run.outputs[sources.id]["unison_notices"])


def test_a_mask_of_another_shape_is_stretched_aloud(host):
    """Its left half is the left half of the pictures."""
    graph = Graph()
    made = graph.node("EmptyImage", width=64, height=64, batch_size=1, color=0xFFFFFF)
    source = graph.node("EmptyImage", width=64, height=64, batch_size=1, color=0)
    black = graph.node("SolidMask", value=0.0, width=128, height=64)
    part = graph.node("SolidMask", value=1.0, width=64, height=64)
    mask = graph.node("MaskComposite", destination=black, source=part, x=0, y=0, operation="add")
    mixed = graph.node("UnisonComposite", images=made, source=source, mask=mask, feather=0)
    shown = graph.node("PreviewImage", images=mixed)
    run = graphs.succeeded(host.run(graph.prompt))
    pixels = np.asarray(Image.open(run.files(shown)[0]).convert("L"))
    assert (pixels[:, :31] == 255).all() and (pixels[:, 33:] == 0).all()
    assert "mask is 128x64 and the pictures 64x64: it is stretched" in run.outputs[mixed.id]["unison_notices"][0]
